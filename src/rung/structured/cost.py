"""What several calls for one answer took together."""

from __future__ import annotations

from typing import TypeVar

from rung.chat import Timings, Usage

_Amount = TypeVar("_Amount", int, float)


def both_usages(one: Usage, two: Usage) -> Usage:
    """Tokens and money of two calls; unknown if either is unknown."""
    return Usage(
        tokens_in=_sum(one.tokens_in, two.tokens_in),
        tokens_cached=_sum(one.tokens_cached, two.tokens_cached),
        tokens_cache_write=_sum(one.tokens_cache_write, two.tokens_cache_write),
        tokens_cache_write_1h=_sum(one.tokens_cache_write_1h, two.tokens_cache_write_1h),
        tokens_out=_sum(one.tokens_out, two.tokens_out),
        tokens_reasoning=_sum(one.tokens_reasoning, two.tokens_reasoning),
        cost_usd=_sum(one.cost_usd, two.cost_usd),
    )


def both_timings(first: Timings, second: Timings) -> Timings:
    """Times of two calls, one after the other; the first token is that of the first."""
    return Timings(
        queue_ms=_sum(first.queue_ms, second.queue_ms),
        load_ms=_sum(first.load_ms, second.load_ms),
        first_token_ms=first.first_token_ms,
        total_ms=first.total_ms + second.total_ms,
        tokens_per_s=second.tokens_per_s,
    )


def _sum(one: _Amount | None, two: _Amount | None) -> _Amount | None:
    return None if one is None or two is None else one + two
