"""Files copied and read with their SHA-256, bounded in size and stoppable."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import IO

from rung.models.progress import Meter

_CHUNK = 1 << 20


class StoppedError(Exception):
    """The work was told to stop; nobody but the one who stopped it sees this."""


class TooLongError(Exception):
    """The source holds more bytes than it may."""


def copy_hashed(source: IO[bytes], target: Path, limit_bytes: int, meter: Meter) -> str:
    """Write `source` to `target`, flushed to the disk; return the SHA-256 in hex.

    Raises TooLongError past `limit_bytes`, StoppedError, OSError.
    """
    digest = hashlib.sha256()
    with target.open("wb") as out:
        while chunk := source.read(_CHUNK):
            _advance(meter, len(chunk))
            if meter.done_bytes > limit_bytes:
                raise TooLongError
            digest.update(chunk)
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()


def hash_file(path: Path, meter: Meter) -> str:
    """The SHA-256 of a file in hex. Raises StoppedError, OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            _advance(meter, len(chunk))
            digest.update(chunk)
    return digest.hexdigest()


def _advance(meter: Meter, count: int) -> None:
    if meter.stop.is_set():
        raise StoppedError
    meter.done_bytes += count
