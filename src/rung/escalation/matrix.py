"""The escalation matrix as data: which chain, checker, checks and limits a task type has."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

import msgspec

from rung.config.schema import nearest
from rung.config.settings import MatrixRow
from rung.errors import ConfigError
from rung.escalation.task import TASK_TYPES, TaskType

CHECKER_RULES = ("auto", "none", "same", "next")
# From which complexity on work is judged by a model, and from which by a stronger one.
JUDGED_FROM = 5.0
JUDGED_BY_NEXT_FROM = 8.0


@dataclass(frozen=True, kw_only=True)
class Row:
    """One task type's row, complete.

    An entry of `chain` is a tier, a model (`engine/id`), or alternatives of both for an A/B:
    `a|b`. `checker` is one of `CHECKER_RULES`, a tier or a model.
    """

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
        for entry in override.chain:
            for arm in arms(entry):
                _check_rung(f"matrix.{name}.chain", arm, tiers, ())
        if override.checker:
            _check_rung(f"matrix.{name}.checker", override.checker, tiers, CHECKER_RULES)
        given = {key: value for key, value in override.values().items() if value}
        rows[name] = dataclasses.replace(rows[name], **given)
    return rows


def arms(entry: str) -> tuple[str, ...]:
    """The alternatives of a chain's entry: `a|b` has two, a plain name is its own only one."""
    return tuple(dict.fromkeys(part.strip() for part in entry.split("|")))


def checker_rule(rule: str, complexity: float, *, is_asked: bool) -> str:
    """`auto` made concrete: nobody below 5, the first rung below 8, else the next one.

    `is_asked`: a check asks for a judge by name, so there is one in any case.
    """
    if rule == "auto":
        rule = (
            "none"
            if complexity < JUDGED_FROM
            else "same"
            if complexity < JUDGED_BY_NEXT_FROM
            else "next"
        )
    return "same" if rule == "none" and is_asked else rule


def _check_rung(where: str, name: str, tiers: Mapping[str, int], others: Sequence[str]) -> None:
    known = (*others, *tiers)
    if "/" not in name and name not in known:
        raise ConfigError(
            f"{where}: {name!r} is no tier, and no model (engine/model); {nearest(name, known)}"
        )
