"""The index orders and stops as an exhaustive search does."""

from __future__ import annotations

from itertools import pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.escalation.learning.index import Gate, Prospect, Stakes, best_plan, expected_usd

shares = st.floats(0.01, 0.99)
prospects = st.builds(
    Prospect,
    right=shares,
    cost_usd=st.floats(0.0, 5.0),
    gate=st.builds(Gate, false_accept=st.floats(0.0, 0.45), false_reject=st.floats(0.0, 0.45)),
)
stakes = st.builds(
    Stakes,
    value_usd=st.floats(0, 10),
    wrong_usd=st.floats(0, 30),
    review_usd=st.floats(0, 10),
)


def best_by_search(options: list[Prospect], at: Stakes, most: int) -> float:
    return max(
        expected_usd(order, at)
        for size in range(min(most, len(options)) + 1)
        for order in permutations(options, size)
    )


@given(st.lists(prospects, max_size=5), stakes, st.integers(1, 5))
def test_no_order_and_no_selection_within_the_cap_is_worth_more(
    options: list[Prospect], at: Stakes, most: int
) -> None:
    plan = best_plan(options, at, most)
    assert len(plan) <= most
    assert len(set(plan)) == len(plan)
    worth = expected_usd([options[i] for i in plan], at)
    assert worth == pytest.approx(best_by_search(options, at, most), abs=1e-9)


@given(st.lists(prospects, max_size=5), stakes)
def test_without_a_cap_it_takes_what_has_an_index_above_giving_up(
    options: list[Prospect], at: Stakes
) -> None:
    plan = best_plan(options, at, len(options))
    indices = [option.index_usd(at) for option in options]
    clear = [i for i, rho in enumerate(indices) if abs(rho + at.review_usd) > 1e-6]
    assert all((i in plan) == (indices[i] > -at.review_usd) for i in clear)
    order = [indices[i] for i in plan]
    assert all(a >= b - 1e-9 for a, b in pairwise(order))


def test_with_perfect_checks_it_is_ascending_cost_by_success() -> None:
    cheap, sure = Prospect(right=0.4, cost_usd=0.1), Prospect(right=0.9, cost_usd=0.2)
    assert best_plan([cheap, sure], Stakes(review_usd=1.0), 2) == (1, 0)
    assert sure.index_usd(Stakes()) == pytest.approx(-0.2 / 0.9)


def test_the_published_ladder_of_swe_bench_comes_out() -> None:
    """M = $2, L = $6, alpha 0.1, beta 0.05: a free model that is mostly wrong never starts."""
    gate = Gate(false_accept=0.1, false_reject=0.05)
    at = Stakes(wrong_usd=6.0, review_usd=2.0)
    free_but_weak = Prospect(right=0.1, cost_usd=0.005, gate=gate)
    cheap_and_good = Prospect(right=0.6, cost_usd=0.03, gate=gate)
    assert best_plan([free_but_weak, cheap_and_good], at, 2) == (1,)


@given(shares, st.floats(0.0, 0.45), st.floats(0.0, 0.45))
def test_what_checks_accept_is_undone_exactly(right: float, alpha: float, beta: float) -> None:
    gate = Gate(false_accept=alpha, false_reject=beta)
    assert gate.right(gate.accepts(right)) == pytest.approx(right)
