"""Copying a project's files: what is copied, what is left out, and writing over the copy."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from rung.validation.folders import entries_below
from rung.validation.paths import UnsafePathError, safe_path

NEVER_COPIED = frozenset(
    [
        *(".cache", ".git", ".hg", ".hypothesis", ".mypy_cache", ".nox", ".pytest_cache"),
        *(".ruff_cache", ".svn", ".tox", ".venv", "__pycache__", "node_modules", "venv"),
    ]
)


def lay_over(folder: Path, files: Mapping[str, str]) -> None:
    """Write a candidate's files. Raises UnsafePathError, also if a folder is in a file's place."""
    targets = {safe_path(folder, name): text for name, text in files.items()}
    for path, text in targets.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)  # a link is replaced, not written through
            path.write_bytes(text.encode("utf-8", "replace"))
        except (FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
            name = path.relative_to(folder)
            raise UnsafePathError(f"cannot write {name}: {error.strerror}") from error


def project_files(root: Path) -> list[str]:
    entries = entries_below(root, NEVER_COPIED)
    return sorted(
        path.relative_to(root).as_posix() for path in entries if path.is_symlink() or path.is_file()
    )


def copyable(root: Path, names: Iterable[str]) -> list[str]:
    """The files, and the links that stay inside; no sockets or pipes, no links that lead out."""
    found: list[str] = []
    for name in names:
        source = root / name
        # Neither holds for what is deleted but still tracked, nor for a submodule's folder.
        if not is_file_or_link(source):
            continue
        with contextlib.suppress(OSError, RuntimeError):  # a loop of links
            if source.resolve().is_relative_to(root.resolve()):
                found.append(name)
    return found


def is_file_or_link(path: Path) -> bool:
    return path.is_symlink() or path.is_file()


def size_bytes(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0


def copy_entries(
    root: Path, target_root: Path, names: Iterable[str], stop: threading.Event | None = None
) -> None:
    """Copy what is still there, until `stop` is set: a thread cannot be cancelled."""
    for name in names:
        if stop is not None and stop.is_set():
            return
        source, target = root / name, target_root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            target.symlink_to(os.path.relpath(source.resolve(), source.parent.resolve()))
        else:
            with contextlib.suppress(FileNotFoundError):
                shutil.copy2(source, target)
