"""Temporary folders that are found again and removed where the Rung that made them was killed.

All of one process's folders stand in one of its own, mode 0700, with a lock that the kernel lets go
of when the process ends, however it ends. Unlike a PID it cannot be another's in the meantime, and
it holds between containers that share a `/tmp`.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import stat
import tempfile
import threading
from pathlib import Path

from rung.validation.folders import remove_tree_now

_PREFIX = "rung-scratch-"
_LOCK = "lock"

_root: Path | None = None
_opening = threading.Lock()


def make_folder(kind: str) -> Path:
    """A new folder, whose name begins with `kind`. Who makes it removes it.

    The first of a process also starts to remove what Rungs that were killed have left behind.
    """
    return Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=_own_root()))


def _own_root() -> Path:
    global _root
    with _opening:
        if _root is None or not _root.is_dir():  # a sweeper of `/tmp` may have taken it
            parent = Path(tempfile.gettempdir())
            _root = _new_root(parent)
            # A thread of no consequence: what it does not get to, the next start will.
            threading.Thread(target=remove_stale, args=(parent,), daemon=True).start()
        return _root


def _forget_root() -> None:
    global _root, _opening
    _root, _opening = None, threading.Lock()


os.register_at_fork(after_in_child=_forget_root)  # a child's folders are in a root of its own


@atexit.register
def _remove_own_root() -> None:
    if _root is not None:
        _remove(_root)


def _new_root(parent: Path) -> Path:
    while True:
        root = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        if _take_lock(root, os.O_CREAT) is not None:
            return root


def _take_lock(root: Path, flags: int = 0) -> int | None:
    """The open lock of a root, or `None` where a living process has it or it is gone."""
    path = root / _LOCK
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o600)
    except OSError:
        return None
    with contextlib.suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Another one may have removed the folder between the two calls.
        if os.path.samestat(os.fstat(lock), path.stat()):
            return lock
    os.close(lock)
    return None


def remove_stale(parent: Path) -> list[Path]:
    """Remove this user's roots below `parent` that no living process holds; says which."""
    removed: list[Path] = []
    for root in parent.glob(f"{_PREFIX}*"):
        if not _is_ours(root) or (lock := _take_lock(root)) is None:
            continue
        try:
            _remove(root)
            removed.append(root)
        finally:
            os.close(lock)
    return removed


def _remove(root: Path) -> None:
    """The lock goes last: without it nobody would look at what could not be removed, or not yet."""
    with contextlib.suppress(OSError):
        for folder in root.iterdir():
            if folder.name != _LOCK:
                remove_tree_now(folder)
        (root / _LOCK).unlink()
        root.rmdir()


def _is_ours(root: Path) -> bool:
    """Whether only this user can have put anything there: `/tmp` is everybody's."""
    try:
        found = root.lstat()
    except OSError:
        return False
    is_private = not stat.S_IMODE(found.st_mode) & 0o077
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and is_private
