"""Which models can be used now, and in what order they are tried."""

from __future__ import annotations

import asyncio
import difflib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import msgspec

from rung.chat import Health, Level, ModelInfo
from rung.config.settings import Settings
from rung.engines.base import Engine
from rung.engines.listings import find_model
from rung.errors import ConfigError, EngineError, UsageError
from rung.routing.breaker import GOOD, Standing, after
from rung.routing.kept import Kept
from rung.routing.look import Listing, bounded_health, look, within_a_look
from rung.routing.models import RoutedModel, check_price, routed
from rung.routing.tiers import DEFAULT_TIERS

HEALTH_FRESH_S = 2.0
JUST_NOW_S = 1.0


class Router:
    """Knows every engine: what it lists, how it is, how it stands.

    Lists and health are kept, and looked up anew in the background, so that a dead engine costs
    one bounded look and nobody waits for it again. `close` ends the looks that are under way.
    """

    def __init__(self, settings: Settings, engines: Sequence[Engine]) -> None:
        self._settings = settings
        self._engines: dict[str, Engine] = {}
        for engine in engines:
            if engine.name in self._engines:
                raise ConfigError(f"two engines are called {engine.name!r}; rename one of them")
            self._engines[engine.name] = engine
        self._listings: dict[str, Kept[Listing]] = {}
        self._health: dict[tuple[str, str | None], Kept[Health]] = {}
        self._standings: dict[str, Standing] = {}
        self.tiers: Mapping[str, int] = {**DEFAULT_TIERS, **settings.tiers}
        for name, model in settings.models.items():
            check_price(name, model)
            if model.tier and model.tier not in self.tiers:
                raise ConfigError(
                    f'models."{name}".tier: unknown tier {model.tier!r}; known are '
                    f"{', '.join(self.tiers)}; add yours under [tiers]"
                )

    @property
    def engines(self) -> Sequence[Engine]:
        return tuple(self._engines.values())

    def engine(self, name: str) -> Engine:
        """The engine of that name. Raises UsageError naming those there are."""
        if name not in self._engines:
            known = ", ".join(self._engines) or "none"
            raise UsageError(f"there is no engine {name!r} here; known are: {known}")
        return self._engines[name]

    def allows(self, engine: Engine, local_only: bool) -> bool:
        """Whether a request may go to this engine at all. Nothing overrides `local_only`."""
        return engine.locality == "local" or not (local_only or self._settings.local_only)

    async def listings(
        self, local_only: bool = False, *, max_age_s: float = math.inf
    ) -> tuple[Listing, ...]:
        """Every allowed engine's models, asked at the same time, each within two seconds.

        Only who names a model waits longer, for its engine's tunnel to be opened.
        """
        allowed = [engine for engine in self.engines if self.allows(engine, local_only)]
        looks = (
            within_a_look(engine, self.listing(engine, max_age_s=max_age_s)) for engine in allowed
        )
        return tuple(await asyncio.gather(*looks))

    def listed(self, engine: str, model_id: str) -> ModelInfo | None:
        """What the engine last said of the model. Asks nobody."""
        kept = self._listings.get(engine)
        last = kept.last if kept is not None else None
        infos = last.infos if last is not None else ()
        return next((info for info in infos if info.id == model_id), None)

    async def models(
        self, local_only: bool = False, *, max_age_s: float = math.inf
    ) -> tuple[RoutedModel, ...]:
        """All chat models that can be asked now, weakest tier first, small before large."""
        listings = await self.listings(local_only, max_age_s=max_age_s)
        found = [model for listing in listings for model in listing.models]
        return tuple(sorted(filter(lambda m: m.info.is_chat, found), key=_rank))

    async def find(self, name: str, local_only: bool = False) -> RoutedModel:
        """The model called `engine/id`, or `id` where only one engine has it.

        One that is not among those that were listed is looked for once more: it, or its engine,
        may have come since. Raises UsageError naming the nearest model, or EngineError where its
        engine is the trouble.
        """
        engine_name, _, model_id = name.partition("/")
        engine = self._engines.get(engine_name) if model_id else None
        if engine is not None:
            return await self._find_on(engine, model_id, local_only)
        for max_age_s in (math.inf, JUST_NOW_S):
            known = await self.models(local_only, max_age_s=max_age_s)
            matches = [model for model in known if name in (model.info.id, model.name)]
            matches = matches or [model for model in known if find_model([model.info], name)]
            if matches:
                break
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
        for max_age_s in (math.inf, JUST_NOW_S):
            listing = await self.listing(engine, max_age_s=max_age_s)
            info = find_model([model.info for model in listing.models], model_id)
            if info is not None and info.id != model_id and name in self._settings.models:
                # What the user declares of it is found by the name that they gave it.
                return self._routed(engine, msgspec.structs.replace(info, id=model_id))
            if info is not None:
                return next(model for model in listing.models if model.info is info)
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

    async def answer_order(
        self, local_only: bool = False, *, is_unfit: Callable[[RoutedModel], bool] = lambda _: False
    ) -> tuple[RoutedModel, ...]:
        """Who answers a plain question: the user's default models, then the strongest free ones.

        Neither a paid model nor a cloud model that the user has not declared is ever in it: it
        must be named. Models that are `is_unfit` for the request, and those of engines that fail
        just now, come after all others.
        """
        free = [m for m in await self.models(local_only) if m.is_free and (m.tier or m.is_default)]

        def rank(model: RoutedModel) -> tuple[bool, bool, bool, int, bool, bool, float]:
            return (
                self.is_shut(model.engine),
                is_unfit(model),
                not model.is_default,
                -model.level,
                model.engine.locality != "local",
                not model.info.is_loaded,
                _size(model),
            )

        return tuple(sorted(free, key=rank))

    async def health(self, engine: Engine, model_id: str | None, *, probe: bool = False) -> Health:
        """The engine's own four levels, as they were seen last; a failure to look is an answer too.

        Only the first look, and a probe, are waited for. An engine that `local_only` keeps out is
        not contacted, and nothing that costs is probed.
        """
        if not self.allows(engine, local_only=False):
            reason = f"not asked: it is {engine.locality}, and local_only is set"
            return Health(reachable=Level(error=reason))
        if probe:
            return await self._probed(engine, model_id)
        key = (engine.name, model_id)
        if key not in self._health:
            self._health[key] = Kept(
                lambda _: bounded_health(engine, model_id), lambda _: HEALTH_FRESH_S
            )
        return await self._health[key].get()

    async def _probed(self, engine: Engine, model_id: str | None) -> Health:
        configured = self._settings.engines.get(engine.name)
        asked = model_id or (configured.model if configured else "")
        if not self._routed(engine, ModelInfo(id=asked)).is_free:
            health = await bounded_health(engine, model_id)
            return msgspec.structs.replace(health, probed=Level(error="not probed: it is paid"))
        try:
            return await engine.health(model_id, probe=True)
        except EngineError as error:
            return Health(reachable=Level(ok=False, error=error.message))

    def report(self, engine: Engine, failure: EngineError | None) -> None:
        """How a call to the engine went. After an outage its models are listed anew."""
        now = time.monotonic()
        kind, wait_s = (failure.kind, failure.retry_after_s) if failure else (None, None)
        old = self._standings.get(engine.name, GOOD)
        new = self._standings[engine.name] = after(old, kind, now, wait_s)
        kept = self._listings.get(engine.name)
        if kept is not None and (new != old or kind == "model_missing"):
            kept.expire()

    def is_shut(self, engine: Engine) -> bool:
        """Whether the engine fails just now, so that others are asked first."""
        return self._standings.get(engine.name, GOOD).is_open(time.monotonic())

    async def close(self) -> None:
        """Ends the looks that are under way."""
        for kept in (*self._listings.values(), *self._health.values()):
            await kept.close()

    async def listing(self, engine: Engine, *, max_age_s: float = math.inf) -> Listing:
        """What the engine lists, as it was seen last; waits only where that is too old."""
        if engine.name not in self._listings:
            self._listings[engine.name] = Kept(
                lambda last: self._look(engine, last), lambda listing: listing.fresh_s
            )
        return await self._listings[engine.name].get(max_age_s)

    async def _look(self, engine: Engine, last: Listing | None) -> Listing:
        listing = await look(engine, last)
        infos = self._declared(engine, listing.infos)
        return replace(listing, models=tuple(self._routed(engine, info) for info in infos))

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
            is_default=configured is not None and bool(find_model([info], configured.model)),
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
