"""Policies that do not learn: the biggest model alone, every short ladder, and an oracle."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

from rung.escalation.replay.outcomes import World
from rung.escalation.replay.scores import End

# Ladders of at most so many rungs, of at most so many models: 385 of them at most.
MAX_RUNGS = 4
MAX_MODELS = 10

Order = tuple[int, ...]


def climb(world: World, order: Sequence[int], task: int) -> End:
    """Try these models in turn until the checks accept an answer."""
    cost_usd = 0.0
    for model in order:
        cost_usd += world.cost_usd[model][task]
        if world.is_accepted[model][task]:
            is_right = world.is_right[model][task]
            return End(is_right, not is_right, cost_usd)
    return End(False, False, cost_usd)


def unchecked(world: World, model: int, task: int) -> End:
    """This model's answer, whatever it is."""
    is_right = world.is_right[model][task]
    return End(is_right, not is_right, world.cost_usd[model][task])


def oracle(world: World, task: int) -> End:
    """The cheapest model that is right, known beforehand; a task that none can do costs nothing."""
    costs = [
        costs[task]
        for right, costs in zip(world.is_right, world.cost_usd, strict=True)
        if right[task]
    ]
    return End(bool(costs), False, min(costs, default=0.0))


def fixed_orders(world: World) -> tuple[Order, ...]:
    """Every ladder of the best models, cheapest rung first."""
    models = best_models(world, MAX_MODELS)
    return tuple(
        order for rungs in range(1, MAX_RUNGS + 1) for order in combinations(models, rungs)
    )


def best_models(world: World, most: int) -> tuple[int, ...]:
    """Models by turns: the one most often right, the one with the cheapest right answer, …"""
    everything = range(len(world.models))
    right = [sum(world.is_right[model]) for model in everything]
    costs = [sum(world.cost_usd[model]) / max(right[model], 0.5) for model in everything]
    ranked = (
        sorted(everything, key=lambda model: -right[model]),
        sorted(everything, key=lambda model: costs[model]),
    )
    chosen = list(dict.fromkeys(_by_turns(*ranked)))[:most]
    return tuple(sorted(chosen))


def _by_turns(first: Iterable[int], second: Iterable[int]) -> Iterable[int]:
    return (model for pair in zip(first, second, strict=True) for model in pair)
