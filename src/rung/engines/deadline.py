"""How long a call may take, and the switch that ends it early."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Coroutine
from typing import TypeVar

from rung.chat import Cancellation
from rung.engines.failure import Origin
from rung.errors import EngineError

T = TypeVar("T")


class Deadline:
    """Bounds every wait of one call by its total time and by `Cancellation`.

    Only the waits are bounded, never the caller's code between two chunks: a timeout that spans a
    `yield` would strike whatever task happens to be running there (PEP 789).
    """

    def __init__(
        self, origin: Origin, timeout_s: float | None, cancel: Cancellation | None
    ) -> None:
        """`timeout_s` seconds for everything; `None`: as long as each single wait allows."""
        self._loop = asyncio.get_running_loop()
        self._origin = origin
        timeout_s = math.inf if timeout_s is None else timeout_s
        self._timeout_s = timeout_s
        self._cancel = cancel
        self._started_at = self._loop.time()
        self._ends_at = self._started_at + timeout_s
        self._wait: asyncio.Timeout | None = None
        self._watcher = asyncio.create_task(self._watch(cancel)) if cancel else None

    @property
    def elapsed_ms(self) -> float:
        return (self._loop.time() - self._started_at) * 1000

    @property
    def remaining_s(self) -> float | None:
        """Seconds left for everything; `None` where there is no end."""
        return None if math.isinf(self._ends_at) else max(0.0, self._ends_at - self._loop.time())

    async def wait(
        self,
        work: Awaitable[T],
        doing: str,
        limit_s: float | None = None,
        *,
        since_s: float = 0.0,
    ) -> T:
        """The result of `work`. Raises `EngineError` of kind `timeout` or `cancelled`.

        `doing` says what was going on, for the message; `limit_s` bounds this one wait further,
        less the `since_s` seconds of it that have passed already.
        Work that is cancelled already is not begun: the watcher has struck, and strikes only once.
        """
        if self._is_cancelled:
            if isinstance(work, Coroutine):
                work.close()
            raise self._over(doing, self._timeout_s)
        bound_s = self._timeout_s
        until = self._ends_at
        if limit_s is not None:
            limit_ends_at = self._loop.time() + max(0.0, limit_s - since_s)
            if limit_ends_at < until:
                bound_s, until = limit_s, limit_ends_at
        wait = self._wait = asyncio.timeout_at(None if math.isinf(until) else until)
        try:
            async with wait:
                return await work
        except TimeoutError as error:
            if not wait.expired():
                raise
            raise self._over(doing, bound_s) from error
        finally:
            self._wait = None

    def check(self, doing: str) -> None:
        """Raises as `wait` does, for a loop whose waits may all be over before they begin."""
        if self._is_cancelled or self._loop.time() >= self._ends_at:
            raise self._over(doing, self._timeout_s)

    @property
    def _is_cancelled(self) -> bool:
        return self._cancel is not None and self._cancel.is_cancelled

    def _over(self, doing: str, bound_s: float) -> EngineError:
        if self._is_cancelled:
            return self._origin.error("cancelled", f"stopped while {doing}")
        return self._origin.error("timeout", f"gave up after {bound_s:g} s while {doing}")

    async def _watch(self, cancel: Cancellation) -> None:
        await cancel.wait()
        if self._wait is not None and not self._wait.expired():
            self._wait.reschedule(self._loop.time())

    def close(self) -> None:
        """Ends the watch for a cancellation; every call must."""
        if self._watcher is not None:
            self._watcher.cancel()
