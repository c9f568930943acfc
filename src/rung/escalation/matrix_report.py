"""The matrix as it stands on this machine: who is on which rung and why, and what is missing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from rung.chat import Locality
from rung.config.settings import Settings
from rung.escalation.checker import free_judges, pick_checker
from rung.escalation.classify import complexity_of
from rung.escalation.ladder import Place, places
from rung.escalation.matrix import Row, arms, checker_rule, matrix
from rung.escalation.task import TASK_TYPES, TaskType
from rung.routing.models import RoutedModel
from rung.routing.router import Router

# What to do where a tier has no model; of local ones the sizes that belong to it.
_ADVICE = {
    "local_tiny": "pull one of less than 2 billion parameters: rung models pull smollm2-135m",
    "local_fast": "load one of 2 to 20 billion parameters in LM Studio or Ollama",
    "local_balanced": "load one of 20 billion parameters or more in LM Studio or Ollama",
}


class RungReport(msgspec.Struct, frozen=True, kw_only=True):
    """A rung. Prices are in USD per million tokens, `None` where they are unknown.

    More than one rung with the same `entry` is an A/B: each task gets one of them. `checker` is who
    judges this worker where a check asks a model.
    """

    entry: str
    model: str
    tier: str
    locality: Locality
    usd_per_mtok_in: float | None
    usd_per_mtok_out: float | None
    context_tokens: int | None
    is_loaded: bool | None
    checker: str | None
    why: str


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """A name of the chain that no model here answers to, and how to get one."""

    name: str
    advice: str


class LadderReport(msgspec.Struct, frozen=True, kw_only=True):
    """One task type. `checker` is the rule as it is written, `checks` what decides by default."""

    type: TaskType
    chain: tuple[str, ...]
    rungs: tuple[RungReport, ...]
    checker: str
    checks: tuple[str, ...]
    attempts_per_rung: int
    max_attempts: int
    at_end: Literal["review", "skip"]
    always_review: bool
    missing: tuple[Missing, ...]


async def ladder_reports(
    settings: Settings, router: Router, kind: TaskType | None = None
) -> tuple[LadderReport, ...]:
    """Every task type's ladder, or that of one. Raises ConfigError for a matrix that is wrong."""
    rows = matrix(settings.matrix, router.tiers)
    models = await router.models()
    declared = {model.tier: name for name, model in settings.models.items() if model.tier}
    kinds = TASK_TYPES if kind is None else (kind,)
    return tuple(ladder_report(each, rows[each], models, router.tiers, declared) for each in kinds)


def ladder_report(
    kind: TaskType,
    row: Row,
    models: Sequence[RoutedModel],
    tiers: Mapping[str, int],
    declared: Mapping[str, str],
) -> LadderReport:
    """One task type's ladder with these models. `declared` is a model that the user gave a tier."""
    found = places(row, models, tiers)
    return LadderReport(
        type=kind,
        chain=row.chain,
        rungs=tuple(_rungs(kind, row, found, models)),
        checker=row.checker,
        checks=row.checks,
        attempts_per_rung=row.attempts_per_rung,
        max_attempts=row.max_attempts,
        at_end=row.at_end,
        always_review=row.always_review,
        missing=tuple(_missing(found, tiers, declared)),
    )


def _rungs(
    kind: TaskType, row: Row, found: Sequence[Place], models: Sequence[RoutedModel]
) -> Iterator[RungReport]:
    """The models in the order of the chain, each of them where it first stands."""
    rule = checker_rule(row.checker, complexity_of(kind, "", 0), is_asked=True)
    judged = dataclasses.replace(row, checker=rule)
    shown: set[RoutedModel] = set()
    for place in found:
        for arm in place.arms:
            model = arm.model
            if model in shown:
                continue
            shown.add(model)
            chain = _chain_with(model, place, found)
            others = free_judges(models, chain)
            checker = pick_checker(judged, chain, chain.index(model), others)
            price = model.price
            yield RungReport(
                entry=place.entry,
                model=model.name,
                tier=model.tier,
                locality=model.locality,
                usd_per_mtok_in=price.usd_per_mtok_in if price else None,
                usd_per_mtok_out=price.usd_per_mtok_out if price else None,
                context_tokens=model.info.context_tokens,
                is_loaded=model.info.is_loaded,
                checker=checker.name if checker else None,
                why=arm.why,
            )


def _chain_with(model: RoutedModel, at: Place, found: Sequence[Place]) -> tuple[RoutedModel, ...]:
    """The chain of a task that gets this model at this place."""
    chain = (model if p is at else p.arms[0].model for p in found if p.arms)
    return tuple(dict.fromkeys(chain))


def _missing(
    found: Sequence[Place], tiers: Mapping[str, int], declared: Mapping[str, str]
) -> Iterator[Missing]:
    for place in found:
        here = {name for arm in place.arms for name in (arm.model.tier, arm.model.name)}
        for name in arms(place.entry):
            if name not in here:
                yield Missing(name=name, advice=_advice(name, tiers, declared))


def _advice(name: str, tiers: Mapping[str, int], declared: Mapping[str, str]) -> str:
    if name not in tiers or name in declared:
        who = f"{declared[name]} is yours, but " if name in declared else ""
        return f"{who}its engine does not list it now; see `rung engines`"
    default = f'declare one in your rung.toml: [models."ENGINE/MODEL"] with tier = "{name}"'
    return _ADVICE.get(name, default)
