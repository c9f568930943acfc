"""What models have in common is learned of all of them at once."""

from __future__ import annotations

import pytest

from rung.escalation.learning.index import Gate
from rung.escalation.learning.population import AFTER_A_FAILURE, Count, places_of, population_of
from rung.escalation.learning.posterior import Beliefs, State, Tally

PLACES = places_of(["a", "b", "c"])


def of(*counts: Count, tasks: float = 4.0) -> tuple[float, float, float]:
    population = population_of(counts, PLACES, tasks)
    first, middle, last = (population.right(model) for model in PLACES)
    return first, middle, last


def test_without_outcomes_all_models_of_a_chain_are_alike() -> None:
    assert of() == (0.5, 0.5, 0.5)
    assert population_of((), PLACES, 4.0).left_after(2) == pytest.approx(AFTER_A_FAILURE**2)


def test_places_run_from_one_end_of_the_chain_to_the_other() -> None:
    assert PLACES == {"a": -1.0, "b": 0.0, "c": 1.0}
    assert places_of(["only"]) == {"only": -1.0}


def test_what_two_models_can_do_moves_what_is_expected_of_the_third() -> None:
    both_good = of(Count("a", 0, 90, 100), Count("b", 0, 90, 100))
    both_bad = of(Count("a", 0, 10, 100), Count("b", 0, 10, 100))
    assert both_bad[2] < 0.5 < both_good[2]


def test_dearer_models_are_expected_to_be_better_until_outcomes_say_otherwise() -> None:
    first, _, last = of(Count("b", 0, 50, 100))
    assert first < last
    first, _, last = of(Count("a", 0, 90, 100), Count("c", 0, 10, 100))
    assert last < first


def test_how_correlated_failures_are_is_learned_of_all_models() -> None:
    believed = Beliefs(gate_of=lambda _work, _model: Gate(), places=PLACES, forget=1.0)
    for model in ("a", "b"):
        believed.count(State("standard", model), Tally(accepted=80, rejected=20, tries=100))
        believed.count(State("standard", model, 1), Tally(accepted=2, rejected=48, tries=50))
    believed.count(State("standard", "c"), Tally(accepted=80, rejected=20, tries=100))
    assert believed.right(State("standard", "c", 1)) < 0.2


def test_small_counts_do_not_lean_to_the_middle_where_checks_err() -> None:
    """Of four states with one try each, one was accepted: no more than checks accept of wrong."""
    believed = Beliefs(gate_of=lambda _work, _model: Gate(false_accept=0.25), forget=1.0)
    for number in range(40):
        was_accepted = float(number % 4 == 0)
        tally = Tally(accepted=was_accepted, rejected=1 - was_accepted, tries=1)
        believed.count(State(f"type {number}", "m"), tally)
    assert believed.right(State("standard", "m")) < 0.1
