"""`rung control summary` looks back as far as there is time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command import rung


@pytest.mark.parametrize("hours", ["nan", "inf", "1e9", "0", "-1"])
def test_a_window_that_no_calendar_holds_is_a_usage_error(hours: str, tmp_path: Path) -> None:
    env = {"RUNG_DATA_DIR": str(tmp_path / "d"), "RUNG_CONFIG": ""}
    ran = rung("control", "summary", "--window-hours", hours, cwd=tmp_path, env=env)
    assert ran.status == 2
    assert "--window-hours" in ran.err
    assert "Traceback" not in ran.err
