"""A lock between processes that leaves no file behind and dies with its holder."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

_TRIES = 25
_WAIT_S = 0.02


class FileLock:
    """`flock` on a file that is created to be locked and deleted when it is released."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def acquire(self) -> bool:
        """Try once. False: somebody else holds it. Raises OSError where no file can be made."""
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The holder before us may have deleted the file between our open and our lock.
            if os.path.samestat(os.fstat(fd), self._path.stat()):
                self._fd = fd
        except (BlockingIOError, FileNotFoundError):
            return False
        finally:
            if self._fd is None:
                os.close(fd)
        return self._fd is not None

    def acquire_soon(self) -> bool:
        """Try for half a second, for what others hold for a few ms only. Blocks; see `acquire`."""
        for _ in range(_TRIES):
            if self.acquire():
                return True
            time.sleep(_WAIT_S)
        return False

    def is_held_elsewhere(self) -> bool:
        """Whether somebody else holds it now. Makes no file."""
        if self._fd is not None:
            return False
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def release(self) -> None:
        """Give it up; harmless where it is not held."""
        if self._fd is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._fd)
            self._fd = None
