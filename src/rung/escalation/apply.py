"""Writing verified files into the user's tree."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from rung.errors import UsageError
from rung.validation.paths import safe_path


def sha256(content: bytes | None) -> str | None:
    """Of a file's content; `None` for that of none."""
    return None if content is None else hashlib.sha256(content).hexdigest()


def file_bytes(path: Path) -> bytes | None:
    """A file's content, `None` where there is no such file. Raises UsageError."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{path} cannot be a file of a task: {error.strerror}") from None


def apply_files(
    root: Path, files: Mapping[str, str], base_sha256: Mapping[str, str | None]
) -> list[str]:
    """Write `files` below `root`: all of them beside their targets first, then renamed into place.

    `base_sha256` is of what each path held when the work began (`None`: nothing). Raises
    UsageError, before anything is written, where a file holds something else by now: nobody's
    work is overwritten. One that holds its new content already is no conflict: it was written
    before, by an attempt that broke off or a decision that was taken back.
    """
    targets = {path: safe_path(root, path).resolve() for path in files}
    contents = {path: _encoded(path, text) for path, text in files.items()}
    for path, target in targets.items():
        known = (base_sha256.get(path), sha256(contents[path]))
        if sha256(file_bytes(target)) not in known:
            raise UsageError(f"{path} changed while the task ran; nothing was written")
    staged: dict[Path, Path] = {}
    written: list[str] = []
    path = ""
    try:
        for path, target in targets.items():
            staged[target] = _staged(target, contents[path])
        for path, target in targets.items():
            staged.pop(target).replace(target)
            written.append(path)
    except OSError as error:
        already = f"; already written: {', '.join(written)}" if written else "; nothing was written"
        raise UsageError(f"{path} cannot be written: {error.strerror}{already}") from None
    finally:
        for left in staged.values():
            left.unlink(missing_ok=True)
    return written


def _encoded(path: str, text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise UsageError(f"the answer's {path} is not valid Unicode; nothing was written") from None


def _staged(target: Path, content: bytes) -> Path:
    """The content in a temporary file beside its target, with the target's mode; else no file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    mode = target.stat().st_mode & 0o7777 if target.exists() else 0o644
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:200]}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).chmod(mode)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)
