"""Recorded outcomes: what each of several models did with each of many tasks."""

from __future__ import annotations

import csv
import gzip
import io
import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from rung.config.schema import nearest
from rung.errors import UsageError

T = TypeVar("T")

NEEDED = ("task", "model", "passed", "cost_usd")
OPTIONAL = ("task_type", "accepted")
YES = frozenset({"1", "1.0", "true", "yes", "ok", "pass", "passed", "right"})


@dataclass(frozen=True, kw_only=True)
class Row:
    """One model's outcome at one task. `accepted` is what checks said, where that is on record."""

    task: str
    model: str
    is_right: bool
    cost_usd: float
    accepted: bool | None = None
    task_type: str = "all"


@dataclass(frozen=True, kw_only=True)
class World:
    """Outcomes by [model][task], models by ascending mean cost. `left_out` tasks were incomplete.

    `is_right` is the truth, `is_accepted` what the checks say of it.
    """

    tasks: tuple[str, ...]
    types: tuple[str, ...]
    models: tuple[str, ...]
    is_right: tuple[tuple[bool, ...], ...]
    is_accepted: tuple[tuple[bool, ...], ...]
    cost_usd: tuple[tuple[float, ...], ...]
    has_verdicts: bool = False
    left_out: int = 0

    def with_checks(self, false_accept: float, false_reject: float, seed: int) -> World:
        """The same outcomes judged by checks that err at these rates."""
        chance = random.Random(seed)  # noqa: S311 (not a secret)
        judged = tuple(
            tuple(
                chance.random() >= false_reject if right else chance.random() < false_accept
                for right in of_model
            )
            for of_model in self.is_right
        )
        return replace(self, is_accepted=judged, has_verdicts=True)


def read_outcomes(path: Path, columns: Mapping[str, str] | None = None) -> World:
    """A CSV file, gzipped or not. `columns` says what the file calls a column of ours.

    Rows without a `passed` are left out, and so are tasks that not every model was tried on.
    Raises UsageError naming the line and what is wrong with it.
    """
    names = {name: name for name in (*NEEDED, *OPTIONAL)} | dict(columns or {})
    for name in columns or {}:
        if name not in (*NEEDED, *OPTIONAL):
            raise UsageError(f"unknown column {name!r}; {nearest(name, (*NEEDED, *OPTIONAL))}")
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode()
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist") from None
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    reader = csv.DictReader(io.StringIO(text))
    header = reader.fieldnames or []
    missing = [names[name] for name in NEEDED if names[name] not in header]
    missing += [theirs for theirs in (columns or {}).values() if theirs not in header]
    if missing:
        raise UsageError(
            f"{path} has no column {missing[0]!r}; it has {', '.join(header) or 'no header'}. "
            "Say which is which with --columns, as in --columns passed=solved"
        )
    found = (_row(line, names, f"{path}:{reader.line_num}") for line in reader)
    return world_of([row for row in found if row is not None], str(path))


def _row(line: Mapping[str, str | None], names: Mapping[str, str], where: str) -> Row | None:
    def get(name: str) -> str:
        return (line.get(names[name]) or "").strip()

    if not get("passed"):
        return None
    try:
        cost_usd = float(get("cost_usd"))
    except ValueError:
        cost_usd = math.nan
    if not 0 <= cost_usd < math.inf:
        raise UsageError(f"{where}: {names['cost_usd']} must be a number of USD, 0 or more")
    if not get("task") or not get("model"):
        raise UsageError(f"{where}: {names['task']} and {names['model']} must not be empty")
    return Row(
        task=get("task"),
        model=get("model"),
        is_right=get("passed").lower() in YES,
        cost_usd=cost_usd,
        accepted=get("accepted").lower() in YES if get("accepted") else None,
        task_type=get("task_type") or "all",
    )


def world_of(rows: Iterable[Row], where: str) -> World:
    """Rows as a world. Raises UsageError where no task was tried by all models."""
    of: dict[str, dict[str, Row]] = {}
    for row in rows:
        if row.model in of.setdefault(row.task, {}):
            raise UsageError(f"{where}: task {row.task!r} has two outcomes of {row.model!r}")
        of[row.task][row.model] = row
    names = {model for by_model in of.values() for model in by_model}
    whole = [task for task, by_model in of.items() if len(by_model) == len(names)]
    if not whole:
        raise UsageError(
            f"{where}: no task has an outcome of each of the {len(names)} models, so nothing can "
            "be compared"
        )
    models = sorted(names, key=lambda name: sum(of[task][name].cost_usd for task in whole))
    table = [[of[task][name] for task in whole] for name in models]
    return World(
        tasks=tuple(whole),
        types=tuple(of[task][models[0]].task_type for task in whole),
        models=tuple(models),
        is_right=_matrix(table, lambda row: row.is_right),
        is_accepted=_matrix(
            table, lambda row: row.is_right if row.accepted is None else row.accepted
        ),
        cost_usd=_matrix(table, lambda row: row.cost_usd),
        has_verdicts=any(row.accepted is not None for of_model in table for row in of_model),
        left_out=len(of) - len(whole),
    )


def _matrix(table: Sequence[Sequence[Row]], field: Callable[[Row], T]) -> tuple[tuple[T, ...], ...]:
    return tuple(tuple(field(row) for row in of_model) for of_model in table)
