"""An engine with a memory of its own, whose loads and failures a test decides on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from rung.chat import (
    ChatRequest,
    Chunk,
    Completion,
    Health,
    Level,
    LoadedModel,
    LoadOptions,
    Locality,
    ModelInfo,
)
from rung.config.settings import MemorySettings, Settings
from rung.engines.base import Engine
from rung.errors import EngineError, EngineErrorKind
from rung.ledger.rows import AuditRow
from rung.models.lifecycle.claims import Claims
from rung.models.lifecycle.manager import ModelManager
from rung.models.measured import Measurements

GIB = 1 << 30


class ScriptedEngine(Engine):
    """Models of `sizes` GiB. `log` is what it was told to do; a held `gate` lets nothing finish.

    It fails where `failures` has an error for the operation and the model, once for each.
    """

    kind = "openai"
    tool = "scripted"
    can_load = True

    def __init__(
        self,
        sizes: dict[str, float],
        *,
        name: str = "scripted",
        capacity: float = 1000.0,
        locality: Locality = "local",
        tells_memory: bool = True,
    ) -> None:
        self.name = name
        self.locality = locality
        self.sizes = sizes
        self.capacity = capacity
        self.tells_memory = tells_memory
        self.memory: dict[str, LoadOptions] = {}
        self.busy: dict[str, int] = {}
        self.log: list[str] = []
        self.failures: dict[str, list[EngineErrorKind]] = {}
        self.gate = asyncio.Event()
        self.gate.set()

    @property
    def used(self) -> float:
        return sum(self.sizes[model] for model in self.memory)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        model = request.model
        self._fail("stream", model)
        assert model in self.memory, f"{model} is asked, but not loaded"
        self.busy[model] = self.busy.get(model, 0) + 1
        try:
            await asyncio.sleep(0)
            assert model in self.memory, f"{model} was unloaded while it answered"
            yield Chunk(completion=Completion(text="yes", engine=self.name, model=model))
        finally:
            self.busy[model] -= 1

    async def load(
        self,
        model: str,
        options: LoadOptions,
        on_progress: Callable[[float], None] | None = None,
    ) -> LoadedModel:
        if model in self.memory and options == LoadOptions():
            self.log.append(f"keep {model}")
            return self._told(model)
        self.log.append(f"load {model}")
        assert model not in self.memory, f"{model} is loaded twice"
        await self.gate.wait()
        self._fail("load", model)
        if self.used + self.sizes[model] > self.capacity:
            raise self._error("out_of_memory", model)
        if on_progress is not None:
            on_progress(0.5)
        self.memory[model] = options
        return self._told(model)

    async def unload(self, model: str) -> None:
        self.log.append(f"unload {model}")
        await self.gate.wait()
        self._fail("unload", model)
        self.memory.pop(model, None)

    async def hand_back(self, model: str, idle_s: float) -> None:
        await self.gate.wait()
        self.log.append(f"hand back {model} {idle_s:g}")

    async def loaded(self) -> Sequence[LoadedModel]:
        self._fail("loaded", "")
        return [self._told(model) for model in self.memory]

    async def health(self, model: str | None = None, *, probe: bool = False) -> Health:
        return Health(reachable=Level(ok=True))

    async def list_models(self) -> list[ModelInfo]:
        return [ModelInfo(id=model) for model in self.sizes]

    async def close(self) -> None:
        self.memory.clear()

    def lose(self, model: str) -> None:
        """Somebody else unloads it, or its process dies."""
        self.memory.pop(model)

    def _told(self, model: str) -> LoadedModel:
        options = self.memory[model]
        return LoadedModel(
            model=model,
            context_tokens=options.context_tokens,
            slots=options.slots,
            memory_bytes=round(self.sizes[model] * GIB) if self.tells_memory else None,
        )

    def _fail(self, operation: str, model: str) -> None:
        waiting = self.failures.get(f"{operation} {model}".strip())
        if waiting:
            raise self._error(waiting.pop(0), model)

    def _error(self, kind: EngineErrorKind, model: str) -> EngineError:
        return EngineError(kind, f"scripted: {kind}", engine=self.name, model=model or None)


def manager_of(
    tmp_path: Path,
    *engines: ScriptedEngine,
    budget_gib: float = 10.0,
    record: Callable[[AuditRow], None] = lambda _row: None,
    knows_sizes: bool = True,
    available: int = 0,
    claims: Claims | None = None,
    **settings: Any,
) -> ModelManager:
    """A manager for engines whose sizes are known beforehand, unless they are not."""

    def footprint(engine: Engine, model: str, options: LoadOptions) -> int | None:
        assert isinstance(engine, ScriptedEngine)
        return round(engine.sizes[model] * GIB) if knows_sizes else None

    memory = MemorySettings(budget_gib=budget_gib)
    return ModelManager(
        Settings(data_dir=tmp_path, memory=memory, **settings),
        Measurements(tmp_path),
        footprint=footprint,
        record=record,
        available=lambda: available,
        engines=engines,
        claims=claims,
    )


async def ask(
    manager: ModelManager, engine: Engine, model: str, options: LoadOptions | None = None
) -> str:
    """One call under a lease."""
    async with manager.lease(engine, model, options or LoadOptions()):
        completion = await engine.complete(ChatRequest(model=model, messages=()))
        return completion.text


def kinds(rows: Iterable[AuditRow]) -> list[tuple[str, str]]:
    return [(row.kind, row.details["model"]) for row in rows]


def options(**fields: Any) -> LoadOptions:
    return msgspec.structs.replace(LoadOptions(), **fields)
