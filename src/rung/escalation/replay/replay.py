"""Every policy on the same recorded outcomes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec

from rung.errors import UsageError
from rung.escalation.learning.index import Gate, Stakes
from rung.escalation.replay.ladders import climb, fixed_orders, oracle, unchecked
from rung.escalation.replay.learned import Learner, train
from rung.escalation.replay.outcomes import World
from rung.escalation.replay.scores import End, PolicyResult, Resampled, Scores, result_of

# Where outcomes are many, learning from nothing is played in fewer orders, and checks err in fewer
# ways: in one at least. Chance evens out over the tasks then.
MOST_OUTCOMES = 100_000
USUAL_STAKES = Stakes(wrong_usd=6.0, review_usd=2.0)


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked of a replay.

    Without `stakes` the learned ladder is the cheapest that solves what the biggest model does,
    and USUAL_STAKES weigh the totals. `train` is a number of tasks; by default half of them.
    """

    stakes: Stakes | None = None
    gate: Gate | None = None
    train: int | None = None
    splits: int = 20
    seed: int = 0


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """`policies` begins with the named ones; the fixed ladders follow, the best by total first.

    The order of `learned` is what all tasks together teach, where they are of one type.
    `false_accept` and `false_reject` are those of the checks, as given or as the file has them.
    """

    tasks: int
    left_out: int
    models: tuple[str, ...]
    train: int
    splits: int
    false_accept: float
    false_reject: float
    policies: tuple[PolicyResult, ...]


# Told what is being played, several times a second where outcomes are many.
OnStep = Callable[[str], None]


def _silent(_: str) -> None:
    pass


def replay(world: World, question: Question, on_step: OnStep = _silent) -> Replay:
    """Raises UsageError where there is nothing to train on or nothing left to test on."""
    count = len(world.tasks)
    trained = count // 2 if question.train is None else question.train
    if count < 2:
        raise UsageError("one task is not enough: one part is learned from, the rest is tested on")
    if not 0 < trained < count:
        raise UsageError(
            f"--train must leave tasks to learn from and to test on: between 1 and {count - 1}, "
            f"as there are {count} tasks"
        )
    stakes = question.stakes or USUAL_STAKES
    resampled = Resampled(count, question.seed)
    biggest = len(world.models) - 1
    judged = _judged(world, question)
    splits = _splits(question, judged, trained)

    def result(
        name: str, plays: Iterable[tuple[int, End]], order: Sequence[int] = ()
    ) -> PolicyResult:
        scores = Scores(count)
        for task, end in plays:
            scores.add(task, end)
        return result_of(name, [world.models[at] for at in order], scores, stakes, resampled)

    def everywhere(end_of: Callable[[World, int], End]) -> Iterable[tuple[int, End]]:
        return ((task, end_of(judge, task)) for judge in judged for task in range(count))

    ladders: list[PolicyResult] = []
    orders = fixed_orders(world)
    for number, order in enumerate(orders, start=1):
        on_step(f"fixed ladder {number:,} of {len(orders):,}")
        plays = everywhere(lambda judge, task, o=order: climb(judge, o, task))
        ladders.append(result("fixed", plays, order))
    rates = error_rates(judged)
    ladders_now = train(judged[0], range(count), rates, question.stakes, biggest)
    learned_now = next(iter(ladders_now.values())) if len(ladders_now) == 1 else ()
    return Replay(
        tasks=count,
        left_out=world.left_out,
        models=world.models,
        train=trained,
        splits=question.splits,
        false_accept=rates.false_accept,
        false_reject=rates.false_reject,
        policies=(
            result(
                "always-biggest",
                everywhere(lambda judge, task: unchecked(judge, biggest, task)),
                (biggest,),
            ),
            result("learned", _learned(splits, question.stakes, biggest, on_step), learned_now),
            result("online", _online(splits, stakes, on_step)),
            result("oracle", everywhere(oracle)),
            *sorted(ladders, key=lambda policy: policy.total_usd),
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Split:
    """One random order of the tasks; the first `trained` of them are for training."""

    world: World
    order: tuple[int, ...]
    trained: int
    seed: int


def _judged(world: World, question: Question) -> tuple[World, ...]:
    """One world for each way that the checks may have erred: one, where they are on record."""
    gate = question.gate
    if gate is None or (gate.false_accept == 0 and gate.false_reject == 0):
        return (world,)
    return tuple(
        world.with_checks(gate.false_accept, gate.false_reject, question.seed + number)
        for number in range(_most_plays(world, question.splits))
    )


def _most_plays(world: World, wanted: int) -> int:
    return min(wanted, max(1, MOST_OUTCOMES // (len(world.tasks) * len(world.models))))


def _splits(question: Question, judged: Sequence[World], trained: int) -> list[Split]:
    splits: list[Split] = []
    for number in range(question.splits):
        world, seed = judged[number % len(judged)], question.seed + number
        order = list(range(len(world.tasks)))
        random.Random(seed).shuffle(order)  # noqa: S311 (not a secret)
        splits.append(Split(world=world, order=tuple(order), trained=trained, seed=seed))
    return splits


def _learned(
    splits: Sequence[Split], stakes: Stakes | None, biggest: int, on_step: OnStep
) -> Iterable[tuple[int, End]]:
    """A type that the training part lacks starts at the biggest model."""
    for number, split in enumerate(splits, start=1):
        on_step(f"the learned ladder, split {number} of {len(splits)}")
        known = split.order[: split.trained]
        gate = error_rates([split.world], known)
        ladders = train(split.world, known, gate, stakes, biggest)
        for task in split.order[split.trained :]:
            order = ladders.get(split.world.types[task], (biggest,))
            yield task, climb(split.world, order, task)


def _online(splits: Sequence[Split], stakes: Stakes, on_step: OnStep) -> Iterable[tuple[int, End]]:
    for split in splits[: _most_plays(splits[0].world, len(splits))]:
        learner = Learner(split.world, error_rates([split.world]), stakes, seed=split.seed)
        for number, task in enumerate(split.order):
            if number % 100 == 0:
                on_step(f"learning online, task {number:,} of {len(split.order):,}")
            yield task, learner.play(task)


def error_rates(worlds: Sequence[World], tasks: Sequence[int] | None = None) -> Gate:
    """How often the checks were wrong, of all models' answers to these tasks."""
    wrong = accepted = right = rejected = 0
    for world in worlds:
        for truths, verdicts in zip(world.is_right, world.is_accepted, strict=True):
            for task in range(len(world.tasks)) if tasks is None else tasks:
                if truths[task]:
                    right += 1
                    rejected += not verdicts[task]
                else:
                    wrong += 1
                    accepted += verdicts[task]
    return Gate(false_accept=accepted / max(1, wrong), false_reject=rejected / max(1, right))
