"""`rung doctor` as a command: a page for people, JSON for programs, a status for both."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def doctor(folder: Path, *arguments: str, columns: int = 80) -> subprocess.CompletedProcess[str]:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RUNG_")},
        **{"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "COLUMNS": str(columns)},
        **{"RUNG_DATA_DIR": str(folder / "data"), "RUNG_DISCOVER": "false"},
    }
    code = "from rung.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, "doctor", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
    )


def test_without_a_model_the_status_is_1_and_the_page_says_what_to_do(tmp_path: Path) -> None:
    done = doctor(tmp_path)
    assert done.returncode == 1, done.stderr
    assert "✗ ladder" in done.stdout
    assert "→ rung models pull" in done.stdout
    assert done.stdout.splitlines()[-1] == "broken: ladder"


@pytest.mark.parametrize("columns", [40, 80])
def test_the_page_fits_the_terminal(tmp_path: Path, columns: int) -> None:
    lines = doctor(tmp_path, columns=columns).stdout.splitlines()
    too_long = [line for line in lines if len(line) > columns]
    # A path is not broken up.
    assert all("/" in line for line in too_long)


def test_json_has_every_finding(tmp_path: Path) -> None:
    found = json.loads(doctor(tmp_path, "--json").stdout)
    assert found["ok"] is False
    assert {"sandbox", "models", "languages", "settings"} <= found["sections"].keys()
    assert all(item["state"] in ("ok", "note", "broken") for item in found["sections"]["models"])
