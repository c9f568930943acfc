"""Which models can be used now, and in what order they are tried."""

from __future__ import annotations

import asyncio
import difflib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from rung.chat import Health, Level, ModelInfo
from rung.config.settings import Settings
from rung.engines.base import Engine
from rung.errors import ConfigError, EngineError, EngineErrorKind, UsageError
from rung.routing.models import RoutedModel, routed
from rung.routing.tiers import DEFAULT_TIERS

LISTING_TIMEOUT_S = 2.0
LISTING_FRESH_S = 15.0

FALLBACK_KINDS: frozenset[EngineErrorKind] = frozenset(
    {
        "unconfigured",
        "unreachable",
        "timeout",
        "unauthorized",
        "rate_limited",
        "overloaded",
        "model_missing",
        "model_not_loaded",
        "out_of_memory",
        "server_error",
    }
)


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What one engine answered when it was last asked for its models."""

    engine: Engine
    models: tuple[RoutedModel, ...]
    failure: EngineError | None
    latency_ms: float
    at: float

    @property
    def error(self) -> str | None:
        """What went wrong, for people to read."""
        return self.failure.message if self.failure else None


class Router:
    """Knows every engine. A dead engine costs at most one bounded look, then it is remembered."""

    def __init__(self, settings: Settings, engines: Sequence[Engine]) -> None:
        self._settings = settings
        self._engines: dict[str, Engine] = {}
        for engine in engines:
            if engine.name in self._engines:
                raise ConfigError(f"two engines are called {engine.name!r}; rename one of them")
            self._engines[engine.name] = engine
        self._listings: dict[str, Listing] = {}
        self.tiers: Mapping[str, int] = {**DEFAULT_TIERS, **settings.tiers}
        for name, model in settings.models.items():
            if model.tier and model.tier not in self.tiers:
                raise ConfigError(
                    f'models."{name}".tier: unknown tier {model.tier!r}; known are '
                    f"{', '.join(self.tiers)}; add yours under [tiers]"
                )

    @property
    def engines(self) -> Sequence[Engine]:
        return tuple(self._engines.values())

    def allows(self, engine: Engine, local_only: bool) -> bool:
        """Whether a request may go to this engine at all. Nothing overrides `local_only`."""
        return engine.locality == "local" or not (local_only or self._settings.local_only)

    async def listings(self, local_only: bool = False) -> tuple[Listing, ...]:
        """Every allowed engine's models, asked at the same time, each within two seconds."""
        allowed = [engine for engine in self.engines if self.allows(engine, local_only)]
        return tuple(await asyncio.gather(*(self._listing(engine) for engine in allowed)))

    async def models(self, local_only: bool = False) -> tuple[RoutedModel, ...]:
        """All chat models that can be asked now, weakest tier first, small before large."""
        found = [model for item in await self.listings(local_only) for model in item.models]
        return tuple(sorted(filter(lambda m: m.info.is_chat, found), key=_rank))

    async def find(self, name: str, local_only: bool = False) -> RoutedModel:
        """The model called `engine/id`, or `id` where only one engine has it.

        Raises UsageError naming the nearest model, or EngineError where its engine is the trouble.
        """
        engine_name, _, model_id = name.partition("/")
        engine = self._engines.get(engine_name) if model_id else None
        if engine is not None:
            return await self._find_on(engine, model_id, local_only)
        known = await self.models(local_only)
        matches = [model for model in known if name in (model.info.id, model.name)]
        if len(matches) == 1:
            return matches[0]
        if matches:
            names = ", ".join(model.name for model in matches)
            raise UsageError(f"{name!r} is on several engines; name one of: {names}")
        raise UsageError(_no_such_model(name, [model.name for model in known]))

    async def _find_on(self, engine: Engine, model_id: str, local_only: bool) -> RoutedModel:
        name = f"{engine.name}/{model_id}"
        if not self.allows(engine, local_only):
            raise UsageError(
                f"{name} is not on this machine (its engine is {engine.locality}) and local_only "
                "is set; name a local model, or unset local_only"
            )
        listing = await self._listing(engine)
        match = next((model for model in listing.models if model.info.id == model_id), None)
        if match is not None:
            return match
        if listing.failure is not None and name not in self._settings.models:
            raise _of_model(listing.failure, engine, model_id)
        if engine.locality == "cloud" or name in self._settings.models:
            return self._routed(engine, ModelInfo(id=model_id))
        raise UsageError(_no_such_model(name, [model.name for model in listing.models]))

    async def rung(self, name: str, local_only: bool = False) -> RoutedModel:
        """As `find`, but a model whose engine does not answer keeps its place in a chain."""
        try:
            return await self.find(name, local_only)
        except EngineError as error:
            _, _, model_id = name.partition("/")
            return self._routed(self._engines[error.engine], ModelInfo(id=model_id))

    async def answer_order(self, local_only: bool = False) -> tuple[RoutedModel, ...]:
        """Who answers a plain question: the user's default models, then the strongest free ones.

        A paid model is never in it: it must be named.
        """
        free = [model for model in await self.models(local_only) if model.is_free]
        return tuple(
            sorted(
                free,
                key=lambda m: (not m.is_default, -m.level, not m.info.is_loaded, _size(m)),
            )
        )

    async def health(self, engine: Engine, model_id: str | None, *, probe: bool = False) -> Health:
        """The engine's own four levels; a failure to look is itself an answer.

        An engine that `local_only` keeps out is not contacted, and nothing that costs is probed.
        """
        if not self.allows(engine, local_only=False):
            reason = f"not asked: it is {engine.locality}, and local_only is set"
            return Health(reachable=Level(error=reason))
        configured = self._settings.engines.get(engine.name)
        asked = model_id or (configured.model if configured else "")
        is_free = self._routed(engine, ModelInfo(id=asked)).is_free
        try:
            async with asyncio.timeout(None if probe and is_free else LISTING_TIMEOUT_S * 2):
                health = await engine.health(model_id, probe=probe and is_free)
        except TimeoutError:
            return Health(reachable=Level(ok=False, error="no answer within 4 s"))
        except EngineError as error:
            return Health(reachable=Level(ok=False, error=error.message))
        if probe and not is_free:
            return msgspec.structs.replace(health, probed=Level(error="not probed: it is paid"))
        return health

    def mark_failed(self, engine: Engine) -> None:
        """Forget what an engine listed: a call to it just failed, so look again before the next."""
        self._listings.pop(engine.name, None)

    async def _listing(self, engine: Engine) -> Listing:
        known = self._listings.get(engine.name)
        if known is not None and time.monotonic() - known.at < LISTING_FRESH_S:
            return known
        started = time.monotonic()
        failure: EngineError | None = None
        infos: Sequence[ModelInfo] = ()
        try:
            async with asyncio.timeout(LISTING_TIMEOUT_S):
                infos = await engine.list_models()
        except TimeoutError:
            message = f"{engine.name} did not list its models within {LISTING_TIMEOUT_S:g} s"
            failure = EngineError("timeout", message, engine=engine.name)
        except EngineError as error:
            failure = error
        now = time.monotonic()
        listing = Listing(
            engine=engine,
            models=tuple(self._routed(engine, info) for info in self._declared(engine, infos)),
            failure=failure,
            latency_ms=(now - started) * 1000,
            at=now,
        )
        self._listings[engine.name] = listing
        return listing

    def _declared(self, engine: Engine, listed: Sequence[ModelInfo]) -> list[ModelInfo]:
        """What the engine lists, and what the user declares of an engine that lists nothing."""
        prefix = f"{engine.name}/"
        declared = [
            ModelInfo(id=name.removeprefix(prefix))
            for name in self._settings.models
            if name.startswith(prefix) and engine.locality == "cloud"
        ]
        known = {info.id for info in listed}
        return [*listed, *(info for info in declared if info.id not in known)]

    def _routed(self, engine: Engine, info: ModelInfo) -> RoutedModel:
        configured = self._settings.engines.get(engine.name)
        return routed(
            engine,
            info,
            self._settings.models.get(f"{engine.name}/{info.id}"),
            self.tiers,
            is_default=configured is not None and configured.model == info.id,
        )


def _of_model(failure: EngineError, engine: Engine, model_id: str) -> EngineError:
    """A listing's failure, as the failure of one model: a new error, for a listing is kept."""
    return EngineError(
        failure.kind,
        failure.message,
        engine=engine.name,
        model=model_id,
        status=failure.status,
        retry_after_s=failure.retry_after_s,
    )


def _size(model: RoutedModel) -> float:
    return model.info.parameters or model.info.size_bytes or 0.0


def _rank(model: RoutedModel) -> tuple[int, float, str]:
    return (model.level, _size(model), model.name)


def _no_such_model(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    if close:
        return f"no model {name!r}; did you mean {close[0]!r}?"
    listed = ", ".join(known[:8]) or "none yet: run `rung models pull smollm2-135m`"
    return f"no model {name!r}; available: {listed}"
