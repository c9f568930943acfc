"""Whose figure a model's price is, and what a call with it is said to have cost."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from rung.chat import ModelInfo, Usage
from rung.config.settings import EngineSettings, ModelSettings, Settings
from rung.engines.build import build_engine
from rung.errors import ConfigError
from rung.models.prices import FREE
from rung.routing.models import RoutedModel, price_of, routed
from rung.routing.router import Router
from rung.routing.tiers import DEFAULT_TIERS
from tests.ladder import BIG, ladder
from tests.routed import model

CLAUDE = EngineSettings(kind="anthropic")
OPUS = ModelInfo(id="claude-opus-5-5")
MINE = ModelSettings(usd_per_mtok_in=1.0, usd_per_mtok_out=2.0)
LISTED = ModelInfo(id=OPUS.id, usd_per_mtok_in=3.0, usd_per_mtok_out=4.0)
USAGE = Usage(tokens_in=1_000_000, tokens_out=1_000_000, tokens_cache_write=0)


def on(
    settings: EngineSettings, info: ModelInfo = OPUS, declared: ModelSettings | None = None
) -> RoutedModel:
    return routed(build_engine("claude", settings), info, declared, DEFAULT_TIERS)


def test_the_users_figure_comes_first_then_the_engines_then_the_published_one() -> None:
    for info, declared, price_in, source in (
        (LISTED, MINE, 1.0, "rung.toml"),
        (LISTED, None, 3.0, "the engine's list"),
        (OPUS, ModelSettings(tier="opus"), 4.0, "genai-prices"),
    ):
        price = on(CLAUDE, info, declared).price
        assert price is not None
        assert price.usd_per_mtok_in == price_in
        assert price.source.startswith(source)


def test_a_price_that_the_user_sets_has_no_tariff_but_the_users() -> None:
    haiku = ModelInfo(id="claude-haiku-5-5")
    declared = ModelSettings(usd_per_mtok_in=1.0, usd_per_mtok_out=2.0, usd_per_mtok_cache_read=0.5)
    priced = on(CLAUDE, haiku, declared)
    usage = Usage(tokens_in=200_000, tokens_cached=100_000, tokens_out=0)
    assert priced.cost_usd(usage) == pytest.approx(0.15)


@pytest.mark.parametrize("locality", ["local", "lan"])
def test_what_does_not_run_in_the_cloud_is_free_unless_the_user_says_otherwise(
    locality: Any,
) -> None:
    settings = EngineSettings(base_url="http://127.0.0.1:9/v1", locality=locality)
    local = on(settings, LISTED)
    assert (local.price, local.is_free, local.cost_usd(USAGE)) == (FREE, True, 0.0)
    assert not on(settings, LISTED, MINE).is_free


def test_a_model_that_nobody_prices_has_no_price_and_no_cost() -> None:
    unknown = on(CLAUDE, ModelInfo(id="claude-opus-99"))
    assert (unknown.price, unknown.is_free, unknown.cost_usd(USAGE)) == (None, False, None)


def test_the_engines_own_bill_is_the_cost() -> None:
    bill = Usage(tokens_in=1, tokens_out=1, cost_usd=0.5)
    assert on(CLAUDE).cost_usd(bill) == 0.5
    assert on(CLAUDE, ModelInfo(id="claude-opus-99")).cost_usd(bill) == 0.5


def test_a_price_can_be_asked_for_a_time_that_is_past() -> None:
    engine = build_engine("openai", EngineSettings(kind="openai"))
    info, at = ModelInfo(id="o3"), datetime(2025, 6, 1, tzinfo=UTC)
    price = price_of(engine, info, ModelSettings(), at)
    assert price is not None
    assert price.usd_per_mtok_in == 10


@pytest.mark.parametrize(
    ("declared", "missing"),
    [
        (ModelSettings(usd_per_mtok_in=1.0), "usd_per_mtok_out"),
        (ModelSettings(usd_per_mtok_cache_read=1.0), "usd_per_mtok_in and usd_per_mtok_out"),
    ],
)
def test_half_a_price_is_refused_with_what_is_missing(
    declared: ModelSettings, missing: str
) -> None:
    with pytest.raises(ConfigError, match=missing) as error:
        Router(Settings(models={"claude/x": declared}), [])
    assert "claude/x" in str(error.value)


async def test_a_free_model_in_the_cloud_answers_only_when_it_is_named(tmp_path: Any) -> None:
    async with ladder(tmp_path) as steps:
        engine = steps.rung.router.engines[1]
        given_away = ModelInfo(id="acme/small:free", usd_per_mtok_in=0.0, usd_per_mtok_out=0.0)
        assert routed(engine, given_away, None, DEFAULT_TIERS).is_free
        names = [found.name for found in await steps.rung.router.answer_order()]
    assert names
    assert BIG not in names
    assert not any(name.startswith("big/") for name in names)


def test_a_tier_does_not_make_a_price() -> None:
    assert model("cloud/x", "haiku", None, locality="cloud").price is None
