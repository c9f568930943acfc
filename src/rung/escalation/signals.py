"""What the repository says about the files of a request: how many modules import them, and tests.

Bounded: at most `MAX_FILES` files and `MAX_SECONDS`, the first kilobytes of each; `is_complete`
says whether all were seen. Imports are found by their words, in any language that has them.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath

import msgspec

from rung.escalation.path_words import is_test
from rung.validation.languages import of_path

MAX_FILES = 5_000
MAX_SECONDS = 0.08
MAX_STEMS = 20
HEAD_BYTES = 4_096
_SKIPPED = frozenset(
    (
        "node_modules",
        "venv",
        "env",
        "dist",
        "build",
        "target",
        "vendor",
        "__pycache__",
        "site-packages",
    )
)
# Names that every package has tell nothing about who imports it.
_COMMON = frozenset(("__init__", "index", "main", "mod", "lib", "init"))


class Signals(msgspec.Struct, frozen=True, kw_only=True):
    """The named files: those there are, their lines, packages, importers, and tests of them."""

    files: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    lines: int = 0
    packages: int = 0
    fan_in: int = 0
    tests: int = 0
    is_complete: bool = True


def signals_of(root: Path, paths: Sequence[str]) -> Signals:
    """Look at the files named by `paths`, relative to `root`, and at who imports them."""
    top = root.resolve()
    inside = tuple(path for path in paths if (top / path).resolve().is_relative_to(top))
    there = tuple(path for path in inside if (top / path).is_file())
    if not there:
        return Signals(missing=inside)
    stamps = tuple((top / path).stat().st_mtime_ns for path in there)
    fan_in, tests, is_complete = _importers(top, there, stamps)
    return Signals(
        files=there,
        missing=tuple(path for path in inside if path not in there),
        lines=sum(_lines(top / path) for path in there),
        packages=len({str(PurePosixPath(path).parent) for path in there}),
        fan_in=fan_in,
        tests=tests,
        is_complete=is_complete,
    )


@lru_cache(maxsize=64)
def _importers(
    root: Path,
    paths: tuple[str, ...],
    stamps: tuple[int, ...],  # noqa: ARG001 (part of the cache's key)
) -> tuple[int, int, bool]:
    """How many modules, and how many tests, import one of the files; whether all were seen."""
    stems = {PurePosixPath(path).stem for path in paths if of_path(path)} - _COMMON
    if not stems:
        return 0, 0, True
    names = b"|".join(re.escape(stem.encode()) for stem in sorted(stems)[:MAX_STEMS])
    imports = re.compile(
        rb"^[ \t]*(?:from|import|use|using|#include|require|export|const|let|var)\b"
        + rb"[^\n]{0,300}?\b(?:"
        + names
        + rb")\b",
        re.MULTILINE,
    )
    own = {str(root / path) for path in paths}
    modules = tests = 0
    until = time.monotonic() + MAX_SECONDS
    for seen, file in enumerate(_sources(root)):
        if seen >= MAX_FILES or time.monotonic() > until:
            return modules, tests, False
        if file in own or not imports.search(_head(file)):
            continue
        if is_test(os.path.relpath(file, root)):
            tests += 1
        else:
            modules += 1
    return modules, tests, True


def _sources(root: Path) -> Iterator[str]:
    """The source files below the folder, without hidden folders, packages and links."""
    waiting = [str(root)]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:
            continue  # a folder that may not be read holds nothing that can be counted
        for entry in entries:
            if entry.name.startswith(".") or entry.is_symlink():
                continue
            if entry.is_dir():
                if entry.name not in _SKIPPED:
                    waiting.append(entry.path)
            elif of_path(entry.name):
                yield entry.path


def _head(file: str) -> bytes:
    try:
        with Path(file).open("rb", buffering=0) as source:
            return source.read(HEAD_BYTES)
    except OSError:
        return b""  # not readable: it imports nothing that can be seen


def _lines(file: Path) -> int:
    try:
        return file.read_bytes().count(b"\n")
    except OSError:
        return 0
