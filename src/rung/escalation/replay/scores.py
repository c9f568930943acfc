"""What a policy came to: every task ends solved, wrongly accepted, or with a person."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Literal, NamedTuple

import msgspec

from rung.escalation.learning.index import Stakes

RESAMPLES = 200
MOST_DRAWN = 500
COVERED = 0.95

Metric = Literal["solved", "cost_usd", "wrong_accepted", "review"]


class End(NamedTuple):
    """How one task ended under a policy; neither solved nor wrong is a task for a person."""

    is_solved: bool
    is_wrong: bool
    cost_usd: float


class PolicyResult(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of tasks, and USD for each task. `intervals` hold 95 % of bootstrap resamples.

    `order` is empty where there is not one order for all tasks. `total_usd` weighs all of it with
    the stakes of the replay.
    """

    name: str
    order: tuple[str, ...]
    solved: float
    cost_usd: float
    wrong_accepted: float
    review: float
    total_usd: float
    intervals: dict[Metric, tuple[float, float]]


@dataclass
class Scores:
    """Sums by task, of as many plays as each task had."""

    tasks: int
    plays: list[int] = field(init=False)
    solved: list[float] = field(init=False)
    wrong: list[float] = field(init=False)
    cost_usd: list[float] = field(init=False)

    def __post_init__(self) -> None:
        self.plays = [0] * self.tasks
        self.solved, self.wrong, self.cost_usd = ([0.0] * self.tasks for _ in range(3))

    def add(self, task: int, end: End) -> None:
        self.plays[task] += 1
        self.solved[task] += end.is_solved
        self.wrong[task] += end.is_wrong
        self.cost_usd[task] += end.cost_usd


class Resampled:
    """The same resamples of tasks for every policy, so that their intervals compare.

    Above MOST_DRAWN tasks groups of them are drawn, each task in one group by chance: their sums
    vary as those of single tasks do.
    """

    def __init__(self, tasks: int, seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 (not a secret)
        order = list(range(tasks))
        if tasks > MOST_DRAWN:
            chance.shuffle(order)
        size = min(tasks, MOST_DRAWN)
        self._groups = [order[at::size] for at in range(size)] if tasks > size else None
        # Twice the first task where there is one only: itemgetter of one item gives no tuple.
        self._draws = [
            itemgetter(*chance.choices(range(size), k=max(2, size))) for _ in range(RESAMPLES)
        ]

    def intervals(
        self, solved: Means, wrong: Means, cost_usd: Means, played: Means
    ) -> dict[Metric, Interval]:
        """Percentile intervals of the means over the tasks that were played at all."""
        counted = self._sums(played)
        sizes = [sum(draw(counted)) or 1.0 for draw in self._draws]
        shares: list[list[float]] = []
        for values in (solved, wrong, cost_usd):
            sums = self._sums(values)
            totals = (sum(draw(sums)) for draw in self._draws)
            shares.append([total / size for total, size in zip(totals, sizes, strict=True)])
        reviews = [max(0.0, 1.0 - s - w) for s, w in zip(*shares[:2], strict=True)]
        return {
            "solved": _middle(shares[0]),
            "cost_usd": _middle(shares[2]),
            "wrong_accepted": _middle(shares[1]),
            "review": _middle(reviews),
        }

    def _sums(self, values: Means) -> Means:
        if self._groups is None:
            return values
        return [sum(map(values.__getitem__, group)) for group in self._groups]


Means = Sequence[float]
Interval = tuple[float, float]


def result_of(
    name: str, order: Sequence[str], scores: Scores, stakes: Stakes, resampled: Resampled
) -> PolicyResult:
    """Means over tasks, each weighing the same."""

    def means(sums: Sequence[float]) -> list[float]:
        return [
            total / plays if plays else 0.0 for total, plays in zip(sums, scores.plays, strict=True)
        ]

    solved, wrong, cost_usd = means(scores.solved), means(scores.wrong), means(scores.cost_usd)
    played = [float(plays > 0) for plays in scores.plays]
    count = sum(played) or 1.0
    right, bad, cost = sum(solved) / count, sum(wrong) / count, sum(cost_usd) / count
    review = max(0.0, 1.0 - right - bad)
    return PolicyResult(
        name=name,
        order=tuple(order),
        solved=right,
        cost_usd=cost,
        wrong_accepted=bad,
        review=review,
        total_usd=total_usd(right, bad, cost, stakes),
        intervals=resampled.intervals(solved, wrong, cost_usd, played),
    )


def total_usd(solved: float, wrong: float, cost_usd: float, stakes: Stakes) -> float:
    """What a task costs in all: calls, wrong answers that were accepted, people's time."""
    review = 1.0 - solved - wrong
    return (
        cost_usd + stakes.review_usd * review + stakes.wrong_usd * wrong - stakes.value_usd * solved
    )


def _middle(values: list[float]) -> Interval:
    values.sort()
    tail = (1.0 - COVERED) / 2
    last = len(values) - 1
    return values[round(tail * last)], values[round((1.0 - tail) * last)]
