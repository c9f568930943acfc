"""A model as the router sees it: on an engine, on a rung, at a price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from rung.chat import Locality, ModelInfo, Usage
from rung.config.settings import ModelSettings
from rung.engines.base import Engine
from rung.routing.tiers import local_tier


@dataclass(frozen=True, kw_only=True)
class Price:
    """USD per million tokens."""

    usd_per_mtok_in: float
    usd_per_mtok_out: float

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        return (tokens_in * self.usd_per_mtok_in + tokens_out * self.usd_per_mtok_out) / 1e6


class ModelRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the list of models, as every door prints it.

    `state` is `loaded`, `installed`, `available` (in the cloud) or `pullable`. A price of `None`
    is unknown, not zero.
    """

    model: str
    tier: str | None
    state: Literal["loaded", "installed", "available", "pullable"]
    locality: Locality
    size_bytes: int | None = None
    context_tokens: int | None = None
    quantization: str | None = None
    usd_per_mtok_in: float | None = None
    usd_per_mtok_out: float | None = None


FREE = Price(usd_per_mtok_in=0.0, usd_per_mtok_out=0.0)


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
    def row(self) -> ModelRow:
        """How the list of models shows it."""
        is_cloud = self.locality == "cloud"
        return ModelRow(
            model=self.name,
            tier=self.tier or None,
            state="available" if is_cloud else "loaded" if self.info.is_loaded else "installed",
            locality=self.locality,
            size_bytes=self.info.size_bytes,
            context_tokens=self.info.context_tokens,
            quantization=self.info.quantization,
            usd_per_mtok_in=self.price.usd_per_mtok_in if self.price else None,
            usd_per_mtok_out=self.price.usd_per_mtok_out if self.price else None,
        )

    @property
    def is_free(self) -> bool:
        return self.price is not None and self.price == FREE

    def cost_usd(self, usage: Usage) -> float | None:
        """The engine's own figure, else by price; `None` where neither is known."""
        if usage.cost_usd is not None:
            return usage.cost_usd
        if self.is_free:
            return 0.0
        if self.price is None or usage.tokens_in is None or usage.tokens_out is None:
            return None
        return self.price.cost(usage.tokens_in, usage.tokens_out)


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
        info=_with_context(info, declared.context_tokens),
        tier=tier,
        level=tiers.get(tier, 0),
        price=_price(declared, is_cloud),
        is_default=is_default,
    )


def _price(declared: ModelSettings, is_cloud: bool) -> Price | None:
    if declared.usd_per_mtok_in is not None and declared.usd_per_mtok_out is not None:
        return Price(
            usd_per_mtok_in=declared.usd_per_mtok_in, usd_per_mtok_out=declared.usd_per_mtok_out
        )
    return None if is_cloud else FREE


def _with_context(info: ModelInfo, context_tokens: int | None) -> ModelInfo:
    if context_tokens is None:
        return info
    return msgspec.structs.replace(info, context_tokens=context_tokens)
