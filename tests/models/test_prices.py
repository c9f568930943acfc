"""What a call costs: never guessed, never too little, and zero only where it is free."""

from __future__ import annotations

import socket
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.chat import Usage
from rung.config.settings import EngineKind
from rung.models.prices import FREE, LongPrompt, Price, Rates, published_price

NOW = datetime(2026, 11, 21, tzinfo=UTC)
OPENAI = "https://api.openai.com/v1"
CHEAP = Price(usd_per_mtok_in=0.80, usd_per_mtok_out=4.0)
DEAR = Price(usd_per_mtok_in=3.0, usd_per_mtok_out=15.0)
CACHED = Price(
    usd_per_mtok_in=4.0,
    usd_per_mtok_out=20.0,
    usd_per_mtok_cache_read=0.2,
    usd_per_mtok_cache_write=5.0,
    usd_per_mtok_cache_write_1h=8.0,
)
TWO_TARIFFS = Price(
    usd_per_mtok_in=0.1,
    usd_per_mtok_out=0.5,
    usd_per_mtok_cache_read=0.01,
    long_prompts=(
        LongPrompt(
            above_tokens=100_000,
            rates=Rates(usd_per_mtok_in=0.5, usd_per_mtok_out=2.5, usd_per_mtok_cache_read=0.05),
        ),
    ),
)


def price_of(
    model: str,
    kind: EngineKind = "anthropic",
    base_url: str = "https://api.anthropic.com/v1",
    at: datetime = NOW,
) -> Price:
    price = published_price(kind, base_url, model, at)
    assert price is not None
    return price


def used(tokens_in: int = 0, tokens_out: int = 0, **parts: Any) -> Usage:
    return Usage(**{"tokens_cache_write": 0, **parts}, tokens_in=tokens_in, tokens_out=tokens_out)


def test_a_thousand_tasks_cost_what_they_cost() -> None:
    """1,000 tasks of 2,000 tokens in and 1,000 out, at $0.80/$4 and at $3/$15."""
    task = used(2_000, 1_000)
    assert 1000 * CHEAP.cost(2_000, 1_000) == pytest.approx(5.60)
    assert 1000 * DEAR.cost(2_000, 1_000) == pytest.approx(21.00)
    assert CHEAP.cost_of(task) == pytest.approx(0.0056)
    assert DEAR.cost_of(task) == pytest.approx(0.021)


def test_what_was_cached_costs_what_cached_tokens_cost() -> None:
    usage = used(2_310, 50, tokens_cached=2_000, tokens_cache_write=300, tokens_cache_write_1h=100)
    by_hand = (10 * 4.0 + 2_000 * 0.2 + 200 * 5.0 + 100 * 8.0 + 50 * 20.0) / 1e6
    assert CACHED.cost_of(usage) == pytest.approx(by_hand)


def test_cached_tokens_without_a_price_of_their_own_count_as_plain_ones() -> None:
    assert DEAR.cost_of(used(2_000, 0, tokens_cached=1_500)) == pytest.approx(0.006)


def test_a_long_prompt_has_its_tariff_on_every_token_of_the_request() -> None:
    assert TWO_TARIFFS.cost(100_000, 10) == pytest.approx((100_000 * 0.1 + 10 * 0.5) / 1e6)
    assert TWO_TARIFFS.cost(100_001, 10) == pytest.approx((100_001 * 0.5 + 10 * 2.5) / 1e6)
    cached = used(100_001, 10, tokens_cached=100_000)
    assert TWO_TARIFFS.cost_of(cached) == pytest.approx((0.5 + 100_000 * 0.05 + 25) / 1e6)


@pytest.mark.parametrize(
    ("price", "usage"),
    [
        (DEAR, Usage()),
        (DEAR, Usage(tokens_in=1)),
        (DEAR, Usage(tokens_out=1)),
        (DEAR, used(10, 1, tokens_cache_write=5)),
        (CACHED, Usage(tokens_in=10, tokens_out=1)),
        (CACHED, used(10, 1, tokens_cache_write=5)),
        (CACHED, used(10, 1, tokens_cache_write=5, tokens_cache_write_1h=6)),
        (CACHED, used(10, 1, tokens_cached=11)),
    ],
    ids=[
        "nothing told",
        "no tokens out",
        "no tokens in",
        "no price of a write",
        "writes cost more and are not told",
        "how long it is kept is not told",
        "more kept than written",
        "more cached than read",
    ],
)
def test_a_cost_of_which_a_part_is_unknown_is_unknown(price: Price, usage: Usage) -> None:
    assert price.cost_of(usage) is None


def test_a_price_without_dearer_writes_needs_no_count_of_them() -> None:
    assert CHEAP.cost_of(Usage(tokens_in=1_000_000, tokens_out=0)) == pytest.approx(0.80)


tokens = st.integers(min_value=0, max_value=300_000)


@given(
    price=st.sampled_from([FREE, CHEAP, DEAR, CACHED, TWO_TARIFFS]),
    fresh=tokens,
    read=tokens,
    written=tokens,
    out=tokens,
    room=tokens,
)
def test_no_call_costs_more_than_the_most_it_may(
    price: Price, fresh: int, read: int, written: int, out: int, room: int
) -> None:
    total = fresh + read + written
    usage = used(
        total, out, tokens_cached=read, tokens_cache_write=written, tokens_cache_write_1h=0
    )
    cost = price.cost_of(usage)
    most = price.most(total + room, out + room)
    assert cost is None or cost <= most + 1e-12
    assert most >= price.cost(total, out) - 1e-12


def test_only_what_costs_nothing_in_any_tariff_is_free() -> None:
    assert FREE.is_free
    assert not CHEAP.is_free
    trap = Price(
        usd_per_mtok_in=0,
        usd_per_mtok_out=0,
        long_prompts=(
            LongPrompt(above_tokens=1, rates=Rates(usd_per_mtok_in=1, usd_per_mtok_out=1)),
        ),
    )
    assert not trap.is_free


# USD per million tokens: in, out, cache read. From the providers' price pages, November 2026.
PUBLISHED: list[tuple[str, float, float, float | None]] = [
    ("claude-fable-5-1", 10, 50, 0.25),
    ("claude-opus-5-5", 4, 20, 0.2),
    ("claude-opus-5", 5, 25, 0.5),
    ("claude-sonnet-5-5", 2, 10, 0.1),
    ("claude-haiku-4-5-20251001", 1, 5, 0.1),
    ("claude-haiku-5-5", 0.1, 0.5, 0.01),
]


@pytest.mark.parametrize(("model", "price_in", "price_out", "cache_read"), PUBLISHED)
def test_the_published_prices_are_those_of_the_price_page(
    model: str, price_in: float, price_out: float, cache_read: float | None
) -> None:
    price = price_of(model)
    assert (price.usd_per_mtok_in, price.usd_per_mtok_out) == (price_in, price_out)
    assert price.usd_per_mtok_cache_read == cache_read
    assert price.usd_per_mtok_cache_write == pytest.approx(1.25 * price_in)
    assert price.usd_per_mtok_cache_write_1h == pytest.approx(2 * price_in)
    assert price.source.startswith("genai-prices")


def test_a_tariff_for_long_prompts_is_known() -> None:
    haiku, sol = price_of("claude-haiku-5-5"), price_of("gpt-6-sol", "openai", OPENAI)
    (long,) = haiku.long_prompts
    assert long.above_tokens == 100_000
    assert (long.rates.usd_per_mtok_in, long.rates.usd_per_mtok_out) == (0.5, 2.5)
    assert haiku.cost(100_001, 0) == pytest.approx(5 * haiku.cost(100_000, 0), rel=1e-4)
    assert [tier.above_tokens for tier in sol.long_prompts] == [272_000]
    assert sol.usd_per_mtok_cache_write == pytest.approx(1.25 * sol.usd_per_mtok_in)


@pytest.mark.parametrize(
    ("kind", "base_url", "model"),
    [
        ("anthropic", "https://api.anthropic.com/v1", "claude-opus-99"),
        ("openai", OPENAI, "gpt-99"),
        ("openai", OPENAI, "text-embedding-3-small"),
        ("openai", "https://models.example.com/v1", "gpt-6-sol"),
        ("openai", "https://api.perplexity.ai", "sonar"),
        ("openai", "", "gpt-6-sol"),
        ("vllm", OPENAI, "gpt-6-sol"),
        ("openrouter", "https://openrouter.ai/api/v1", "openai/gpt-5"),
    ],
    ids=[
        "newer than the table",
        "newer than the table, OpenAI",
        "no price of an answer",
        "nobody knows this host",
        "bills by request as well",
        "no address",
        "a kind without prices",
        "a kind that lists its own",
    ],
)
def test_an_unknown_price_is_unknown(kind: EngineKind, base_url: str, model: str) -> None:
    assert published_price(kind, base_url, model, NOW) is None


def test_the_openai_api_is_priced_by_whose_server_it_is() -> None:
    groq = price_of("llama-3.3-70b-versatile", "openai", "https://api.groq.com/openai/v1")
    assert groq.usd_per_mtok_out > 0
    assert published_price("openai", OPENAI, "llama-3.3-70b-versatile", NOW) is None


def test_a_price_is_that_of_its_time() -> None:
    """OpenAI cut the price of o3 to a fifth on 10 June 2025."""
    before = price_of("o3", "openai", OPENAI, datetime(2025, 6, 1, tzinfo=UTC))
    after = price_of("o3", "openai", OPENAI, datetime(2025, 6, 10, 12, tzinfo=UTC))
    assert (before.usd_per_mtok_in, after.usd_per_mtok_in) == (10, 2)
    assert (before.effective_from, after.effective_from) == (None, date(2025, 6, 10))


def test_a_price_that_changes_by_the_hour_counts_at_its_peak() -> None:
    day = datetime(2025, 7, 1, tzinfo=UTC)
    prices = {
        price_of("deepseek-chat", "openai", "https://api.deepseek.com/v1", day + timedelta(hours=h))
        for h in range(24)
    }
    (price,) = prices
    assert price.usd_per_mtok_out == 1.1


def test_no_price_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked for a price")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert published_price("anthropic", "", "claude-opus-5-5", NOW + timedelta(days=1)) is not None
