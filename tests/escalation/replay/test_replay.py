"""A replay says what policies would have come to, and learning keeps up with hindsight."""

from __future__ import annotations

import random
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

import rung.escalation.replay.replay as replay_module
from rung.errors import UsageError
from rung.escalation.learning.index import Gate, Stakes
from rung.escalation.replay.ladders import MAX_RUNGS, fixed_orders
from rung.escalation.replay.plot import svg
from rung.escalation.replay.replay import Question, Replay, replay
from rung.escalation.replay.scores import MOST_DRAWN, PolicyResult, Resampled
from tests.escalation.replay.worlds import made_up

PRICES = [0.0001, 0.0003, 0.001, 0.01]
SKILLS = [-1.0, 0.5, 0.8, 1.2]


def named(found: Replay, name: str) -> PolicyResult:
    return next(policy for policy in found.policies if policy.name == name)


def best_fixed(found: Replay) -> PolicyResult:
    return next(policy for policy in found.policies if policy.name == "fixed")


def test_each_task_ends_in_one_of_three_ways_under_every_policy() -> None:
    found = replay(
        made_up(SKILLS, PRICES, tasks=80), Question(gate=Gate(false_accept=0.2), splits=3)
    )
    for policy in found.policies:
        assert policy.solved + policy.wrong_accepted + policy.review == pytest.approx(1.0)
        for metric, (low, high) in policy.intervals.items():
            assert low - 0.02 <= getattr(policy, metric) <= high + 0.02
    assert found.false_accept == pytest.approx(0.2, abs=0.05)


def test_perfect_checks_accept_nothing_wrong_and_the_oracle_is_never_beaten() -> None:
    found = replay(made_up(SKILLS, PRICES, tasks=80), Question(splits=3))
    oracle = named(found, "oracle")
    for policy in found.policies:
        assert policy.solved <= oracle.solved + 1e-9
        if policy.name != "always-biggest":
            assert policy.wrong_accepted == 0.0


def test_the_figures_of_a_ladder_are_those_counted_by_hand() -> None:
    world = made_up([0.0, 0.0], [0.1, 1.0], tasks=50)
    found = replay(world, Question(splits=2))
    both = next(p for p in found.policies if p.name == "fixed" and p.order == ("m0", "m1"))
    first, second = world.is_right
    assert both.solved == sum(a or b for a, b in zip(first, second, strict=True)) / 50
    spent = sum(world.cost_usd[0]) + sum(
        usd for usd, has_passed in zip(world.cost_usd[1], first, strict=True) if not has_passed
    )
    assert both.cost_usd == pytest.approx(spent / 50)


def test_the_learned_ladder_matches_the_biggest_model_for_a_tenth_of_its_cost() -> None:
    found = replay(made_up([0.0, 0.4, 0.6, 1.0], PRICES, tasks=400), Question())
    learned, biggest = named(found, "learned"), named(found, "always-biggest")
    assert learned.solved >= biggest.solved
    assert learned.cost_usd <= 0.1 * biggest.cost_usd
    assert learned.order


@pytest.mark.parametrize("false_accept", [0.0, 0.1])
@pytest.mark.parametrize(
    ("skills", "changes"),
    [
        (SKILLS, {}),
        (SKILLS, {"spread": 3.0}),
        ([-4.0, 0.5, 0.8, -2.0], {}),
        ([0.0, 0.5, 1.0, 1.2], {"drift": (1, -3.0)}),
    ],
    ids=["plain", "correlated", "weak-first-useless-last", "drift"],
)
def test_learning_from_nothing_keeps_up_with_the_best_ladder_in_hindsight(
    skills: list[float], changes: dict[str, float], false_accept: float
) -> None:
    world = made_up(skills, PRICES, tasks=400, **changes)  # type: ignore[arg-type]
    stakes = Stakes(review_usd=2.0, wrong_usd=6.0)
    found = replay(world, Question(stakes=stakes, gate=Gate(false_accept=false_accept), splits=4))
    assert named(found, "online").total_usd <= 1.25 * best_fixed(found).total_usd


def test_each_task_type_gets_a_ladder_of_its_own() -> None:
    found = replay(made_up(SKILLS, PRICES, tasks=100, types=2), Question(splits=2))
    assert named(found, "learned").order == ()


def test_the_same_question_has_the_same_answer() -> None:
    world, question = made_up(SKILLS, PRICES, tasks=60), Question(splits=3, seed=4)
    assert replay(world, question) == replay(world, question)


def test_ladders_are_bounded_whatever_the_number_of_models() -> None:
    orders = fixed_orders(made_up([0.0] * 25, [0.001 * n for n in range(1, 26)], tasks=10))
    assert len(orders) == 385
    assert max(map(len, orders)) == MAX_RUNGS


@pytest.mark.parametrize("train", [0, 20, 21])
def test_a_training_part_must_leave_something_to_test_on(train: int) -> None:
    with pytest.raises(UsageError, match="between 1 and 19"):
        replay(made_up(SKILLS, PRICES, tasks=20), Question(train=train))


def test_one_task_is_refused_as_there_is_none_left_to_test_on() -> None:
    with pytest.raises(UsageError, match="one task is not enough"):
        replay(made_up(SKILLS, PRICES, tasks=1), Question())


def test_intervals_of_many_tasks_are_as_wide_as_those_of_each_single_one() -> None:
    chance = random.Random(3)
    solved = [float(chance.random() < 0.3) for _ in range(4 * MOST_DRAWN + 7)]
    none, all_ = [0.0] * len(solved), [1.0] * len(solved)
    low, high = Resampled(len(solved), 1).intervals(solved, none, none, all_)["solved"]
    mean = sum(solved) / len(solved)
    width = 2 * 1.96 * (mean * (1 - mean) / len(solved)) ** 0.5
    assert low < mean < high
    assert high - low == pytest.approx(width, rel=0.35)


def test_one_model_and_few_tasks_are_enough() -> None:
    found = replay(made_up([1.0], [0.0], tasks=2), Question(splits=1))
    assert named(found, "learned").order == ("m0",)
    assert "<svg" in svg(found)


def test_names_of_models_are_text_in_the_plot_whatever_they_hold() -> None:
    names = ["<script>alert(1)</script>", "\x1b[2J\x01", '"&\u202e']
    world = replace(made_up(SKILLS[:3], PRICES[:3], tasks=40), models=tuple(names))
    root = ET.fromstring(svg(replay(world, Question(splits=2))))
    titles = [item.text or "" for item in root.iter() if item.tag.endswith("title")]
    assert any(names[0] in title for title in titles)
    assert not any(item.tag.endswith("script") for item in root.iter())


def test_every_policy_says_how_far_it_has_come() -> None:
    said: list[str] = []
    replay(made_up(SKILLS, PRICES, tasks=20), Question(splits=2), said.append)
    orders = len(fixed_orders(made_up(SKILLS, PRICES, tasks=20)))
    assert f"fixed ladder {orders} of {orders}" in said
    assert "the learned ladder, split 2 of 2" in said
    assert any(step.startswith("learning online") for step in said)


def test_many_outcomes_are_played_in_fewer_ways_and_few_in_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = made_up(SKILLS, PRICES, tasks=50)
    question = Question(gate=Gate(false_accept=0.2), splits=6)

    def plays() -> int:
        said: list[str] = []
        replay(world, question, said.append)
        return sum(step.startswith("learning online") for step in said)

    assert plays() == 6
    monkeypatch.setattr(replay_module, "MOST_OUTCOMES", 50 * len(SKILLS) * 2)
    assert plays() == 2


def test_the_plot_is_valid_and_shows_every_policy() -> None:
    found = replay(made_up(SKILLS, PRICES, tasks=40), Question(splits=2))
    root = ET.fromstring(svg(found))
    circles = [item for item in root.iter() if item.tag.endswith("circle")]
    assert len(circles) == len(found.policies) + 5  # and the legend
