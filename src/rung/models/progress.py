"""How far a pull has come, and how blocking work runs beside the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

import msgspec

Phase = Literal["waiting", "downloading", "extracting", "verifying", "done"]
T = TypeVar("T")

_POLL_S = 0.1


class PullProgress(msgspec.Struct, frozen=True, kw_only=True):
    """Each phase counts its own bytes, and `done_bytes` never falls within one.

    `waiting` means that another process is pulling the same model.
    """

    phase: Phase
    done_bytes: int
    total_bytes: int


class Reporter:
    """Passes progress on where there is some: never back, never twice, never past the total."""

    def __init__(self, on_progress: Callable[[PullProgress], None]) -> None:
        self._on_progress = on_progress
        self._phase: Phase | None = None
        self._done_bytes = -1

    def report(self, phase: Phase, done_bytes: int, total_bytes: int) -> None:
        done_bytes = min(done_bytes, total_bytes)
        if phase != self._phase or done_bytes > self._done_bytes:
            self._phase, self._done_bytes = phase, done_bytes
            self._on_progress(
                PullProgress(phase=phase, done_bytes=done_bytes, total_bytes=total_bytes)
            )

    async def during(
        self, phase: Phase, total_bytes: int, work: Awaitable[T], measure: Callable[[], int]
    ) -> T:
        """Await `work`, reporting `measure()` ten times a second. Cancelled, `work` ends first."""
        task = asyncio.ensure_future(work)
        try:
            self.report(phase, 0, total_bytes)
            while not task.done():
                await asyncio.wait({task}, timeout=_POLL_S)
                self.report(phase, measure(), total_bytes)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
        return task.result()


class Meter:
    """What a working thread and the event loop share: bytes done, and the wish to stop."""

    def __init__(self) -> None:
        self.done_bytes = 0
        self.stop = threading.Event()


async def in_thread(work: Callable[[Meter], T], meter: Meter) -> T:
    """Run blocking `work(meter)` in a thread. Cancelled, it is told to stop and waited for."""
    task = asyncio.ensure_future(asyncio.to_thread(work, meter))
    try:
        return await asyncio.shield(task)
    finally:
        if not task.done():
            meter.stop.set()
            await asyncio.wait({task})
            task.exception()  # retrieved: the thread's answer to being stopped
