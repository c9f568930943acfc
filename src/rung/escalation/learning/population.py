"""What all models of a chain together say of each one: pure.

With many models and few tasks most of what can be known of a model is what its like did. Three
things are learned of all of them at once: how good they are on the whole, how much better the later
rungs of the chain are than the earlier ones, and how much of a model's success is left where others
have failed. All begin at a prior, and outcomes move them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

# What is believed of the models together weighs as much as two models of which all is known.
PRIOR_RIGHT = 0.5
PRIOR_MODELS = 2.0
# The matrix puts stronger models later: from the first rung to the last by 0.2, until outcomes say
# otherwise. It weighs as much as one model at the end of the chain.
PRIOR_SLOPE = 0.1
# Failures are correlated: what one model failed at is harder for the next. Measured on SWE-bench
# Verified at 0.74, 0.49 and 0.34 for the same model after no, one and two failures of others.
AFTER_A_FAILURE = 0.6
PRIOR_FAILURES = 8.0


class Count(NamedTuple):
    """First tries of a model after so many failures of others. `right` is a corrected count: it
    may lie outside 0 to `tries`.
    """

    model: str
    failed: int
    right: float
    tries: float


@dataclass(frozen=True)
class Population:
    """`places` run from -1, the first rung, to 1, the last; a model without one is in between."""

    places: Mapping[str, float]
    mean: float = PRIOR_RIGHT
    slope: float = 0.0
    centre: float = 0.0
    left: tuple[float, ...] = ()

    def right(self, model: str) -> float:
        """The chance to expect of a model of which nothing is known."""
        place = self.places.get(model, 0.0)
        return min(0.98, max(0.02, self.mean + self.slope * (place - self.centre)))

    def left_after(self, failed: int) -> float:
        """The share of a model's success that is left after so many failures of others."""
        known = (1.0, *self.left)[: failed + 1]
        return known[-1] * AFTER_A_FAILURE ** (failed + 1 - len(known))


def places_of(chain: Iterable[str]) -> dict[str, float]:
    """The places of models in the order of their chain."""
    models = list(chain)
    last = max(1, len(models) - 1)
    return {model: 2.0 * at / last - 1.0 for at, model in enumerate(models)}


def population_of(
    counts: Iterable[Count], places: Mapping[str, float], prior_tasks: float
) -> Population:
    """Without any outcome all models are alike: then the index keeps the chain's own order."""
    firsts: dict[str, Count] = {}
    later: dict[int, list[Count]] = {}
    for count in counts:
        if count.failed:
            later.setdefault(count.failed, []).append(count)
            continue
        known = firsts.get(count.model, Count(count.model, 0, 0.0, 0.0))
        right, tries = known.right + count.right, known.tries + count.tries
        firsts[count.model] = Count(count.model, 0, right, tries)
    if not firsts and not later:
        return Population(places)
    level = _level(firsts.values(), places, prior_tasks)
    return Population(
        places, level.mean, level.slope, level.centre, _left(level, firsts, later, prior_tasks)
    )


def _level(firsts: Iterable[Count], places: Mapping[str, float], prior_tasks: float) -> Population:
    """A straight line through the models' shares, by their places: each weighs by what is known."""
    points = [
        (places.get(count.model, 0.0), count.right / count.tries, weight)
        for count in firsts
        if (weight := count.tries / (count.tries + prior_tasks))
    ]
    total = sum(weight for *_, weight in points)
    mean = PRIOR_MODELS * PRIOR_RIGHT + sum(share * weight for _, share, weight in points)
    mean /= PRIOR_MODELS + total
    centre = sum(place * weight for place, _, weight in points) / total if total else 0.0
    rise = sum(w * (place - centre) * (share - mean) for place, share, w in points)
    spread = sum(w * (place - centre) ** 2 for place, _, w in points)
    return Population(places, mean, (PRIOR_SLOPE + rise) / (1.0 + spread), centre)


def _left(
    level: Population,
    firsts: Mapping[str, Count],
    later: Mapping[int, Iterable[Count]],
    prior_tasks: float,
) -> tuple[float, ...]:
    """Right answers after 1, 2, … failures, beside those that first tries would have had, of
    models as far as their first tries are known.
    """
    left: list[float] = []
    for failed in range(1, max(later, default=0) + 1):
        share = AFTER_A_FAILURE * (left[-1] if left else 1.0)
        right, expected = PRIOR_FAILURES * share, PRIOR_FAILURES
        for count in later.get(failed, ()):
            first = firsts.get(count.model, Count(count.model, 0, 0.0, 0.0))
            known = first.tries / (prior_tasks + first.tries)
            strength = prior_tasks * level.right(count.model) + first.right
            strength = max(0.0, strength) / (prior_tasks + first.tries)
            right += known * count.right
            expected += known * count.tries * strength
        left.append(min(1.0, max(0.0, right / expected)))
    return tuple(left)
