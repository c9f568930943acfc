"""From a row's chain to the models of this machine: who stands on which rung, and why."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rung.escalation.matrix import Row, arms
from rung.routing.models import RoutedModel


@dataclass(frozen=True, kw_only=True)
class Arm:
    """The model that one name of a chain stands for here, and why that one."""

    model: RoutedModel
    why: str


@dataclass(frozen=True, kw_only=True)
class Place:
    """One entry of a chain. More than one arm is an A/B: each task gets one of them."""

    entry: str
    arms: tuple[Arm, ...]


def places(row: Row, models: Sequence[RoutedModel], tiers: Mapping[str, int]) -> tuple[Place, ...]:
    """The row's chain as it stands with these models, cheapest rung first; places may be empty.

    A tier stands for its best model here: the user's default, else a loaded one, else the largest.
    Where a local tier has none, another free model may stand in: the next stronger one, else the
    strongest that is weaker. A weak rung at the bottom costs more than it saves.
    """
    return tuple(Place(entry=entry, arms=_arms(entry, row, models, tiers)) for entry in row.chain)


def pick(places: Sequence[Place], task_id: str) -> tuple[RoutedModel, ...]:
    """The models that this task is tried with: one arm of each place, none of them twice."""
    chosen = (
        place.arms[arm_number(place.entry, task_id, len(place.arms))].model
        for place in places
        if place.arms
    )
    return tuple(dict.fromkeys(chosen))


def resolve_chain(
    row: Row, models: Sequence[RoutedModel], tiers: Mapping[str, int], task_id: str = ""
) -> tuple[RoutedModel, ...]:
    """The row's chain for one task, as models that can be asked now."""
    return pick(places(row, models, tiers), task_id)


def arm_number(entry: str, task_id: str, count: int) -> int:
    """Which of `count` arms a task gets: always the same one, each of them equally often."""
    digest = hashlib.sha256(f"{entry}\0{task_id}".encode()).digest()
    return int.from_bytes(digest[:8]) % count


def best_of_tier(tier: str, models: Sequence[RoutedModel]) -> Arm | None:
    """The one model that a tier stands for, if it has any."""
    of_tier = [model for model in models if model.tier == tier]
    if not of_tier:
        return None
    best = max(of_tier, key=_preference)
    if len(of_tier) == 1:
        return Arm(model=best, why="the only one of its tier")
    why = (
        "your default of its engine"
        if best.is_default
        else "loaded now"
        if best.info.is_loaded
        else "the largest"
    )
    return Arm(model=best, why=f"{why}, of {len(of_tier)} of its tier")


def _arms(
    entry: str, row: Row, models: Sequence[RoutedModel], tiers: Mapping[str, int]
) -> tuple[Arm, ...]:
    found: list[Arm] = []
    for name in arms(entry):
        if name in tiers:
            best = best_of_tier(name, models)
            found += [best] if best else []
        else:
            found += [Arm(model=m, why="named in the chain") for m in models if m.name == name]
    if found or not row.substitute:
        return tuple(found)
    stand_ins = (_stand_in(name, models, tiers) for name in arms(entry))
    return tuple(arm for arm in stand_ins if arm is not None)[:1]


def _stand_in(tier: str, models: Sequence[RoutedModel], tiers: Mapping[str, int]) -> Arm | None:
    """Another free model in the place of a local tier that has none."""
    level = tiers.get(tier, 0)
    if level >= 0:
        return None
    free = [model for model in models if model.tier and model.is_free]
    stronger = [model for model in free if model.level > level]
    if stronger:
        lowest = min(model.level for model in stronger)
        best = max((model for model in stronger if model.level == lowest), key=_preference)
        return Arm(model=best, why=f"stands in for {tier}: the next stronger one")
    weaker = [model for model in free if model.level < level]
    if not weaker:
        return None
    best = max(weaker, key=_preference)
    return Arm(model=best, why=f"stands in for {tier}: the strongest that is weaker")


def _preference(model: RoutedModel) -> tuple[int, bool, bool, float]:
    size = model.info.parameters or model.info.size_bytes or 0.0
    return (model.level, model.is_default, bool(model.info.is_loaded), size)
