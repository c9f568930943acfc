"""llama.cpp in a child process of Rung's own: one model at a time, started when it is needed.

Requests take their turn at a gate, first come, first served, and then one of the slots. Whoever
stands at the gate may start the process or exchange its model, and nobody else, so concurrent
calls share one load, and two models never thrash: a swap waits until all running answers are over.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import msgspec

from rung.chat import ChatRequest, Chunk, Health, Level, Locality, ModelInfo
from rung.config.settings import EmbeddedSettings
from rung.engines.base import Engine
from rung.engines.deadline import Deadline
from rung.engines.embedded_process import INSTALL_ADVICE, ModelProcess, context_tokens
from rung.engines.failure import Origin
from rung.engines.health import check_probe
from rung.engines.limits import check_request
from rung.engines.openai_compatible import OpenAICompatibleEngine
from rung.errors import EngineError, ModelError

# After `kill -9` the connection breaks before the kernel reports the process as ended.
_NOTICE_DEATH_S = 1.0


@dataclass(frozen=True, kw_only=True)
class _Seat:
    """A slot of a running model; `load_ms` where this call had to wait for the load."""

    process: ModelProcess
    engine: OpenAICompatibleEngine
    queue_ms: float
    load_ms: float | None


class EmbeddedEngine(Engine):
    """`model_path` finds a model's gguf or raises `ModelError`; `installed` lists those there are.

    SmolLM2's chat template knows no tools: a request with tools is answered in text.
    """

    kind = "embedded"
    tool = "embedded"
    locality: Locality = "local"
    enforces_schema = True

    def __init__(
        self,
        settings: EmbeddedSettings,
        model_path: Callable[[str], Path],
        installed: Callable[[], list[ModelInfo]],
        *,
        name: str = "embedded",
    ) -> None:
        self.name = name
        self.settings = settings
        self._model_path = model_path
        self._installed = installed
        self._process: ModelProcess | None = None
        self._is_closed = False
        self._gate = asyncio.Lock()
        self._slots = asyncio.Semaphore(max(1, settings.slots))
        self._idle = asyncio.Event()
        self._idle.set()
        self._busy = 0

    @property
    def pid(self) -> int | None:
        """The process id of the child, where one is running."""
        return self._process.pid if self._process is not None and self._process.is_alive else None

    @property
    def in_flight(self) -> int:
        """How many requests the model is answering."""
        return self._busy

    @property
    def loaded_model(self) -> str | None:
        """The model that is loaded."""
        process = self._process
        return process.model if process is not None and process.serves(process.model) else None

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        origin = self._origin(request.model)
        check_request(request, context_tokens(self.settings), origin)
        timeout_s = self.settings.timeout_s if request.timeout_s is None else request.timeout_s
        deadline = Deadline(origin, timeout_s, request.cancel)
        try:
            for is_last_try in (False, True):
                seat = await self._take_seat(request.model, origin, deadline)
                has_begun = False
                try:
                    inner = msgspec.structs.replace(request, timeout_s=deadline.remaining_s)
                    async with aclosing(seat.engine.stream(inner)) as chunks:
                        async for chunk in chunks:
                            has_begun = True
                            yield _labelled(chunk, seat, deadline)
                    return
                except EngineError as error:
                    if not await self._has_died(seat, error):
                        raise
                    if has_begun or is_last_try or self._is_closed:
                        raise self._death(seat, origin) from error
                finally:
                    self._leave_seat()
        finally:
            deadline.close()

    async def health(self, model: str | None = None, *, probe: bool = False) -> Health:
        """Not started but startable counts as reachable: it starts with the first request."""
        wanted = model or self.settings.model
        started_at = time.perf_counter()
        error = await self._cannot_start(wanted)
        latency_ms = (time.perf_counter() - started_at) * 1000
        is_there = Level(ok=error is None, latency_ms=latency_ms, error=error)
        is_loaded = self.loaded_model == wanted
        loaded = Level(
            ok=is_loaded, latency_ms=latency_ms, error=None if is_loaded else "not loaded"
        )
        probed = await check_probe(self, wanted) if probe and is_there.ok else Level()
        if probed.ok:
            loaded = Level(ok=True, latency_ms=latency_ms)
        return Health(reachable=is_there, listed=is_there, loaded=loaded, probed=probed)

    async def list_models(self) -> list[ModelInfo]:
        """The installed models, each with the context window that it would be loaded with."""
        window = context_tokens(self.settings)
        return [
            msgspec.structs.replace(
                model,
                context_tokens=min(model.context_tokens or window, window),
                is_loaded=model.id == self.loaded_model,
            )
            for model in self._installed()
        ]

    async def close(self) -> None:
        """Ends the child. An answer that is being written fails as `cancelled`."""
        self._is_closed = True
        if self._process is not None:
            await self._process.stop()

    def _origin(self, model: str | None) -> Origin:
        return Origin(engine=self.name, base_url="the embedded llama.cpp", model=model)

    async def _take_seat(self, model: str, origin: Origin, deadline: Deadline) -> _Seat:
        """A slot of a process that has `model`; `_leave_seat` gives it back."""
        queued_at = time.perf_counter()
        await deadline.wait(self._gate.acquire(), "the call waited for its turn")
        try:
            await deadline.wait(self._slots.acquire(), "the call waited for a slot")
            try:
                process = self._process
                engine = process.serves(model) if process is not None else None
                load_ms = None
                if engine is None:
                    await deadline.wait(self._idle.wait(), "the call waited to change the model")
                queue_ms = (time.perf_counter() - queued_at) * 1000
                if process is None or engine is None:
                    process = await self._replace_process(model, origin)
                    engine = await process.load(deadline)
                    load_ms = process.load_ms
            except BaseException:
                self._slots.release()
                raise
        finally:
            self._gate.release()
        self._busy += 1
        self._idle.clear()
        return _Seat(process=process, engine=engine, queue_ms=queue_ms, load_ms=load_ms)

    def _leave_seat(self) -> None:
        self._slots.release()
        self._busy -= 1
        if not self._busy:
            self._idle.set()

    async def _replace_process(self, model: str, origin: Origin) -> ModelProcess:
        """A process for `model`, not yet loaded, in place of what was there. The gate is held."""
        self._check_open(origin)
        if find_spec("xllamacpp") is None:
            raise origin.error("unconfigured", f"xllamacpp is not installed; {INSTALL_ADVICE}")
        try:
            path = self._model_path(model)
        except ModelError as error:
            raise origin.error("model_missing", str(error)) from error
        if self._process is not None:
            await self._process.stop()
        # No await from here on: `close` stops the process that it finds, and no later one.
        self._check_open(origin)
        self._process = ModelProcess(model, path, self.settings, origin)
        return self._process

    def _check_open(self, origin: Origin) -> None:
        if self._is_closed:
            raise origin.error("cancelled", "the engine is closed")

    async def _has_died(self, seat: _Seat, error: EngineError) -> bool:
        return error.kind == "unreachable" and await seat.process.ended(_NOTICE_DEATH_S)

    def _death(self, seat: _Seat, origin: Origin) -> EngineError:
        if self._is_closed:
            return origin.error("cancelled", "the engine was closed while it answered")
        return origin.error(
            "unreachable",
            f"the model's process {seat.process.epitaph()} while it answered; "
            "the next call starts a fresh one",
        )

    async def _cannot_start(self, model: str) -> str | None:
        """Why `model` cannot be served, without starting anything; `None` where it can."""
        process = self._process
        engine = process.serves(process.model) if process is not None else None
        if engine is not None:
            health = await engine.health()
            if not health.reachable.ok:
                return health.reachable.error
        if find_spec("xllamacpp") is None:
            return f"unconfigured: xllamacpp is not installed; {INSTALL_ADVICE}"
        try:
            self._model_path(model)
        except ModelError as error:
            return f"model_missing: {error}"
        return None


def _labelled(chunk: Chunk, seat: _Seat, deadline: Deadline) -> Chunk:
    """The chunk with the times of the whole call, not only of the answer, in its completion."""
    if chunk.completion is None:
        return chunk
    timings = msgspec.structs.replace(
        chunk.completion.timings,
        queue_ms=seat.queue_ms,
        load_ms=seat.load_ms,
        total_ms=deadline.elapsed_ms,
    )
    return msgspec.structs.replace(
        chunk, completion=msgspec.structs.replace(chunk.completion, timings=timings)
    )
