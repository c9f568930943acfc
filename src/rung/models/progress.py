"""How far a pull has come, and how blocking work runs beside the event loop."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

import msgspec

Phase = Literal["waiting", "downloading", "extracting", "verifying", "done"]
T = TypeVar("T")

_POLL_S = 0.1
_MEMORY_S = 5.0  # how far back a rate looks


class PullProgress(msgspec.Struct, frozen=True, kw_only=True):
    """Each phase counts its own bytes, and `done_bytes` never falls within one.

    `waiting` means that another process holds the model; a zero `total_bytes` that it is unknown.
    `problem` is why nothing comes just now, while it is being tried again.
    """

    phase: Phase
    done_bytes: int
    total_bytes: int
    problem: str = ""


class Reporter:
    """Passes progress on where there is some: never back, never twice, never past the total."""

    def __init__(self, on_progress: Callable[[PullProgress], None]) -> None:
        self._on_progress = on_progress
        self._last: PullProgress | None = None
        self._problem = ""

    def report_problem(self, problem: str) -> None:
        """Why nothing comes; it is shown until something does."""
        self._problem = problem
        if (last := self._last) is not None:
            self._tell(msgspec.structs.replace(last, problem=problem))

    def report(self, phase: Phase, done_bytes: int, total_bytes: int) -> None:
        """`total_bytes` may become known, or grow, on the way; zero: it is not known."""
        last = self._last
        if last is not None and last.phase == phase:
            done_bytes = max(done_bytes, last.done_bytes)
        if total_bytes:
            done_bytes = min(done_bytes, total_bytes)
        if last is None or (last.phase, last.done_bytes) != (phase, done_bytes):
            self._problem = ""
        self._tell(
            PullProgress(
                phase=phase,
                done_bytes=done_bytes,
                total_bytes=total_bytes,
                problem=self._problem,
            )
        )

    def _tell(self, now: PullProgress) -> None:
        if now != self._last:
            self._last = now
            self._on_progress(now)

    async def during(
        self, phase: Phase, total_bytes: int, work: Awaitable[T], measure: Callable[[], int]
    ) -> T:
        """Await `work`, reporting `measure()` ten times a second. Cancelled, `work` ends first."""
        task = asyncio.ensure_future(work)
        try:
            self.report(phase, measure(), total_bytes)
            while not task.done():
                await asyncio.wait({task}, timeout=_POLL_S)
                self.report(phase, measure(), total_bytes)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
                self.report(phase, measure(), total_bytes)
        return task.result()


class Pace:
    """Bytes per second, smoothed: what came in the last seconds counts most.

    An exponential average over time, so that it does not depend on how often it is fed.
    """

    def __init__(self) -> None:
        self.bytes_per_s: float | None = None
        self._last: tuple[float, int] | None = None

    def feed(self, at_s: float, done_bytes: int) -> None:
        """`done_bytes` at the time `at_s`. Fewer than before is a new start."""
        if self._last is None or done_bytes < self._last[1]:
            self._last, self.bytes_per_s = (at_s, done_bytes), None
            return
        passed_s = at_s - self._last[0]
        if passed_s <= 0:
            return
        seen = (done_bytes - self._last[1]) / passed_s
        weight = 1 - math.exp(-passed_s / _MEMORY_S)
        known = self.bytes_per_s
        self.bytes_per_s = seen if known is None else known + weight * (seen - known)
        self._last = (at_s, done_bytes)

    def eta_s(self, left_bytes: int) -> float | None:
        """Seconds until `left_bytes` more have come; `None` while that cannot be told."""
        return left_bytes / self.bytes_per_s if self.bytes_per_s else None


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
