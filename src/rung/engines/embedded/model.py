"""One embedded model: its process, who is being served by it, and who stands at its gate."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from rung.engines.deadline import Deadline
from rung.engines.embedded.process import ModelProcess
from rung.engines.embedded.spec import LoadSpec
from rung.engines.llamacpp.engine import LlamaServerEngine


@dataclass(frozen=True, kw_only=True)
class Seat:
    """A slot of a running model; `load_ms` where this call had to wait for the load."""

    process: ModelProcess
    server: LlamaServerEngine
    queue_ms: float
    load_ms: float | None


class EmbeddedModel:
    """Calls take their turn at a gate, first come, first served, and then one of the slots.

    Who stands at the gate may start the process or replace it, and nobody else, so concurrent
    calls share one load. A process is replaced when all running answers are over.
    """

    def __init__(self, new_process: Callable[[LoadSpec], ModelProcess]) -> None:
        """`new_process` makes one that is not started. Raises `EngineError`."""
        self.process: ModelProcess | None = None
        self.busy = 0
        self._new_process = new_process
        self._gate = asyncio.Lock()
        self._slots = asyncio.Semaphore()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def server(self) -> LlamaServerEngine | None:
        """What to talk to, where the model is loaded."""
        return self.process.server if self.process is not None else None

    async def load(self, spec: LoadSpec, deadline: Deadline) -> ModelProcess:
        """A process that was loaded to `spec`: the one there is, or a new one."""
        await deadline.wait(self._gate.acquire(), "the load waited for its turn")
        try:
            process = self.process
            if process is None or process.server is None or process.spec != spec:
                process = await self._replace(spec, deadline)
            return process
        finally:
            self._gate.release()

    async def take_seat(self, spec: LoadSpec, deadline: Deadline) -> Seat:
        """A slot, which `leave_seat` gives back.

        What is loaded serves, if it is of the same kind; where it has died it is started again.
        """
        queued_at = time.perf_counter()
        load_ms: float | None = None
        await deadline.wait(self._gate.acquire(), "the call waited for its turn")
        try:
            spec = self._as_loaded(spec)
            while True:
                process = self.process
                if process is None or process.server is None or process.spec != spec:
                    process = await self._replace(spec, deadline)
                    load_ms = (load_ms or 0.0) + process.load_ms
                await deadline.wait(self._slots.acquire(), "the call waited for a slot")
                server = process.server
                if server is not None:
                    break
                self._slots.release()  # it died meanwhile
        finally:
            self._gate.release()
        self.busy += 1
        self._idle.clear()
        waited_ms = (time.perf_counter() - queued_at) * 1000
        queue_ms = max(0.0, waited_ms - (load_ms or 0.0))
        return Seat(process=process, server=server, queue_ms=queue_ms, load_ms=load_ms)

    def leave_seat(self) -> None:
        self._slots.release()
        self.busy -= 1
        if not self.busy:
            self._idle.set()

    async def stop(self) -> None:
        """End the process, and with it its answers. Who waits at the gate starts a new one."""
        if self.process is not None:
            await self.process.stop()

    def _as_loaded(self, spec: LoadSpec) -> LoadSpec:
        """How it is loaded, or was when it died; `spec` where that is not of the same kind."""
        process = self.process
        if process is None or process.is_stopped or process.spec.is_embedding != spec.is_embedding:
            return spec
        return process.spec

    async def _replace(self, spec: LoadSpec, deadline: Deadline) -> ModelProcess:
        await deadline.wait(self._idle.wait(), "the call waited for the model's running answers")
        await self.stop()
        # No await until it is kept: whoever stops the model stops the process that is found here.
        process = self.process = self._new_process(spec)
        self._slots = asyncio.Semaphore(spec.slots)
        await process.load(deadline)
        return process
