"""Which files an audit reads, and their text."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rung.errors import UsageError

SUFFIXES = {".py", ".json", ".jsonl", ".toml"}
MAX_FILE_BYTES = 8_000_000
_MAX_FILES = 20_000
_PASSED_OVER = {"node_modules", "site-packages", "__pycache__", "venv", "build", "dist"}


class UnreadableError(ValueError):
    """A file that cannot be audited; the message says why."""


def files_of(names: Sequence[str], folder: Path) -> list[Path]:
    """The files of paths and module names, each once; folders are walked.

    Hidden folders, environments and build folders inside them are passed over. Raises `UsageError`
    for what is neither a path nor a module, and for a file of another kind.
    """
    found: dict[Path, Path] = {}
    for name in names:
        path = folder / name
        if "\0" in name or not path.exists():
            path = _module(name, folder)
        if path.is_dir():
            entries: Iterator[Path] = _walk(path)
        elif path.suffix in SUFFIXES:
            entries = iter([path])
        else:
            raise UsageError(f"{name}: only {', '.join(sorted(SUFFIXES))} files can be audited")
        for entry in entries:
            found.setdefault(entry.resolve(), entry)
            if len(found) > _MAX_FILES:
                raise UsageError(f"{name} has more than {_MAX_FILES:,} files; name a folder in it")
    return list(found.values())


def text_of(path: Path) -> str:
    """The text of a file; raises `UnreadableError`."""
    try:
        with path.open("rb") as file:  # no size is asked for: a pipe has none
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise UnreadableError(f"it is larger than {MAX_FILE_BYTES / 1e6:.0f} MB")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableError("it is not UTF-8") from None
    except OSError as error:
        raise UnreadableError(f"it cannot be read: {error.strerror}") from None


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        # In place, so that os.walk does not enter them.
        folders[:] = sorted(name for name in folders if name[0] != "." and name not in _PASSED_OVER)
        for name in sorted(files):
            path = Path(parent, name)
            if path.suffix in SUFFIXES and path.is_file():
                yield path


def _module(name: str, folder: Path) -> Path:
    """The file or folder of a dotted module name, found without importing anything."""
    parts = name.split(".")
    if all(part.isidentifier() for part in parts):
        for root in (folder, folder / "src", *map(Path, sys.path)):
            stem = root.joinpath(*parts)
            if stem.is_dir():
                return stem
            if stem.with_suffix(".py").is_file():
                return stem.with_suffix(".py")
    raise UsageError(f"{name!r} is neither a file or folder here nor a Python module")
