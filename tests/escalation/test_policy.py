"""Which attempt comes next."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.escalation.policy import Limits, Next, Result, Stop, Tried, next_step, result_of
from rung.validation.verdict import Verdict

LIMITS = Limits(rungs=3, attempts_per_rung=2, max_attempts=6)


def tried(*attempts: tuple[int, Result]) -> list[Tried]:
    return [Tried(rung=rung, result=result) for rung, result in attempts]


def verdicts(*results: str) -> list[Verdict]:
    return [Verdict(validator="v", result=result) for result in results]  # type: ignore[arg-type]


def test_it_starts_on_the_cheapest_rung() -> None:
    assert next_step([], LIMITS) == Next(rung=0, is_retry=False)


def test_a_failure_is_retried_once_and_then_climbs() -> None:
    assert next_step(tried((0, "failed")), LIMITS) == Next(rung=0, is_retry=True)
    assert next_step(tried((0, "failed"), (0, "failed")), LIMITS) == Next(rung=1, is_retry=False)


def test_a_dead_engine_is_not_retried() -> None:
    dead = [Tried(rung=0, result="no_answer", may_retry=False)]
    assert next_step(dead, LIMITS) == Next(rung=1, is_retry=False)


def test_a_pass_ends_it() -> None:
    assert next_step(tried((0, "failed"), (0, "passed")), LIMITS) == Stop(why="passed")


def test_what_nothing_can_check_does_not_climb() -> None:
    assert next_step(tried((0, "unchecked")), LIMITS) == Stop(why="unchecked")


def test_it_stops_at_the_top() -> None:
    history = tried((0, "failed"), (0, "failed"), (1, "failed"), (1, "failed"), (2, "failed"))
    limits = Limits(rungs=3, attempts_per_rung=1, max_attempts=9)
    assert next_step(history, limits) == Stop(why="top")


def test_the_cap_on_attempts_is_hard() -> None:
    limits = Limits(rungs=9, attempts_per_rung=1, max_attempts=2)
    assert next_step(tried((0, "failed"), (1, "failed")), limits) == Stop(why="attempts")


def test_no_model_at_all_is_the_top() -> None:
    assert next_step([], Limits(rungs=0, attempts_per_rung=2, max_attempts=4)) == Stop(why="top")


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([], "unchecked"),
        (["pass"], "passed"),
        (["pass", "pass"], "passed"),
        (["pass", "unavailable"], "unchecked"),
        (["unavailable"], "unchecked"),
        (["pass", "fail"], "failed"),
        (["unavailable", "fail"], "failed"),
        (["error"], "failed"),
        (["pass", "error"], "failed"),
    ],
)
def test_only_all_passes_are_a_pass(results: list[str], expected: str) -> None:
    assert result_of(verdicts(*results)) == expected


@given(
    rungs=st.integers(0, 6),
    per_rung=st.integers(1, 4),
    cap=st.integers(1, 12),
    outcomes=st.lists(
        st.tuples(st.sampled_from(["failed", "no_answer", "passed", "unchecked"]), st.booleans()),
        min_size=30,
        max_size=30,
    ),
)
def test_it_always_ends_and_never_goes_down(
    rungs: int, per_rung: int, cap: int, outcomes: list[tuple[Result, bool]]
) -> None:
    limits = Limits(rungs=rungs, attempts_per_rung=per_rung, max_attempts=cap)
    history: list[Tried] = []
    while isinstance(step := next_step(history, limits), Next):
        result, may_retry = outcomes[len(history)]
        if history:
            assert step.rung in (history[-1].rung, history[-1].rung + 1)
            assert step.is_retry == (step.rung == history[-1].rung)
        history.append(Tried(rung=step.rung, result=result, may_retry=may_retry))
    assert len(history) <= cap
    assert all(sum(t.rung == r for t in history) <= per_rung for r in range(rungs))
    assert all(t.result not in ("passed", "unchecked") for t in history[:-1])
