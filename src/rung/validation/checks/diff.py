"""`diff:PATHS[<=N]`: does the answer change only what it was to change, and not too much?"""

from __future__ import annotations

import asyncio
import difflib
import fnmatch
from collections.abc import Sequence
from pathlib import Path

from rung.errors import UsageError
from rung.validation.paths import UnsafePathError, safe_path
from rung.validation.registry import validator
from rung.validation.verdict import Candidate, CheckContext, Result, Verdict
from rung.wording import counted

_MOST_SHOWN = 8
# Compared line by line up to this product of lengths; beyond it a whole stretch counts as changed.
_LARGEST_COMPARISON = 4_000_000


def parse_scope(argument: str) -> tuple[list[str], int | None]:
    """The patterns, and how many lines may change (`None`: any number). Raises UsageError."""
    paths, separator, limit = argument.partition("<=")
    patterns = [pattern.strip().removeprefix("./") for pattern in paths.split(",")]
    patterns = [pattern for pattern in patterns if pattern]
    if separator and not limit.strip().isdecimal():
        raise UsageError(f"check 'diff:{argument}': {limit.strip()!r} is not a number of lines.")
    if not patterns and not separator:
        raise UsageError("check 'diff' needs paths, as in 'diff:src/app.py,docs/*<=40'.")
    return patterns, int(limit) if separator else None


def check_scope(argument: str, _base: Path) -> None:
    parse_scope(argument)


@validator(
    "diff",
    form="diff:PATHS[<=N]",
    rank=5,
    check_argument=check_scope,
    of_files=True,
    reads_only=True,
)
async def diff(candidate: Candidate, context: CheckContext, argument: str) -> Verdict:
    """`diff:PATHS` or `diff:PATHS<=N`: only files in PATHS change, and at most N lines.

    PATHS are files, folders and patterns (`*` takes in `/`, too), with commas between; `diff:<=N`
    is any file. A line that was added, removed or replaced counts once. A file that is as it was
    does not count at all; other line ends do.
    """
    patterns, most = parse_scope(argument)
    if not candidate.files:
        return _says("unavailable", "the answer changes no file")
    try:
        changed = await asyncio.to_thread(_changed_files, candidate, context.base)
    except UnsafePathError as error:
        return _says("fail", str(error))
    outside = [name for name in changed if patterns and not _is_in_scope(name, patterns)]
    if outside:
        shown = "\n".join(outside[:_MOST_SHOWN])
        return _says(
            "fail",
            f"changes {counted(len(outside), 'file')} outside {', '.join(patterns)}:\n{shown}",
        )
    total = sum(changed.values())
    words = f"{counted(total, 'line')} changed in {counted(len(changed), 'file')}"
    if most is not None and total > most:
        each = "\n".join(f"{name}: {lines}" for name, lines in [*changed.items()][:_MOST_SHOWN])
        return _says("fail", f"{words}, more than {most}:\n{each}")
    return _says("pass", words)


def changed_lines(before: Sequence[str], after: Sequence[str]) -> int:
    """How many lines were added, removed or replaced, a replaced one counting once.

    Of what is too long to compare line by line every line between the first and the last
    difference counts.
    """
    start = 0
    while start < min(len(before), len(after)) and before[start] == after[start]:
        start += 1
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    whole = max(len(old), len(new))
    if len(old) * len(new) > _LARGEST_COMPARISON:
        return whole
    steps = difflib.SequenceMatcher(None, old, new).get_opcodes()
    counted = sum(max(b - a, d - c) for kind, a, b, c, d in steps if kind != "equal")
    return min(counted, whole)


def _changed_files(candidate: Candidate, base: Path) -> dict[str, int]:
    """The changed lines of each file that is not as it was."""
    found: dict[str, int] = {}
    for name, text in candidate.files.items():
        path = safe_path(base, name)
        content = path.read_bytes() if path.is_file() else b""
        before = content.decode("utf-8", "replace").splitlines(keepends=True)
        lines = changed_lines(before, text.splitlines(keepends=True))
        if lines or not path.is_file():
            found[name] = lines
    return found


def _is_in_scope(name: str, patterns: Sequence[str]) -> bool:
    return any(
        fnmatch.fnmatchcase(name, pattern) or name.startswith(f"{pattern.rstrip('/')}/")
        for pattern in patterns
    )


def _says(result: Result, evidence: str) -> Verdict:
    return Verdict(validator="diff", result=result, evidence=evidence)
