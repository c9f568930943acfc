"""The calls at a time of engines that load by themselves, where the user bounds them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from rung.config.settings import Settings
from rung.engines.base import Engine
from rung.engines.deadline import Deadline
from rung.models.lifecycle.lease import LONGEST_WAIT_S, Lease

_WAITED = "the call waited for a slot"


class Slots:
    """One semaphore per engine that has a bound."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._slots: dict[str, asyncio.Semaphore] = {}

    @asynccontextmanager
    async def take(self, engine: Engine, deadline: Deadline) -> AsyncGenerator[Lease]:
        """A slot of the engine; closes the `deadline` once it is there, or cannot be had."""
        configured = self._settings.engines.get(engine.name)
        slot = None
        try:
            deadline.check(_WAITED)
            if configured is not None and configured.slots:
                slot = self._slots.setdefault(engine.name, asyncio.Semaphore(configured.slots))
                await deadline.wait(slot.acquire(), _WAITED, LONGEST_WAIT_S)
            queue_ms = deadline.elapsed_ms
        finally:
            deadline.close()
        try:
            yield Lease(queue_ms=queue_ms)
        finally:
            if slot is not None:
                slot.release()
