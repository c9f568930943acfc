"""Error rates of checks come from labels, with intervals; without labels they are unknown."""

from __future__ import annotations

import random

import pytest

from rung.escalation.learning.index import Gate
from rung.escalation.learning.rates import (
    Judged,
    Key,
    blended,
    default_gate,
    error_rates,
    safe_threshold,
    spend_quantile,
    wilson,
)

ALL = Key("all", "haiku", "standard")


def judged(accepted: bool, is_right: bool | None, weight: float = 1.0) -> Judged:
    return Judged(
        task_type="standard",
        model_class="haiku",
        passed={"syntax": True, "tests": accepted},
        is_accepted=accepted,
        is_right=is_right,
        weight=weight,
    )


def audited(seed: int, alpha: float, rate: float, tasks: int = 4000) -> list[Judged]:
    """Half of all answers are right; `rate` of the accepted ones is looked at."""
    chance, items = random.Random(seed), list[Judged]()
    for _ in range(tasks):
        is_right = chance.random() < 0.5
        accepted = is_right or chance.random() < alpha
        is_seen = accepted and chance.random() < rate
        items.append(judged(accepted, is_right if is_seen else None, 1 / rate))
    return items


def test_without_labels_the_rates_are_unknown_and_the_default_stands() -> None:
    rates = error_rates([judged(True, None), judged(False, None)])[ALL]
    assert (rates.false_accept, rates.false_reject) == (None, None)
    default = default_gate(["syntax", "tests"])
    assert blended(default, rates) == default == Gate(false_accept=0.173)


def test_the_interval_of_an_audit_holds_the_truth_nearly_always() -> None:
    held = 0
    for seed in range(40):
        found = error_rates(audited(seed, alpha=0.2, rate=0.05))[ALL].false_accept
        assert found is not None
        held += found.low <= 0.2 <= found.high
    assert held >= 35


def test_a_sharp_check_and_a_blunt_one_are_told_apart() -> None:
    rates = error_rates(audited(1, alpha=0.2, rate=0.2))
    tests = rates[Key("tests", "haiku", "standard")].false_accept
    syntax = rates[Key("syntax", "haiku", "standard")].false_accept
    assert tests is not None
    assert syntax is not None
    assert tests.high < 0.35
    assert syntax.estimate == 1.0


def test_labels_of_rejected_work_show_false_rejects() -> None:
    items = [judged(True, True)] * 40 + [judged(False, True)] * 10 + [judged(False, False)] * 10
    found = error_rates(items)[ALL].false_reject
    assert found is not None
    assert found.estimate == pytest.approx(0.2)


def test_many_labels_outweigh_the_default() -> None:
    rates = error_rates(audited(3, alpha=0.5, rate=1.0))[ALL]
    assert blended(Gate(false_accept=0.173), rates).false_accept == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("hits", "total"), [(0, 10), (10, 10), (3, 10), (0, 0)])
def test_an_interval_holds_its_estimate(hits: int, total: int) -> None:
    share = wilson(hits, total)
    assert 0.0 <= share.low <= share.estimate <= share.high <= 1.0


def test_a_threshold_needs_enough_labels_and_keeps_its_promise() -> None:
    assert safe_threshold([(0.9, True)] * 20, target=0.1) is None
    assert safe_threshold([(0.9, True)] * 60, target=0.1) == 0.9
    broken = 0
    for seed in range(200):
        chance = random.Random(seed)
        pairs = [
            (c, chance.random() < c) for c in (chance.choice([0.7, 0.8, 0.97]) for _ in range(300))
        ]
        found = safe_threshold(pairs, target=0.1)
        # Only at 0.97 is at most a tenth wrong: any lower threshold breaks the promise.
        broken += found is not None and found < 0.97
    assert broken <= 0.05 * 200 + 6


def test_a_budget_holds_for_the_share_of_tasks_that_it_names() -> None:
    chance = random.Random(7)
    assert spend_quantile([1.0] * 10) is None
    held = [
        chance.lognormvariate(0, 1)
        <= (spend_quantile([chance.lognormvariate(0, 1) for _ in range(99)]) or 0)
        for _ in range(1000)
    ]
    assert 0.93 <= sum(held) / 1000 <= 0.97
