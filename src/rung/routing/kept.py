"""A value that takes a while to look up: kept, and looked up anew in the background."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class _Known(Generic[T]):
    """What was seen, when, and until when it is good; moments of the monotonic clock."""

    value: T
    seen_at: float
    fresh_until: float


class Kept(Generic[T]):
    """Only the first `get` waits; later ones get what is known at once ("stale while revalidate").

    `look` gets what was known before; it is never run twice at a time, must bound itself, and
    raises nothing. `fresh_s` says how long its result is good for; one that is older is still
    served, while the next is looked up.
    """

    def __init__(
        self, look: Callable[[T | None], Awaitable[T]], fresh_s: Callable[[T], float]
    ) -> None:
        self._look = look
        self._fresh_s = fresh_s
        self._known: _Known[T] | None = None
        self._looking: asyncio.Task[T] | None = None

    async def get(self, max_age_s: float = math.inf) -> T:
        """What is known; a caller who cannot do with anything older waits for the next look."""
        known, now = self._known, time.monotonic()
        if known is None or now - known.seen_at > max_age_s:
            # Shielded: one caller who goes away must not end the look of the others.
            return await asyncio.shield(self._refresh())
        if now >= known.fresh_until:
            self._refresh()
        return known.value

    @property
    def last(self) -> T | None:
        """What is known now, without a look."""
        return self._known.value if self._known else None

    def expire(self) -> None:
        """Look anew at the next `get`, which still gets what is known."""
        if self._known is not None:
            self._known = replace(self._known, fresh_until=0.0)

    async def close(self) -> None:
        """Ends a look that is under way."""
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()
            await asyncio.wait([looking])

    def _refresh(self) -> asyncio.Task[T]:
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_once())
        return self._looking

    async def _look_once(self) -> T:
        value = await self._look(self.last)
        now = time.monotonic()
        self._known = _Known(value, now, now + self._fresh_s(value))
        return value
