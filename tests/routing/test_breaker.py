"""How an engine stands after its calls: outage, refused key and rate limit are three things."""

from __future__ import annotations

import math
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.errors import EngineErrorKind
from rung.routing.breaker import (
    FIRST_OPEN_S,
    GOOD,
    LONGEST_FULL_S,
    LONGEST_OPEN_S,
    OUTAGES_TO_OPEN,
    REFUSED_S,
    Standing,
    after,
)

KINDS: tuple[EngineErrorKind, ...] = get_args(EngineErrorKind)
OF_THE_REQUEST = ("bad_request", "context_overflow", "model_missing", "bad_output", "refused")


def stands(*failures: EngineErrorKind | None, at: float = 100.0) -> Standing:
    standing = GOOD
    for failure in failures:
        standing = after(standing, failure, at, None)
    return standing


def test_an_engine_that_is_not_there_is_left_alone_at_once_and_for_longer_each_time() -> None:
    standing, now, open_s = GOOD, 100.0, list[float]()
    for _ in range(20):
        standing = after(standing, "unreachable", now, None)
        open_s.append(standing.shut_until - now)
        now = standing.shut_until
    assert open_s[:3] == [FIRST_OPEN_S, 2 * FIRST_OPEN_S, 4 * FIRST_OPEN_S]
    assert open_s[-1] == LONGEST_OPEN_S


@pytest.mark.parametrize("kind", ["unreachable", "timeout", "server_error"])
def test_many_calls_that_fail_together_are_one_outage(kind: EngineErrorKind) -> None:
    assert stands(*[kind] * 64).shut_until == 100 + FIRST_OPEN_S


def test_one_failed_answer_does_not_open_the_breaker_and_several_do() -> None:
    for kind in ("server_error", "timeout"):
        assert not stands(*[kind] * (OUTAGES_TO_OPEN - 1)).is_open(100)
        assert stands(*[kind] * OUTAGES_TO_OPEN).is_open(100)


def test_an_open_breaker_lets_calls_through_after_a_while_and_one_success_closes_it() -> None:
    broken = stands("unreachable")
    assert broken.is_open(100 + FIRST_OPEN_S - 0.1)
    assert not broken.is_open(100 + FIRST_OPEN_S)
    assert after(broken, None, 106, None) == GOOD
    again = after(broken, "unreachable", 106, None)
    assert again.shut_until == 106 + 2 * FIRST_OPEN_S


def test_a_refused_key_keeps_the_engine_out_but_is_no_outage() -> None:
    refused = stands("unauthorized")
    assert refused.is_open(100 + REFUSED_S - 1)
    assert refused.outages == 0


def test_a_rate_limit_lasts_as_long_as_the_engine_says() -> None:
    limited = after(GOOD, "rate_limited", 100, 7.0)
    assert (limited.is_open(106.9), limited.is_open(107)) == (True, False)
    assert limited.outages == 0
    assert after(limited, "rate_limited", 101, 1.0).shut_until == 107


def test_a_failure_of_the_request_says_nothing_of_the_engine() -> None:
    for standing in (GOOD, stands("unreachable")):
        for kind in OF_THE_REQUEST:
            assert after(standing, kind, 200, None) == standing


@pytest.mark.parametrize("retry_after_s", [1e18, math.inf, math.nan, -5.0])
def test_an_absurd_wait_shuts_nobody_out_for_longer_than_an_hour(retry_after_s: float) -> None:
    limited = after(GOOD, "rate_limited", 100, retry_after_s)
    assert not limited.is_open(100 + LONGEST_FULL_S)
    assert after(limited, "unreachable", 200, None).is_open(200)


@given(st.lists(st.none() | st.sampled_from(KINDS), max_size=80), st.floats(0, 1e6))
def test_no_history_shuts_an_engine_out_for_good(
    history: list[EngineErrorKind | None], now: float
) -> None:
    standing = GOOD
    for failure in history:
        standing = after(standing, failure, now, None)
        assert standing.shut_until <= now + LONGEST_OPEN_S
        assert (failure is not None) or standing == GOOD
