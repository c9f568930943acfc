"""How commands end when the world around them is not as it should be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import RUNG, rung

# Ctrl-C while a command's own module is still being imported.
EARLY = """
import signal, sys
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "rung.cli.config":
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
sys.argv = ["rung", "config", "show"]
from rung.cli.main import main
main()
"""


def test_ctrl_c_while_a_command_starts_is_silent_and_130(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", EARLY], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 130
    assert done.stdout == ""
    assert done.stderr.strip() == ""


@pytest.mark.parametrize(
    "arguments", [["--help"], ["config", "show"], ["models", "list"], ["models", "list", "--json"]]
)
def test_a_full_disk_under_stdout_is_a_clear_error(arguments: list[str], tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [RUNG, *arguments],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert done.returncode == 1
    assert done.stderr == "error: the output cannot be written: No space left on device\n"


def test_a_deleted_folder_is_a_clear_error(tmp_path: Path) -> None:
    script = 'mkdir gone && cd gone && rmdir ../gone && exec "$0" config show'
    done = subprocess.run(
        ["sh", "-c", script, RUNG], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "the current folder does not exist" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", ["99999999999999999999999", "0"])
@pytest.mark.parametrize("command", ["show", "approve", "reject", "skip"])
def test_an_impossible_review_id_is_a_usage_error(
    command: str, number: str, tmp_path: Path
) -> None:
    ran = rung("review", command, number, cwd=tmp_path)
    assert ran.status == 2
    assert "not in the range" in ran.err


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--type", "standard"),
        ("--check", "syntax"),
        ("--file", "a.py"),
        ("--out", "a.py"),
        ("--budget", "0"),
        ("--local-only", None),
    ],
)
def test_an_option_beside_a_task_file_is_named_as_it_was_typed(
    option: str, value: str | None, tmp_path: Path
) -> None:
    given = [option] if value is None else [option, value]
    ran = rung("do", "--task", "a.toml", *given, cwd=tmp_path)
    assert ran.status == 2
    assert ran.err.rstrip().endswith(f"take away {option}")


@pytest.mark.parametrize("budget", ["nan", "1e300", "-1"])
def test_a_budget_that_none_can_be_is_refused(tmp_path: Path, budget: str) -> None:
    ran = rung("do", "x", "--budget", budget, cwd=tmp_path)
    assert ran.status == 2
    assert "--budget" in ran.err
