"""The escalation matrix as data: which chain, checker, checks and limits a task type has."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

import msgspec

from rung.config.schema import nearest
from rung.config.settings import MatrixRow
from rung.errors import ConfigError
from rung.escalation.task import TASK_TYPES, TaskType
from rung.routing.models import RoutedModel


@dataclass(frozen=True, kw_only=True)
class Row:
    """One task type's row, complete. `checker` is `same`, `next`, a tier, a model name or empty."""

    chain: tuple[str, ...]
    checker: str
    checks: tuple[str, ...]
    attempts_per_rung: int
    max_attempts: int
    at_end: Literal["review", "skip"]
    substitute: bool = True
    always_review: bool = False


@cache
def default_matrix() -> Mapping[TaskType, Row]:
    """The packaged table."""
    text = resources.files("rung.escalation").joinpath("matrix.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), dict[TaskType, Row])


def matrix(overrides: Mapping[str, MatrixRow], tiers: Mapping[str, int]) -> Mapping[TaskType, Row]:
    """The default table with the user's `[matrix.<type>]` fields laid over it.

    Raises ConfigError for a task type, a tier or a checker that does not exist.
    """
    rows = dict(default_matrix())
    for name, override in overrides.items():
        if name not in TASK_TYPES:
            raise ConfigError(f"matrix: unknown task type {name!r}; {nearest(name, TASK_TYPES)}")
        for rung in override.chain:
            _check_rung(f"matrix.{name}.chain", rung, tiers, ())
        if override.checker:
            _check_rung(f"matrix.{name}.checker", override.checker, tiers, ("same", "next"))
        given = {key: value for key, value in override.values().items() if value}
        rows[name] = dataclasses.replace(rows[name], **given)
    return rows


def _check_rung(where: str, name: str, tiers: Mapping[str, int], others: Sequence[str]) -> None:
    known = (*others, *tiers)
    if "/" not in name and name not in known:
        raise ConfigError(
            f"{where}: {name!r} is no tier, and no model (engine/model); {nearest(name, known)}"
        )


def resolve_chain(
    row: Row, models: Sequence[RoutedModel], tiers: Mapping[str, int]
) -> tuple[RoutedModel, ...]:
    """The row's chain as models that can be asked now, cheapest rung first, none of them twice.

    A tier stands for its best model here: the user's default, else a loaded one, else the
    largest. Where a local tier has none, the strongest weaker local model may stand in.
    """
    return tuple(dict.fromkeys(_resolved(row, models, tiers)))


def _resolved(
    row: Row, models: Sequence[RoutedModel], tiers: Mapping[str, int]
) -> Iterator[RoutedModel]:
    for name in row.chain:
        if name not in tiers:
            yield from (model for model in models if model.name == name)
            continue
        of_tier = best_of_tier(name, models)
        yield from of_tier
        if not of_tier and row.substitute and tiers[name] < 0:
            weaker = [m for m in models if m.tier and m.level < tiers[name] and m.is_free]
            yield from _best(weaker)


def best_of_tier(tier: str, models: Sequence[RoutedModel]) -> tuple[RoutedModel, ...]:
    """The one model that a tier stands for, if it has any."""
    return _best([model for model in models if model.tier == tier])


def _best(models: Sequence[RoutedModel]) -> tuple[RoutedModel, ...]:
    return (max(models, key=_preference),) if models else ()


def _preference(model: RoutedModel) -> tuple[int, bool, bool, float]:
    size = model.info.parameters or model.info.size_bytes or 0.0
    return (model.level, model.is_default, bool(model.info.is_loaded), size)


def pick_checker(row: Row, chain: Sequence[RoutedModel], worker: int) -> RoutedModel | None:
    """The model that judges the worker at index `worker` of the chain; `None` for no checker.

    `same` is the chain's first model, `next` the one above the worker (itself at the top);
    otherwise the first model of the chain with that tier or name.
    """
    if not row.checker or not chain:
        return None
    if row.checker == "same":
        return chain[0]
    if row.checker == "next":
        return chain[min(worker + 1, len(chain) - 1)]
    return next((m for m in chain if row.checker in (m.tier, m.name)), None)
