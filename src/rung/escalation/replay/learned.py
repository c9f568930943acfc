"""Policies that learn: a ladder from a training part, and one that learns as it goes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rung.escalation.learning.choice import Ladder, Rung
from rung.escalation.learning.index import Gate, Prospect, Stakes, best_plan
from rung.escalation.learning.population import places_of
from rung.escalation.learning.posterior import Beliefs, Observation, State, Tally
from rung.escalation.policy import Limits, Next, Tried
from rung.escalation.replay.ladders import MAX_RUNGS, Order, climb, unchecked
from rung.escalation.replay.outcomes import World
from rung.escalation.replay.scores import End

VALUES = 32
# What just matched the biggest model in training would often fall short later; at twice the price
# of the cheapest such ladder there is mostly a better one.
PREMIUM = 2.0


@dataclass
class Trainer:
    """Ladders of one task type from its training tasks, on which every model's outcome is known.

    The ladder is grown rung by rung: what a model is worth is asked of the tasks that all rungs
    before it failed at, so failures may be as correlated as they are.
    """

    world: World
    tasks: Sequence[int]
    gate: Gate
    _known: dict[Order, list[tuple[int, Prospect]]] = field(
        default_factory=dict[Order, list[tuple[int, Prospect]]]
    )
    _of_all: list[Tally] = field(init=False)

    def __post_init__(self) -> None:
        models = range(len(self.world.models))
        self._of_all = [self._tally(model, self.tasks) for model in models]

    def ladder(self, stakes: Stakes) -> Order:
        """The order that is worth most by these stakes; at least one rung."""
        order: Order = ()
        while len(order) < min(MAX_RUNGS, len(self.world.models)):
            options = self._prospects(order)
            plan = best_plan([prospect for _, prospect in options], stakes, MAX_RUNGS - len(order))
            if not plan and order:
                break
            best = plan[0] if plan else _best(options, stakes)
            order = (*order, options[best][0])
        return order

    def _prospects(self, order: Order) -> list[tuple[int, Prospect]]:
        if order not in self._known:
            beliefs = Beliefs(gate_of=lambda _work, _model: self.gate, forget=1.0)
            models = [model for model in range(len(self.world.models)) if model not in order]
            # What a model did with all tasks stands in where few are left.
            for model in models:
                beliefs.count(State("", str(model), 0), self._of_all[model])
            left = self._left(order)
            for model in models if order else ():
                beliefs.count(State("", str(model), len(order)), self._tally(model, left))
            self._known[order] = [
                (model, self._prospect(beliefs, model, len(order))) for model in models
            ]
        return self._known[order]

    def _left(self, order: Order) -> Sequence[int]:
        """The tasks at which all these models failed."""
        refused = [self.world.is_accepted[model] for model in order]
        return [task for task in self.tasks if not any(of_model[task] for of_model in refused)]

    def _tally(self, model: int, tasks: Sequence[int]) -> Tally:
        passed = sum(map(self.world.is_accepted[model].__getitem__, tasks))
        return Tally(
            accepted=passed,
            rejected=len(tasks) - passed,
            cost_usd=sum(map(self.world.cost_usd[model].__getitem__, tasks)),
            costs=len(tasks),
            tries=len(tasks),
        )

    def _prospect(self, beliefs: Beliefs, model: int, failed: int) -> Prospect:
        state = State("", str(model), failed)
        mean_usd = self._of_all[model].cost_usd / max(1, len(self.tasks))
        return Prospect(
            right=beliefs.right(state), cost_usd=beliefs.cost_usd(state, mean_usd), gate=self.gate
        )


def _best(options: Sequence[tuple[int, Prospect]], stakes: Stakes) -> int:
    return max(range(len(options)), key=lambda at: options[at][1].index_usd(stakes))


def _seen(world: World, model: int, task: int, work: str, failed: int) -> Observation:
    return Observation(
        state=State(work, str(model), failed=failed),
        is_accepted=world.is_accepted[model][task],
        cost_usd=world.cost_usd[model][task],
    )


def train(
    world: World, tasks: Sequence[int], gate: Gate, stakes: Stakes | None, biggest: int
) -> dict[str, Order]:
    """A ladder for each task type.

    Without stakes: the cheapest that solves at least what the biggest model does alone.
    """
    by_type: dict[str, list[int]] = {}
    for task in tasks:
        by_type.setdefault(world.types[task], []).append(task)
    return {
        kind: Trainer(world, of_type, gate).ladder(stakes)
        if stakes is not None
        else _as_good_as(world, of_type, gate, biggest)
        for kind, of_type in by_type.items()
    }


def _as_good_as(world: World, tasks: Sequence[int], gate: Gate, biggest: int) -> Order:
    """Of the ladders that the index gives for every value of a right answer, one that solves as
    much as the biggest model: the best of those that cost little more than the cheapest such.

    Where none solves as much, the one that solves most.
    """
    trainer = Trainer(world, tasks, gate)
    alone = [unchecked(world, biggest, task).is_solved for task in tasks]
    costs = [cost for of_model in world.cost_usd for cost in of_model if cost > 0]
    found: list[tuple[int, float, Order]] = []
    values = _values(min(costs, default=1e-6), max(costs, default=1.0))
    for order in dict.fromkeys(trainer.ladder(Stakes(value_usd=value)) for value in values):
        ends = [climb(world, order, task) for task in tasks]
        found.append((sum(end.is_solved for end in ends), sum(end.cost_usd for end in ends), order))
    enough = [item for item in found if item[0] >= sum(alone)]
    if not enough:
        return max(found, key=lambda item: (item[0], -item[1]))[2]
    affordable = PREMIUM * min(cost_usd for _, cost_usd, _ in enough)
    within = [item for item in enough if item[1] <= affordable]
    return max(within, key=lambda item: (item[0], -item[1]))[2]


def _values(least: float, most: float) -> Iterable[float]:
    """From where no second try pays to where every one does, evenly on a logarithmic scale."""
    low, high = math.log(least), math.log(1000.0 * most)
    return (math.exp(low + (high - low) * step / (VALUES - 1)) for step in range(VALUES))


class Learner:
    """Begins with nothing but the models' order of cost, and learns from what it sees itself."""

    def __init__(
        self, world: World, gate: Gate, stakes: Stakes, *, seed: int | None, rungs: int = MAX_RUNGS
    ) -> None:
        self._world = world
        self._stakes = stakes
        self._seed = seed
        places = places_of(str(model) for model in range(len(world.models)))
        self._beliefs = Beliefs(gate_of=lambda _work, _model: gate, places=places)
        self._limits = Limits(rungs=len(world.models), attempts_per_rung=1, max_attempts=rungs)
        # A price list says what a call costs before the first one.
        self._rungs = [
            Rung(model=str(model), guess_usd=sum(costs) / len(costs))
            for model, costs in enumerate(world.cost_usd)
        ]

    def play(self, task: int) -> End:
        """Do one task as is best by what is known so far, and learn from it."""
        world, tried, cost_usd = self._world, list[Tried](), 0.0
        ladder = Ladder(
            work=world.types[task],
            rungs=self._rungs,
            beliefs=self._beliefs,
            stakes=self._stakes,
            seed=None if self._seed is None else f"{self._seed}/{task}",
        )
        while isinstance(step := ladder.order(tried, self._limits), Next):
            model, state = step.rung, ladder.state(step, tried)
            seen = _seen(world, model, task, state.work, state.failed)
            self._beliefs.observe(seen)
            cost_usd += world.cost_usd[model][task]
            if seen.is_accepted:
                is_right = world.is_right[model][task]
                return End(is_right, not is_right, cost_usd)
            tried.append(Tried(rung=model, result="failed", may_retry=False))
        return End(False, False, cost_usd)
