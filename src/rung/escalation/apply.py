"""Writing verified files into the user's tree."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from rung.errors import UsageError
from rung.validation.paths import safe_path


def file_sha256(path: Path) -> str | None:
    """SHA-256 of a file's bytes, `None` where there is no such file."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None


def apply_files(
    root: Path, files: Mapping[str, str], base_sha256: Mapping[str, str | None]
) -> list[str]:
    """Write `files` below `root`, each by a rename, so that none is ever half written.

    `base_sha256` is of what each path held when the work began (`None`: nothing). Raises
    UsageError, before anything is written, where a file holds something else by now: nobody's
    work is overwritten.
    """
    targets = {path: safe_path(root, path) for path in files}
    for path, target in targets.items():
        if file_sha256(target) != base_sha256.get(path):
            raise UsageError(f"{path} changed while the task ran; nothing was written")
    for path, target in targets.items():
        try:
            _write(target, files[path])
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}") from None
    return list(files)


def _write(target: Path, content: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    mode = target.stat().st_mode & 0o7777 if target.exists() else 0o644
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(content)
        Path(name).chmod(mode)
        Path(name).replace(target)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
