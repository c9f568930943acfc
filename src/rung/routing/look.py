"""One bounded look at an engine: what it lists, and how it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass

from rung.chat import Health, Level, ModelInfo
from rung.engines.base import Engine
from rung.errors import EngineError
from rung.routing.models import RoutedModel

LOOK_TIMEOUT_S = 2.0
LISTING_FRESH_S = 15.0
FIRST_RETRY_S = 2.0
LONGEST_RETRY_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What one engine answered when it was last asked for its models.

    `infos` are its own words, `models` what the router makes of them; `failures` counts the looks
    in a row that failed.
    """

    engine: Engine
    infos: tuple[ModelInfo, ...]
    failure: EngineError | None
    latency_ms: float
    models: tuple[RoutedModel, ...] = ()
    failures: int = 0

    @property
    def error(self) -> str | None:
        """What went wrong, for people to read."""
        return self.failure.message if self.failure else None

    @property
    def fresh_s(self) -> float:
        """How long to go by it: an engine that fails is asked less and less often."""
        if self.failure is None:
            return LISTING_FRESH_S
        return min(FIRST_RETRY_S * 2 ** min(self.failures - 1, 16), LONGEST_RETRY_S)


def patience_s(engine: Engine) -> float:
    """How long one look may take; a way that must be opened first, over SSH, takes its own time."""
    return LOOK_TIMEOUT_S + engine.opening_s


async def look(engine: Engine, last: Listing | None) -> Listing:
    """What the engine lists now; a failure is a listing too. `last` is the one before."""
    started = time.monotonic()
    failure: EngineError | None = None
    infos: tuple[ModelInfo, ...] = ()
    limit_s = patience_s(engine)
    try:
        async with asyncio.timeout(limit_s):
            infos = tuple(await engine.list_models())
    except TimeoutError:
        message = f"{engine.name} did not list its models within {limit_s:g} s"
        failure = EngineError("timeout", message, engine=engine.name)
    except EngineError as error:
        failure = error
    return Listing(
        engine=engine,
        infos=infos,
        failure=failure,
        latency_ms=(time.monotonic() - started) * 1000,
        failures=0 if failure is None else 1 + (last.failures if last else 0),
    )


async def within_a_look(engine: Engine, listing: Awaitable[Listing]) -> Listing:
    """`listing`, for one who wants every engine's and waits for no tunnel to be opened."""
    if engine.opening_s <= 0:
        return await listing
    started = time.monotonic()
    try:
        async with asyncio.timeout(LOOK_TIMEOUT_S):
            return await listing
    except TimeoutError:
        failure = EngineError("timeout", "its SSH tunnel is still being opened", engine=engine.name)
        spent_ms = (time.monotonic() - started) * 1000
        return Listing(engine=engine, infos=(), failure=failure, latency_ms=spent_ms)


async def bounded_health(engine: Engine, model_id: str | None) -> Health:
    """The engine's own levels, without a probe; a failure to look is an answer too."""
    limit_s = patience_s(engine)
    try:
        async with asyncio.timeout(limit_s):
            return await engine.health(model_id)
    except TimeoutError:
        error = f"no answer within {limit_s:g} s"
        return Health(reachable=Level(ok=False, error=error))
    except EngineError as error:
        return Health(reachable=Level(ok=False, error=error.message))
