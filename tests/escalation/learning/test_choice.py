"""The order that learning gives: inside all caps, the same for the same question."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.escalation.learning.choice import Ladder, Rung
from rung.escalation.learning.index import Gate, Stakes
from rung.escalation.learning.posterior import Beliefs, Observation, State
from rung.escalation.policy import Limits, Next, Stop, Tried

STAKES = Stakes(wrong_usd=6.0, review_usd=2.0)


def ladder(costs: list[float], seed: str | None = None, **changes: object) -> Ladder:
    gate = Gate(false_accept=0.05)
    fields: dict[str, object] = {
        "work": "standard",
        "rungs": [Rung(model=f"m{at}", guess_usd=usd) for at, usd in enumerate(costs)],
        "beliefs": Beliefs(gate_of=lambda _work, _model: gate),
        "stakes": STAKES,
        "seed": seed,
    }
    return Ladder(**{**fields, **changes})  # type: ignore[arg-type]


def taught(to: Ladder, model: str, accepted: int, rejected: int, failed: int = 0) -> None:
    state = State("standard", model, failed)
    for is_accepted in [True] * accepted + [False] * rejected:
        to.beliefs.observe(Observation(state=state, is_accepted=is_accepted, cost_usd=0.01))


LIMITS = Limits(rungs=3, attempts_per_rung=2, max_attempts=4)


def walk(it: Ladder, limits: Limits, results: list[Tried] | None = None) -> tuple[list[Next], Stop]:
    tried: list[Tried] = list(results or [])
    steps: list[Next] = []
    while isinstance(step := it.order(tried, limits), Next):
        steps.append(step)
        tried.append(Tried(rung=step.rung, result="failed"))
        assert len(steps) < 100
    return steps, step


def test_without_outcomes_the_order_is_the_chains() -> None:
    steps, _ = walk(ladder([0.0, 0.0, 0.02], may_stop=False), LIMITS)
    first_tries = [step.rung for step in steps if not step.is_retry]
    assert first_tries == sorted(first_tries)
    assert steps[0] == Next(rung=0, is_retry=False)


def test_a_first_rung_that_nearly_always_fails_is_passed_over() -> None:
    it = ladder([0.0, 0.0, 0.02])
    taught(it, "m0", accepted=1, rejected=40)
    taught(it, "m1", accepted=35, rejected=5)
    assert it.order((), LIMITS) == Next(rung=1, is_retry=False)


def test_it_stops_where_a_person_is_cheaper_and_says_so() -> None:
    it = ladder([0.0, 0.0])
    for model in ("m0", "m1"):
        taught(it, model, accepted=50, rejected=50)
        taught(it, model, accepted=1, rejected=60, failed=1)
    limits = Limits(rungs=2, attempts_per_rung=1, max_attempts=4)
    tried = [Tried(rung=0, result="failed")]
    assert it.order(tried, limits) == Stop(why="not_worth_it")
    watched = ladder([0.0, 0.0], beliefs=it.beliefs, may_stop=False)
    assert watched.order(tried, limits) == Next(rung=1, is_retry=False)


def test_the_first_try_is_made_however_hopeless() -> None:
    it = ladder([0.0])
    taught(it, "m0", accepted=0, rejected=100)
    assert isinstance(it.order((), Limits(rungs=1, attempts_per_rung=1, max_attempts=1)), Next)


def test_a_model_that_nobody_asked_is_not_given_up() -> None:
    it = ladder([0.0, 5.0])
    taught(it, "m0", accepted=10, rejected=10)
    limits = Limits(rungs=2, attempts_per_rung=1, max_attempts=4)
    assert it.order([Tried(rung=0, result="failed")], limits) == Next(rung=1, is_retry=False)


results = st.sampled_from(["failed", "no_answer", "failed"])


@given(
    st.lists(st.floats(0, 10), min_size=1, max_size=6),
    st.integers(1, 3),
    st.integers(1, 6),
    st.randoms(use_true_random=False),
    st.booleans(),
)
def test_no_cap_is_ever_exceeded(
    costs: list[float], per_rung: int, most: int, chance: random.Random, explores: bool
) -> None:
    it = ladder(costs, seed="s" if explores else None, may_stop=chance.random() < 0.5)
    for at in range(len(costs)):
        taught(it, f"m{at}", chance.randrange(5), chance.randrange(5))
    limits = Limits(rungs=len(costs), attempts_per_rung=per_rung, max_attempts=most)
    tried: list[Tried] = []
    while isinstance(step := it.order(tried, limits), Next):
        assert 0 <= step.rung < len(costs)
        assert step.is_retry == any(item.rung == step.rung for item in tried)
        is_unfit = chance.random() < 0.2
        tried.append(
            Tried(
                rung=step.rung,
                result="no_answer" if is_unfit else "failed",
                may_retry=not is_unfit,
                is_unfit=is_unfit,
            )
        )
        assert sum(not item.is_unfit for item in tried) <= most
        assert all(sum(t.rung == at for t in tried) <= per_rung for at in range(len(costs)))


@pytest.mark.parametrize("result", ["passed", "unchecked"])
def test_an_answer_that_stands_ends_the_task(result: str) -> None:
    it = ladder([0.0, 1.0], seed="s")
    assert it.order([Tried(rung=0, result=result)], LIMITS) == Stop(why=result)  # type: ignore[arg-type]


def test_the_same_question_has_the_same_answer_and_other_tasks_explore() -> None:
    def first(seed: str | None) -> int:
        it = ladder([0.0, 0.0, 0.0], seed=seed)
        taught(it, "m0", accepted=6, rejected=4)
        step = it.order((), LIMITS)
        assert step == it.order((), LIMITS)
        assert isinstance(step, Next)
        return step.rung

    assert len({first(f"task {number}") for number in range(30)}) > 1
    assert {first(None) for _ in range(3)} == {0}
