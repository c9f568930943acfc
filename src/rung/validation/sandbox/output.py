"""The output file of a run, which may be a flood."""

from __future__ import annotations

import os

_HEAD_BYTES, _TAIL_BYTES = 64 * 1024, 192 * 1024


def read_capped(descriptor: int) -> str:
    """Head and tail of the output file; a byte that is not UTF-8 becomes U+FFFD."""
    size = os.fstat(descriptor).st_size
    if size <= _HEAD_BYTES + _TAIL_BYTES:
        return os.pread(descriptor, size, 0).decode("utf-8", "replace")
    head = os.pread(descriptor, _HEAD_BYTES, 0).decode("utf-8", "replace")
    tail = os.pread(descriptor, _TAIL_BYTES, size - _TAIL_BYTES).decode("utf-8", "replace")
    left_out = size - _HEAD_BYTES - _TAIL_BYTES
    return f"{head}\n[{left_out} bytes left out]\n{tail}"
