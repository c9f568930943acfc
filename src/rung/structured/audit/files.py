"""Which files an audit reads, and their text."""

from __future__ import annotations

import io
import os
import sys
import tokenize
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from rung.errors import UsageError

SUFFIXES = {".py", ".json", ".jsonl", ".toml"}
MAX_FILE_BYTES = 8_000_000
_MAX_FILES = 20_000
_PASSED_OVER = {"node_modules", "site-packages", "__pycache__", "venv", "build", "dist"}


class UnreadableError(ValueError):
    """A file that cannot be audited; the message says why."""


def files_of(names: Sequence[str], folder: Path, excluded: Sequence[str] = ()) -> list[Path]:
    """The files of paths and module names, each once; folders are walked.

    Hidden folders, environments and build folders inside them are passed over, and so is what
    matches a pattern of `excluded`, by its name or by its path from there. Raises `UsageError` for
    what is neither a path nor a module, and for a file of another kind.
    """
    found: dict[Path, Path] = {}
    for name in names:
        path = folder / name
        if "\0" in name or not path.exists():
            path = _module(name, folder)
        if path.is_dir():
            entries: Iterator[Path] = _walk(path, excluded)
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
        return content.decode(_encoding(path, content))
    except UnicodeDecodeError:
        raise UnreadableError("it is not UTF-8") from None
    except (SyntaxError, LookupError) as error:
        raise UnreadableError(f"it is not valid Python: {error}") from None
    except OSError as error:
        raise UnreadableError(f"it cannot be read: {error.strerror}") from None


def _walk(folder: Path, excluded: Sequence[str]) -> Iterator[Path]:
    def is_left_out(path: Path) -> bool:
        told = (path.name, path.relative_to(folder).as_posix())
        return any(fnmatch(name, pattern.rstrip("/")) for name in told for pattern in excluded)

    for parent, folders, files in os.walk(folder):
        here = [Path(parent, name) for name in sorted(folders) if name not in _PASSED_OVER]
        # In place, so that os.walk does not enter the others.
        folders[:] = [p.name for p in here if p.name[0] != "." and not is_left_out(p)]
        for name in sorted(files):
            path = Path(parent, name)
            if path.suffix in SUFFIXES and path.is_file() and not is_left_out(path):
                yield path


def _encoding(path: Path, content: bytes) -> str:
    """UTF-8, unless it is Python that declares another (PEP 263)."""
    if path.suffix != ".py":
        return "utf-8-sig"
    return tokenize.detect_encoding(io.BytesIO(content).readline)[0]


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
