"""What is believed of each model, by kind of work and by how much has failed before: pure.

A state is (kind of work, model, other models that failed so far, number of this try on the rung).
Work of a kind has the same task type and the same checks.
Its chance of being *accepted* is a Beta distribution; the chance of being *right* is backed out
with the error rates of the checks. Where a state has few outcomes, what is known nearby stands in:
the same model after more or fewer failures, at other kinds of work, and what its like did.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from rung.escalation.learning.index import Gate
from rung.escalation.learning.population import Count, Population, population_of

# What a second try of the same model, with the error shown, is worth beside its first one: between
# 0.04 (LiveCodeBench, low temperature) and 0.4 (EvalPlus, temperature 1).
SECOND_TRY = 0.3
# Checks that accept right and wrong answers alike say nothing of what is right.
LEAST_POWER = 0.05


class State(NamedTuple):
    """`failed` counts the other models that failed at the task, `nth_try` is 1 for a first try."""

    work: str
    model: str
    failed: int = 0
    nth_try: int = 1


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One checked attempt. `cost_usd` includes the price of waiting; `None` where it is unknown."""

    state: State
    is_accepted: bool
    cost_usd: float | None = None


class Beta(NamedTuple):
    """A Beta distribution by its two counts."""

    accepted: float
    rejected: float

    @property
    def mean(self) -> float:
        return self.accepted / (self.accepted + self.rejected)

    def draw(self, chance: random.Random, confidence: float = 1.0) -> float:
        """A value that may be, as if each outcome had been seen `confidence` times."""
        return chance.betavariate(confidence * self.accepted, confidence * self.rejected)


@dataclass
class Tally:
    """Outcomes of one state, the older ones weighing less."""

    accepted: float = 0.0
    rejected: float = 0.0
    cost_usd: float = 0.0
    costs: float = 0.0
    tries: int = 0

    @property
    def weight(self) -> float:
        return self.accepted + self.rejected

    def add(self, seen: Observation, forget: float) -> None:
        self.accepted = self.accepted * forget + seen.is_accepted
        self.rejected = self.rejected * forget + (not seen.is_accepted)
        self.tries += 1
        if seen.cost_usd is not None:
            self.cost_usd = self.cost_usd * forget + seen.cost_usd
            self.costs = self.costs * forget + 1.0


GateOf = Callable[[str, str], Gate]  # of a kind of work and a model


@dataclass
class Beliefs:
    """Outcomes so far, and what follows from them.

    `gate_of` gives the error rates of checks, `places` the models' places in their chain.
    """

    gate_of: GateOf
    places: Mapping[str, float] = field(default_factory=dict[str, float])
    prior_tasks: float = 4.0
    forget: float = 0.995
    _of_model: dict[str, dict[State, Tally]] = field(default_factory=dict[str, dict[State, Tally]])
    _population: Population | None = None

    def observe(self, seen: Observation) -> None:
        """Count one outcome."""
        tallies = self._of_model.setdefault(seen.state.model, {})
        tallies.setdefault(seen.state, Tally()).add(seen, self.forget)
        self._population = None

    def count(self, state: State, tally: Tally) -> None:
        """Take all outcomes of a state as they were counted elsewhere."""
        self._of_model.setdefault(state.model, {})[state] = tally
        self._population = None

    def tally(self, state: State) -> Tally:
        """What was counted of this very state."""
        return self._of_model.get(state.model, {}).get(state) or Tally()

    def tries(self, work: str, model: str) -> int:
        """How often the model was tried at this work, in whatever state."""
        known = self._of_model.get(model, {}).items()
        return sum(tally.tries for state, tally in known if state.work == work)

    def acceptance(self, state: State) -> Beta:
        """The chance of being accepted: counted outcomes on top of the prior's pseudo-counts."""
        tally = self.tally(state)
        prior = self.gate_of(state.work, state.model).accepts(self._prior_right(state))
        prior = min(0.999, max(0.001, prior))
        return Beta(
            tally.accepted + self.prior_tasks * prior,
            tally.rejected + self.prior_tasks * (1.0 - prior),
        )

    def right(self, state: State, accepted: float | None = None) -> float:
        """The chance of being right, of the posterior mean or of a draw of the acceptance."""
        gate = self.gate_of(state.work, state.model)
        if gate.power < LEAST_POWER:
            return self._prior_right(state)
        return gate.right(self.acceptance(state).mean if accepted is None else accepted)

    def cost_usd(self, state: State, guess_usd: float) -> float:
        """Mean cost of a try, shrunk to the model's at this work, and that to the guess.

        A mean, as costs are heavy-tailed; by state, as what others failed at costs more.
        """
        cost, weight = guess_usd, self.prior_tasks
        total, costs = 0.0, 0.0
        for other, tally in self._of_model.get(state.model, {}).items():
            if other.work == state.work:
                total, costs = total + tally.cost_usd, costs + tally.costs
        cost = (total + weight * cost) / (costs + weight) if costs else cost
        tally = self.tally(state)
        return (tally.cost_usd + weight * cost) / (tally.costs + weight)

    def _prior_right(self, state: State) -> float:
        """The model's strength as all other states show it, less what the failures so far cost."""
        population = self._all_models()
        own, elsewhere = [0.0, 0.0], [0.0, 0.0]
        for other, tally in self._of_model.get(state.model, {}).items():
            gate = self.gate_of(other.work, other.model)
            if other == state or gate.power < LEAST_POWER:
                continue
            into = own if other.work == state.work else elsewhere
            into[0] += gate.right_count(tally.accepted, tally.weight)
            into[1] += _share_left(population, other) * tally.weight
        n0 = self.prior_tasks
        strength = (n0 * population.right(state.model) + elsewhere[0]) / (n0 + elsewhere[1])
        strength = (n0 * strength + own[0]) / (n0 + own[1])
        return _share_left(population, state) * min(1.0, max(0.0, strength))

    def _all_models(self) -> Population:
        if self._population is None:
            counts: list[Count] = []
            for model, tallies in self._of_model.items():
                for state, tally in tallies.items():
                    gate = self.gate_of(state.work, model)
                    if state.nth_try == 1 and gate.power >= LEAST_POWER:
                        right = gate.right_count(tally.accepted, tally.weight)
                        counts.append(Count(model, state.failed, right, tally.weight))
            self._population = population_of(counts, self.places, self.prior_tasks)
        return self._population


def _share_left(population: Population, state: State) -> float:
    """How much of a model's success is left in a state."""
    return population.left_after(state.failed) * SECOND_TRY ** (state.nth_try - 1)
