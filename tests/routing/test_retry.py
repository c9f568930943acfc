"""What is tried again, after how long a wait, and when it ends."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.config.settings import RetrySettings
from rung.errors import EngineError, EngineErrorKind
from rung.routing.retry import LOADING_POLL_S, UNBILLED, Again, Stop, next_try

KINDS: tuple[EngineErrorKind, ...] = get_args(EngineErrorKind)
REPEATED = {"rate_limited", "overloaded", "model_not_loaded", "unreachable", "server_error"}


def after(kind: EngineErrorKind, failures: int = 1, **facts: object) -> Again | Stop:
    error = EngineError(
        kind,
        "x",
        engine="e",
        status=facts.pop("status", None),  # type: ignore[arg-type]
        retry_after_s=facts.pop("retry_after_s", None),  # type: ignore[arg-type]
    )
    given_facts = {
        "has_begun": False,
        "is_paid": False,
        "repeats_itself": False,
        "waited_s": 0.0,
        "remaining_s": None,
        "has_others": False,
        "settings": RetrySettings(),
        "random": 0.5,
        **facts,
    }
    return next_try(error, failures=failures, **given_facts)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_only_passing_failures_are_tried_again(kind: EngineErrorKind) -> None:
    assert isinstance(after(kind), Again) == (kind in REPEATED)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_tried_again_once_the_answer_has_begun(kind: EngineErrorKind) -> None:
    assert isinstance(after(kind, has_begun=True), Stop)


@pytest.mark.parametrize("kind", KINDS)
def test_a_paid_call_is_repeated_only_where_it_cannot_have_been_billed(
    kind: EngineErrorKind,
) -> None:
    assert isinstance(after(kind, is_paid=True), Again) == (kind in REPEATED & UNBILLED)


def test_nothing_is_repeated_twice_over() -> None:
    assert isinstance(after("unreachable", repeats_itself=True), Stop)
    assert isinstance(after("overloaded", repeats_itself=True), Again)


@pytest.mark.parametrize("kind", ["unreachable", "server_error", "model_not_loaded"])
def test_a_fault_is_given_one_more_chance_and_no_second(kind: EngineErrorKind) -> None:
    assert isinstance(after(kind, 1), Again)
    assert isinstance(after(kind, 2), Stop)


def test_a_busy_engine_is_asked_as_often_as_the_settings_say() -> None:
    settings = RetrySettings(attempts=4)
    tries = [after("overloaded", n, settings=settings) for n in range(1, 6)]
    assert [isinstance(it, Again) for it in tries] == [True, True, True, False, False]
    assert isinstance(after("overloaded", settings=RetrySettings(attempts=1)), Stop)


def test_an_engine_that_is_loading_is_waited_for_until_the_longest_wait_is_over() -> None:
    for failures in (1, 7, 25):
        decision = after("model_not_loaded", failures, status=503, waited_s=failures - 1.0)
        assert decision == Again(wait_s=LOADING_POLL_S)
    decision = after("model_not_loaded", 31, status=503, waited_s=29.9)
    assert isinstance(decision, Stop)
    assert "longest_wait_s" in decision.why


def test_what_the_engine_asks_for_is_kept_to_and_too_long_a_wait_is_said() -> None:
    assert after("rate_limited", retry_after_s=12.0) == Again(wait_s=12.0)
    decision = after("rate_limited", retry_after_s=120.0)
    assert isinstance(decision, Stop)
    assert "120 s" in decision.why
    assert "retry.longest_wait_s is 30" in decision.why


def test_a_wait_beyond_the_time_of_the_call_is_not_begun() -> None:
    decision = after("rate_limited", retry_after_s=12.0, remaining_s=5.0)
    assert isinstance(decision, Stop)
    assert "12.0 s" in decision.why


@given(
    failures=st.integers(1, 19),
    random=st.floats(0, 1, exclude_max=True),
    first_s=st.floats(0, 600),
    longest_s=st.floats(0, 3600),
)
def test_backoff_is_jittered_grows_and_never_passes_its_limits(
    failures: int, random: float, first_s: float, longest_s: float
) -> None:
    settings = RetrySettings(attempts=20, first_wait_s=first_s, longest_wait_s=longest_s)
    decision = after("overloaded", failures, settings=settings, random=random)
    assert isinstance(decision, Again)
    ceiling_s = min(longest_s, first_s * 2 ** (failures - 1))
    assert decision.wait_s == pytest.approx(random * ceiling_s)


@given(
    kind=st.sampled_from(KINDS),
    failures=st.integers(1, 10_000),
    status=st.sampled_from([None, 404, 429, 500, 503]),
    retry_after_s=st.none() | st.floats(-10, 1e9),
    waited_s=st.floats(0, 1e6),
    remaining_s=st.none() | st.floats(0, 1e6),
    is_paid=st.booleans(),
    random=st.floats(0, 1, exclude_max=True),
)
def test_every_wait_is_bounded_and_every_call_ends(
    kind: EngineErrorKind,
    failures: int,
    status: int | None,
    retry_after_s: float | None,
    waited_s: float,
    remaining_s: float | None,
    is_paid: bool,
    random: float,
) -> None:
    settings = RetrySettings()
    decision = after(
        kind,
        failures,
        status=status,
        retry_after_s=retry_after_s,
        waited_s=waited_s,
        remaining_s=remaining_s,
        is_paid=is_paid,
        random=random,
    )
    if isinstance(decision, Again):
        assert 0 <= decision.wait_s <= settings.longest_wait_s
        assert remaining_s is None or decision.wait_s < remaining_s
        is_loading = kind == "model_not_loaded" and status == 503
        assert failures < settings.attempts or (
            is_loading and waited_s + decision.wait_s <= settings.longest_wait_s
        )


def test_nobody_waits_long_where_another_model_can_be_asked() -> None:
    assert isinstance(after("overloaded", retry_after_s=1.0, has_others=True), Again)
    decision = after("rate_limited", retry_after_s=12.0, has_others=True)
    assert isinstance(decision, Stop)
    assert "another model" in decision.why
    loading = after("model_not_loaded", status=503, retry_after_s=5.0, has_others=True)
    assert isinstance(loading, Again), "a load is no sign of trouble"


@pytest.mark.parametrize("retry_after_s", [1e18, float("inf"), float("nan"), -5.0])
def test_an_absurd_retry_after_is_no_absurd_wait(retry_after_s: float) -> None:
    decision = after("overloaded", retry_after_s=retry_after_s)
    assert isinstance(decision, Stop) or decision.wait_s == 0
