"""Waiting for what an engine does in its own time and does not announce."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from rung.engines.deadline import Deadline

POLL_S = 0.1


async def until(holds: Callable[[], Awaitable[bool]], deadline: Deadline, doing: str) -> None:
    """Asks again and again until the answer is yes. Raises `EngineError`, kind `timeout`."""
    while not await holds():
        await deadline.wait(asyncio.sleep(POLL_S), doing)
        deadline.check(doing)


class Stall:
    """Whether bytes that should grow have stood still for `limit_s` seconds."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._moved_at = time.monotonic()
        self._most = -1

    def has_moved(self, done_bytes: int) -> bool:
        """Whether there are more than ever before."""
        if done_bytes <= self._most:
            return False
        self._most, self._moved_at = done_bytes, time.monotonic()
        return True

    @property
    def is_over(self) -> bool:
        return time.monotonic() - self._moved_at > self._limit_s
