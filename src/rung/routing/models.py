"""A model as the router sees it: on an engine, on a rung, at a price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from rung.chat import Locality, ModelInfo, Usage
from rung.config.settings import ModelSettings
from rung.engines.base import Engine
from rung.engines.http_engine import HttpEngine
from rung.errors import ConfigError
from rung.models.prices import FREE, Price, published_price
from rung.routing.context import planned_window
from rung.routing.tiers import local_tier


@dataclass(frozen=True, kw_only=True)
class RoutedModel:
    """One model on one engine. `name` is `engine/id`; `price` is `None` where it is unknown.

    `tier` is empty for a cloud model that the user has not declared: it can be asked by name, but
    stands on no rung.
    """

    engine: Engine
    info: ModelInfo
    tier: str
    level: int
    price: Price | None
    is_default: bool = False

    @property
    def name(self) -> str:
        return f"{self.engine.name}/{self.info.id}"

    @property
    def locality(self) -> Locality:
        return self.engine.locality

    @property
    def is_free(self) -> bool:
        return self.price is not None and self.price.is_free

    def cost_usd(self, usage: Usage) -> float | None:
        """The engine's own figure, else by price; `None` where neither is known."""
        if usage.cost_usd is not None:
            return usage.cost_usd
        if self.is_free:
            return 0.0
        return self.price.cost_of(usage) if self.price is not None else None


def routed(
    engine: Engine,
    info: ModelInfo,
    declared: ModelSettings | None,
    tiers: Mapping[str, int],
    *,
    is_default: bool = False,
) -> RoutedModel:
    """What the engine lists, joined with what the user declares of it."""
    declared = declared or ModelSettings()
    is_cloud = engine.locality == "cloud"
    tier = declared.tier or (
        "" if is_cloud else local_tier(info.id, info.parameters, info.size_bytes)
    )
    return RoutedModel(
        engine=engine,
        info=_with_context(
            info,
            declared.context_tokens,
            is_loadable=engine.can_load and engine.obeys_options,
        ),
        tier=tier,
        level=tiers.get(tier, 0),
        price=price_of(engine, info, declared),
        is_default=is_default,
    )


def price_of(
    engine: Engine, info: ModelInfo, declared: ModelSettings, at: datetime | None = None
) -> Price | None:
    """The price at a time (default: now): the user's figure, else free unless it runs in the
    cloud, else the engine's own figure, else the provider's published one, else `None`.
    """
    if price := _figures(declared, "rung.toml"):
        return price
    if engine.locality != "cloud":
        return FREE
    if price := _figures(info, "the engine's list"):
        return price
    if not isinstance(engine, HttpEngine):
        return None
    return published_price(engine.settings.kind, engine.base_url, info.id, at)


def _figures(given: ModelSettings | ModelInfo, source: str) -> Price | None:
    if given.usd_per_mtok_in is None or given.usd_per_mtok_out is None:
        return None
    return Price(
        usd_per_mtok_in=given.usd_per_mtok_in,
        usd_per_mtok_out=given.usd_per_mtok_out,
        usd_per_mtok_cache_read=given.usd_per_mtok_cache_read,
        usd_per_mtok_cache_write=given.usd_per_mtok_cache_write,
        source=source,
    )


def check_price(name: str, declared: ModelSettings) -> None:
    """Raise ConfigError for half a price: the other half would have to be guessed."""
    figures = declared.values()
    given = [key for key, value in figures.items() if key.startswith("usd_") and value is not None]
    needed = [key for key in ("usd_per_mtok_in", "usd_per_mtok_out") if key not in given]
    if given and needed:
        raise ConfigError(
            f'models."{name}": {given[0]} is set without {" and ".join(needed)}; a price that you '
            "set stands for the whole price, so set both, or none to use the published one"
        )


def _with_context(info: ModelInfo, declared: int | None, *, is_loadable: bool) -> ModelInfo:
    if declared is None:
        return info
    window = planned_window(info, declared, is_loadable=is_loadable)
    return msgspec.structs.replace(info, context_tokens=window)
