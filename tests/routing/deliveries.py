"""What the tests of delivery share: a model on a real adapter, and who hands out leases."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rung.chat import Cancellation, ChatRequest, Completion, LoadedModel, LoadOptions, ModelInfo
from rung.config.settings import ModelSettings, Settings
from rung.engines.base import Engine
from rung.engines.openai_compatible import OpenAICompatibleEngine
from rung.errors import EngineError
from rung.models.measured import Measurements
from rung.routing.delivery import Delivery, Trace
from rung.routing.models import FREE, RoutedModel, routed
from rung.routing.tiers import DEFAULT_TIERS
from tests.fakes.server import MODEL


class CountingEngine(OpenAICompatibleEngine):
    """An adapter that can count; `tokens` is what it says, `counts` how often it was asked."""

    can_count = True
    tokens: int | None = None
    counts = 0

    async def count_tokens(self, request: ChatRequest) -> int | None:
        self.counts += 1
        return self.tokens


@dataclass
class Desk:
    """Hands out leases at once, and keeps a record of them."""

    loaded: LoadedModel | None = None
    load_ms: float | None = None
    asked: list[tuple[str, LoadOptions, float | None]] = field(default_factory=list[Any])
    held: int = 0
    queue_ms: float = 5.0

    @asynccontextmanager
    async def lease(
        self,
        engine: Engine,
        model: str,
        options: LoadOptions,
        *,
        timeout_s: float | None = None,
        cancel: Cancellation | None = None,
    ) -> AsyncGenerator[Desk]:
        self.asked.append((f"{engine.name}/{model}", options, timeout_s))
        self.held += 1
        try:
            yield self
        finally:
            self.held -= 1


@dataclass
class Delivered:
    """A delivery, and everything that it touches."""

    delivery: Delivery
    model: RoutedModel
    measured: Measurements
    trace: Trace
    reports: list[EngineError | None]

    async def ask(self, request: ChatRequest) -> Completion:
        """The completion, from a stream that is read to its end."""
        completion = None
        async for chunk in self.delivery.stream(self.model, request, self.trace):
            completion = chunk.completion or completion
        assert completion is not None
        return completion


def delivered(
    engine: Engine,
    folder: Path,
    *,
    desk: Desk | None = None,
    declared: ModelSettings | None = None,
    is_paid: bool = False,
    settings: Settings | None = None,
    **info: Any,
) -> Delivered:
    """A delivery to one model of `engine`; `info` is what the engine lists of it."""
    name = f"{engine.name}/{MODEL}"
    whole = (settings or Settings()).replaced(models={name: declared} if declared else {})
    model = routed(engine, ModelInfo(id=MODEL, **info), declared, DEFAULT_TIERS)
    price = None if is_paid else FREE
    measured = Measurements(folder)
    reports: list[EngineError | None] = []
    return Delivered(
        delivery=Delivery(whole, measured, desk, lambda _, failure: reports.append(failure)),
        model=RoutedModel(engine=engine, info=model.info, tier="local_fast", level=-2, price=price),
        measured=measured,
        trace=Trace(),
        reports=reports,
    )
