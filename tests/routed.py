"""Models on real engine adapters that are never called, for tests of pure decisions."""

from __future__ import annotations

from rung.chat import Locality, ModelInfo
from rung.config.settings import EngineSettings
from rung.engines.openai_compatible import OpenAICompatibleEngine
from rung.models.prices import FREE, Price
from rung.routing.models import RoutedModel
from rung.routing.tiers import DEFAULT_TIERS


def model(
    name: str,
    tier: str,
    price: tuple[float, float] | None = (0.0, 0.0),
    *,
    locality: Locality = "local",
    size_bytes: int | None = None,
    is_loaded: bool | None = None,
    is_default: bool = False,
) -> RoutedModel:
    """`name` is `engine/id`; nothing listens at the engine's address."""
    engine, _, model_id = name.partition("/")
    settings = EngineSettings(base_url="http://127.0.0.1:9/v1", locality=locality)
    return RoutedModel(
        engine=OpenAICompatibleEngine(engine, settings),
        info=ModelInfo(id=model_id, size_bytes=size_bytes, is_loaded=is_loaded),
        tier=tier,
        level=DEFAULT_TIERS.get(tier, 0),
        price=(
            None
            if price is None
            else FREE
            if price == (0.0, 0.0)
            else Price(usd_per_mtok_in=price[0], usd_per_mtok_out=price[1])
        ),
        is_default=is_default,
    )
