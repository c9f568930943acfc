"""Which Python runs the project's code."""

from __future__ import annotations

import sys
from pathlib import Path

from rung.config.settings import SandboxSettings
from rung.errors import UsageError


def project_python(base: Path, settings: SandboxSettings, module: str = "") -> Path:
    """The interpreter from the settings, else the project's virtual environment, else Rung's own.

    With `module`, a virtual environment that does not have it is passed over. Raises UsageError if
    the one from the settings does not exist.
    """
    if settings.python:
        chosen = Path(settings.python).expanduser()
        if not chosen.is_absolute() or not chosen.exists():
            raise UsageError(f"sandbox.python: {chosen} is not the absolute path of a Python.")
        return chosen
    for environment in environments(base):
        if not module or _has(environment, module):
            return environment / "bin" / "python"
    return Path(sys.executable)


def environments(base: Path) -> list[Path]:
    """The project's virtual environments."""
    folders = (base / name for name in (".venv", "venv"))
    return [folder for folder in folders if (folder / "bin" / "python").exists()]


def _has(environment: Path, module: str) -> bool:
    folders = environment.glob("lib/python*/site-packages")
    return any((folder / module).exists() for folder in folders)


def import_path(root: Path) -> dict[str, str]:
    """PYTHONPATH for a copy of the project: an editable install points at the original."""
    source = root / "src"
    return {"PYTHONPATH": str(source)} if source.is_dir() else {}
