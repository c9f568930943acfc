"""Recorded outcomes: what each of several models did with each of many tasks."""

from __future__ import annotations

import csv
import gzip
import io
import random
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from rung.config.schema import nearest
from rung.config.settings import MOST_USD
from rung.errors import UsageError

T = TypeVar("T")

NEEDED = ("task", "model", "passed", "cost_usd")
OPTIONAL = ("task_type", "accepted")
YES = frozenset(
    {"1", "1.0", "true", "t", "yes", "y", "ok", "pass", "passed", "right", "correct", "solved"}
    | {"success", "resolved"}
)
NO = frozenset(
    {"0", "0.0", "false", "f", "no", "n", "wrong", "incorrect", "unsolved", "unresolved"}
)
# A verdict may say how it failed: `fail: AssertionError`, `timeout`.
FAILED = ("fail", "error", "timeout", "exception", "crash", "reject")
NOT_KNOWN = frozenset({"", "nan", "none", "null", "na", "n/a"})


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

    Rows without a verdict or a cost (empty, `nan`, `null`) are left out, and so are tasks that not
    every model was tried on. Raises UsageError naming the line and what is wrong with it.
    """
    names = {name: name for name in (*NEEDED, *OPTIONAL)} | dict(columns or {})
    for name in columns or {}:
        if name not in (*NEEDED, *OPTIONAL):
            raise UsageError(f"unknown column {name!r}; {nearest(name, (*NEEDED, *OPTIONAL))}")
    reader = csv.DictReader(io.StringIO(_text(path)))
    try:
        header = reader.fieldnames or []
    except csv.Error as error:
        raise UsageError(f"{path}: this is no CSV: {error}") from None
    missing = [names[name] for name in NEEDED if names[name] not in header]
    missing += [theirs for theirs in (columns or {}).values() if theirs not in header]
    if missing:
        raise UsageError(
            f"{path} has no column {missing[0]!r}; it has {', '.join(header) or 'no header'}. "
            "Say which is which with --columns, as in --columns passed=solved"
        )
    found = (_row(line, names, f"{path}:{reader.line_num}") for line in reader)
    try:
        rows = [row for row in found if row is not None]
    except csv.Error as error:
        raise UsageError(f"{path}:{reader.line_num}: this is no CSV: {error}") from None
    return world_of(rows, str(path))


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
        return content.decode("utf-8-sig")  # spreadsheets put a mark before the first column
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist") from None
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None


def _row(line: Mapping[str, str | None], names: Mapping[str, str], where: str) -> Row | None:
    def get(name: str) -> str:
        return (line.get(names[name]) or "").strip()

    is_right, accepted = (
        _verdict(get(name), f"{where}: {names[name]}") for name in ("passed", "accepted")
    )
    if is_right is None or get("cost_usd").lower() in NOT_KNOWN:
        return None
    try:
        cost_usd = float(get("cost_usd"))
    except ValueError:
        cost_usd = -1.0
    if not 0 <= cost_usd <= MOST_USD:
        raise UsageError(f"{where}: {names['cost_usd']} must be USD, 0 to {MOST_USD:,.0f}")
    if not get("task") or not get("model"):
        raise UsageError(f"{where}: {names['task']} and {names['model']} must not be empty")
    return Row(
        task=get("task"),
        model=get("model"),
        is_right=is_right,
        cost_usd=cost_usd,
        accepted=accepted,
        task_type=get("task_type") or "all",
    )


def _verdict(given: str, where: str) -> bool | None:
    """`None` where there is none. A word that is neither yes nor no would be a guess."""
    said = given.lower()
    if said in NOT_KNOWN:
        return None
    if said in YES or said in NO or said.startswith(FAILED):
        return said in YES
    raise UsageError(f"{where} is {given!r}; say 1 or 0, true or false, pass or fail")


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
        counts = Counter(model for by_model in of.values() for model in by_model)
        fewest = f"; {min(counts, key=counts.__getitem__)!r} has the fewest" if counts else ""
        raise UsageError(
            f"{where}: no task has an outcome of each of the {len(names)} models, so nothing can "
            f"be compared{fewest}"
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
