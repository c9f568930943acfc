"""What every test gets: a clean environment, and the starter model where it asks for it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.starter import starter_model_dir

__all__ = ["starter_model_dir"]

_RUNGS_OWN = ("RUNG_", "LM_STUDIO_", "USE_LM_STUDIO")

# A shell's background jobs ignore Ctrl-C, and what they start inherits that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def isolated_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reads the user's settings, writes into the user's folders or looks for engines."""
    for name in list(os.environ):
        if name.startswith(_RUNGS_OWN):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    monkeypatch.setenv("RUNG_DATA_DIR", str(home / "data"))
    monkeypatch.setenv("RUNG_DISCOVER", "false")
    for name in ("CONFIG", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(home / name.lower()))
