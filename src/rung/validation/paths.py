"""Paths that a model wrote: accepted only if they stay inside the folder they are meant for."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from rung.errors import RungError

_LONGEST_PART_BYTES, _LONGEST_PATH_BYTES = 255, 1024


class UnsafePathError(RungError):
    """A model named a path that is not a plain relative path inside the project."""


def safe_path(root: Path, name: str) -> Path:
    """`root / name` for a relative POSIX path that stays inside `root`, links followed.

    Raises UnsafePathError for an absolute path, `..`, NUL and other control characters, a
    backslash or drive, `.git` (its hooks and config run code), a part that is too long, a link that
    leads out.
    """
    problem = _problem_with(name)
    if problem:
        raise UnsafePathError(f"unsafe path {name[:200]!r}: {problem}")
    path = root / PurePosixPath(name)
    try:
        stays_inside = path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
        raise UnsafePathError(f"unsafe path {name[:200]!r}: {error}") from error
    if not stays_inside:
        raise UnsafePathError(f"unsafe path {name[:200]!r}: a link leads out of the project")
    return path


def _problem_with(name: str) -> str:
    parts = name.split("/")
    try:
        sizes = [len(part.encode()) for part in parts]
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    if name.startswith("/"):
        return "it is absolute"
    if "\\" in name or (len(parts[0]) >= 2 and parts[0][1] == ":"):
        return "only / separates the parts, and there are no drives"
    if any(character < " " or character == "\x7f" for character in name):
        return "it holds control characters"
    if any(part in ("", ".", "..") for part in parts):
        return "empty parts, . and .. are not allowed"
    if any(part.lower() == ".git" for part in parts):
        return "Git's own files are out of bounds"
    if max(sizes) > _LONGEST_PART_BYTES or sum(sizes) + len(sizes) > _LONGEST_PATH_BYTES:
        return "it is too long"
    return ""
