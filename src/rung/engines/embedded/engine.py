"""llama.cpp in child processes of Rung's own, one per model, each started when it is needed.

Which models are in memory together is not decided here: `load` and `unload` do as they are told,
and a call to a model that is not loaded loads it, beside all others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import msgspec

from rung.chat import (
    ChatRequest,
    Chunk,
    Embeddings,
    EmbedRequest,
    Health,
    Level,
    LoadedModel,
    LoadOptions,
    Locality,
    ModelInfo,
)
from rung.config.settings import EmbeddedSettings
from rung.engines.base import Engine
from rung.engines.deadline import Deadline
from rung.engines.embedded.model import EmbeddedModel, Seat
from rung.engines.embedded.process import INSTALL_ADVICE, ModelProcess
from rung.engines.embedded.spec import LoadSpec, load_spec
from rung.engines.failure import Origin
from rung.engines.health import check_probe
from rung.engines.limits import check_request
from rung.errors import EngineError, ModelError

# After `kill -9` the connection breaks before the kernel reports the process as ended.
_NOTICE_DEATH_S = 1.0


class EmbeddedEngine(Engine):
    """`model_path` finds a model's gguf or raises `ModelError`; `installed` lists those there are.

    SmolLM2's chat template knows no tools: a request with tools is answered in text.
    """

    kind = "embedded"
    tool = "embedded"
    locality: Locality = "local"
    enforces_schema = True
    can_load = True
    can_embed = True
    can_count = True
    repeats_itself = True
    continues_answers = True

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
        self._models: dict[str, EmbeddedModel] = {}
        self._is_closed = False

    @property
    def pids(self) -> dict[str, int]:
        """The process of each model that has one, started or starting."""
        processes = {name: held.process for name, held in self._models.items()}
        return {
            name: process.pid
            for name, process in processes.items()
            if process is not None and process.is_alive and process.pid is not None
        }

    @property
    def in_flight(self) -> int:
        """How many requests are being answered."""
        return sum(held.busy for held in self._models.values())

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        origin = self._origin(request.model)
        spec = self._spec(request.model, LoadOptions())
        held = self._models.get(request.model)
        if held is not None and held.process is not None:
            spec = held.process.spec
        check_request(request, spec.context_tokens, origin)
        deadline = Deadline(origin, request.timeout_s, request.cancel)
        try:
            for is_last_try in (False, True):
                has_begun = False
                async with self._seat(request.model, LoadOptions(), deadline) as seat:
                    try:
                        inner = msgspec.structs.replace(request, timeout_s=deadline.remaining_s)
                        async with aclosing(seat.server.stream(inner)) as chunks:
                            async for chunk in chunks:
                                has_begun = True
                                yield _labelled(chunk, seat, deadline)
                        return
                    except EngineError as error:
                        if not await _has_died(seat, error):
                            raise
                        if has_begun or is_last_try or seat.process.is_stopped:
                            raise self._death(seat, origin) from error
        finally:
            deadline.close()

    async def load(
        self,
        model: str,
        options: LoadOptions,
        on_progress: Callable[[float], None] | None = None,
    ) -> LoadedModel:
        """Starts a process for the model; llama.cpp does not tell how far it has come.

        With other options than it was loaded with it is loaded anew, after its running answers.
        """
        deadline = Deadline(self._origin(model), None, None)
        process = await self._held(model).load(self._spec(model, options), deadline)
        return process.loaded()

    async def unload(self, model: str) -> None:
        """Ends the model's process, and with it the answers that it is writing."""
        held = self._models.get(model)
        if held is not None:
            await held.stop()

    async def loaded(self) -> Sequence[LoadedModel]:
        held = [held.process for held in self._models.values() if held.server is not None]
        return [process.loaded() for process in held if process is not None]

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """The vectors, by a process that was loaded for embeddings: one for chat gives none."""
        deadline = Deadline(self._origin(request.model), request.timeout_s, None)
        options = LoadOptions(is_embedding=True)
        async with self._seat(request.model, options, deadline) as seat:
            inner = msgspec.structs.replace(request, timeout_s=deadline.remaining_s)
            return await seat.server.embed(inner)

    async def count_tokens(self, request: ChatRequest) -> int | None:
        held = self._models.get(request.model)
        server = held.server if held is not None else None
        return await server.count_tokens(request) if server is not None else None

    async def health(self, model: str | None = None, *, probe: bool = False) -> Health:
        """Not started but startable counts as reachable: it starts with the first request."""
        wanted = model or self.settings.model
        started_at = time.perf_counter()
        error = await self._cannot_serve(wanted)
        latency_ms = (time.perf_counter() - started_at) * 1000
        is_there = Level(ok=error is None, latency_ms=latency_ms, error=error)
        held = self._models.get(wanted)
        is_loaded = held is not None and held.server is not None
        loaded = Level(
            ok=is_loaded, latency_ms=latency_ms, error=None if is_loaded else "not loaded"
        )
        probed = await check_probe(self, wanted) if probe and is_there.ok else Level()
        if probed.ok:
            loaded = Level(ok=True, latency_ms=latency_ms)
        return Health(reachable=is_there, listed=is_there, loaded=loaded, probed=probed)

    async def list_models(self) -> list[ModelInfo]:
        """The installed models, each with the window that it is, or would be, loaded with."""
        running = {entry.model: entry for entry in await self.loaded()}
        return [
            msgspec.structs.replace(
                model,
                context_tokens=self._window(model, running.get(model.id)),
                memory_bytes=running[model.id].memory_bytes if model.id in running else None,
                is_loaded=model.id in running,
            )
            for model in self._installed()
        ]

    async def version(self) -> str | None:
        """That of the package that brings llama.cpp."""
        try:
            return metadata.version("xllamacpp")
        except metadata.PackageNotFoundError:
            return None

    async def close(self) -> None:
        """Ends the children. An answer that is being written fails as `cancelled`."""
        self._is_closed = True
        await asyncio.gather(*(held.stop() for held in self._models.values()))

    def _window(self, model: ModelInfo, running: LoadedModel | None) -> int:
        if running is not None and running.context_tokens is not None:
            return running.context_tokens
        trained = model.max_context_tokens or model.context_tokens
        return load_spec(self.settings, LoadOptions(), trained).context_tokens

    def _origin(self, model: str | None) -> Origin:
        return Origin(engine=self.name, base_url="the embedded llama.cpp", model=model)

    def _spec(self, model: str, options: LoadOptions) -> LoadSpec:
        trained = next((m.max_context_tokens for m in self._installed() if m.id == model), None)
        return load_spec(self.settings, options, trained)

    def _held(self, model: str) -> EmbeddedModel:
        """The model's place, made for the first call. Raises `EngineError` where it cannot be."""
        held = self._models.get(model)
        if held is None:
            self._find(model)
            held = self._models[model] = EmbeddedModel(partial(self._new_process, model))
        return held

    @asynccontextmanager
    async def _seat(
        self, model: str, options: LoadOptions, deadline: Deadline
    ) -> AsyncGenerator[Seat]:
        held = self._held(model)
        seat = await held.take_seat(self._spec(model, options), deadline)
        try:
            yield seat
        finally:
            held.leave_seat()

    def _new_process(self, model: str, spec: LoadSpec) -> ModelProcess:
        return ModelProcess(model, self._find(model), spec, self._origin(model))

    def _find(self, model: str) -> Path:
        """The model's file. Raises `EngineError` where it cannot be served."""
        origin = self._origin(model)
        if self._is_closed:
            raise origin.error("cancelled", "the engine is closed")
        if find_spec("xllamacpp") is None:
            raise origin.error("unconfigured", f"xllamacpp is not installed; {INSTALL_ADVICE}")
        try:
            return self._model_path(model)
        except ModelError as error:
            raise origin.error("model_missing", str(error)) from error

    def _death(self, seat: Seat, origin: Origin) -> EngineError:
        if self._is_closed:
            return origin.error("cancelled", "the engine was closed while it answered")
        if seat.process.is_stopped:
            return origin.error("model_not_loaded", "it was unloaded while it answered")
        return origin.error(
            "unreachable",
            f"the model's process {seat.process.epitaph()} while it answered; "
            "the next call starts a fresh one",
        )

    async def _cannot_serve(self, model: str) -> str | None:
        """Why `model` cannot be served, without starting anything; `None` where it can."""
        try:
            self._find(model)
        except EngineError as error:
            return f"{error.kind}: {error.message}"
        held = self._models.get(model)
        server = held.server if held is not None else None
        return (await server.health()).reachable.error if server is not None else None


async def _has_died(seat: Seat, error: EngineError) -> bool:
    return error.kind == "unreachable" and await seat.process.ended(_NOTICE_DEATH_S)


def _labelled(chunk: Chunk, seat: Seat, deadline: Deadline) -> Chunk:
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
