"""Beliefs follow outcomes, and nearby outcomes where there are none."""

from __future__ import annotations

import random

import pytest

from rung.escalation.learning.index import Gate
from rung.escalation.learning.posterior import Beliefs, Observation, State


def beliefs(gate: Gate | None = None, forget: float = 1.0) -> Beliefs:
    return Beliefs(gate_of=lambda _work, _model: gate or Gate(), forget=forget)


def see(into: Beliefs, state: State, accepted: int, rejected: int, usd: float = 0.0) -> None:
    for is_accepted in [True] * accepted + [False] * rejected:
        into.observe(Observation(state=state, is_accepted=is_accepted, cost_usd=usd))


def test_the_posterior_is_calibrated() -> None:
    """Of chances drawn from the prior, nine of ten lie in the middle nine tenths of the draws."""
    chance, inside = random.Random(1), 0
    state = State("standard", "m")
    for _ in range(300):
        believed = beliefs()
        truth = chance.betavariate(2.0, 2.0)  # the prior: 4 pseudo-tasks at one half
        for _ in range(30):
            believed.observe(Observation(state=state, is_accepted=chance.random() < truth))
        draws = sorted(believed.acceptance(state).draw(chance) for _ in range(200))
        inside += draws[10] <= truth <= draws[189]
    assert 0.85 <= inside / 300 <= 0.95


def test_the_chance_of_being_right_is_backed_out_of_the_chance_of_being_accepted() -> None:
    believed = beliefs(Gate(false_accept=0.3, false_reject=0.1))
    see(believed, State("standard", "m"), accepted=720, rejected=280)
    assert believed.right(State("standard", "m")) == pytest.approx(0.7, abs=0.01)


def test_checks_that_accept_everything_say_nothing_of_what_is_right() -> None:
    believed = beliefs(Gate(false_accept=1.0))
    see(believed, State("quick_edit", "m"), accepted=500, rejected=0)
    assert believed.right(State("quick_edit", "m")) == pytest.approx(0.5)


def test_a_failure_lowers_what_is_believed_of_the_next_rung() -> None:
    believed = beliefs()
    see(believed, State("standard", "m"), accepted=80, rejected=20)
    fresh, later = (believed.right(State("standard", "m", failed=k)) for k in (0, 1))
    assert later == pytest.approx(0.6 * fresh, rel=0.05)
    assert believed.right(State("standard", "m", 0, nth_try=2)) < 0.3


def test_what_was_seen_after_failures_says_something_of_first_tries() -> None:
    believed = beliefs()
    see(believed, State("standard", "m", failed=1), accepted=50, rejected=50)
    assert believed.right(State("standard", "m")) > 0.75


def test_a_type_without_outcomes_borrows_from_the_other_types() -> None:
    believed = beliefs()
    see(believed, State("standard", "m"), accepted=95, rejected=5)
    assert believed.right(State("architecture", "m")) > 0.85
    # A model that nobody asked is taken for its like, though not as if it had been asked itself.
    assert 0.5 < believed.right(State("architecture", "other")) < 0.75


def test_a_model_that_got_worse_is_found_out_despite_a_good_past() -> None:
    state, patient, forgetful = State("standard", "m"), beliefs(), beliefs(forget=0.95)
    for believed in (patient, forgetful):
        see(believed, state, accepted=200, rejected=0)
        see(believed, state, accepted=0, rejected=40)
    assert forgetful.right(state) < 0.25 < patient.right(state)


def test_costs_are_means_by_what_failed_before_and_begin_with_the_guess() -> None:
    believed = beliefs()
    first, later = State("standard", "m"), State("standard", "m", failed=2)
    assert believed.cost_usd(first, 0.5) == pytest.approx(0.5)
    see(believed, first, 50, 50, usd=0.1)
    see(believed, later, 50, 50, usd=0.3)
    assert believed.cost_usd(first, 0.5) == pytest.approx(0.1, abs=0.02)
    assert believed.cost_usd(later, 0.5) == pytest.approx(0.3, abs=0.02)
