"""What the ledger can count of a period: the shapes, and how the queries fill them.

Everything is a count or a sum, so that whoever reads it can say how sure a share of it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from statistics import median
from typing import Any

import msgspec
from sqlalchemy import Connection

from rung.ledger import spreads as spreads_of
from rung.ledger import stats_queries as queries
from rung.ledger.period import Period
from rung.ledger.stats_queries import Row


class TypeCount(msgspec.Struct, frozen=True, kw_only=True):
    """Tasks of one type. `cost_usd` sums what is known, `tasks_of_unknown_cost` are not in it.

    `attempts` and `climbs` are sums over all tasks; seconds are those of whole tasks.
    """

    task_type: str
    tasks: int
    verified: int
    outcomes: dict[str, int]
    attempts: int
    climbs: int
    cost_usd: float | None
    tasks_of_unknown_cost: int
    saved_usd: float | None
    median_s: float | None
    p95_s: float | None


class WorkerCount(msgspec.Struct, frozen=True, kw_only=True):
    """Attempts of one model, `engine/model`; `passed` and `failed` are those that checks decided.

    `verified_tasks` ended verified with its answer.
    """

    worker: str
    attempts: int
    passed: int
    failed: int
    verified_tasks: int
    cost_usd: float | None
    attempts_of_unknown_cost: int
    median_s: float | None
    p95_s: float | None


class PairCount(msgspec.Struct, frozen=True, kw_only=True):
    """Attempts of one worker that one checker model judged, with what became known of them later.

    `passed` says what all checks together said; `right` and `wrong` count labels of what passed.
    """

    task_type: str
    worker: str
    checker: str
    passed: int
    failed: int
    right: int
    wrong: int
    cost_usd: float | None


class CheckCount(msgspec.Struct, frozen=True, kw_only=True):
    """Verdicts of one kind of check."""

    check: str
    passed: int
    failed: int
    unavailable: int
    errors: int

    @property
    def verdicts(self) -> int:
        return self.passed + self.failed + self.unavailable + self.errors


class CallCount(msgspec.Struct, frozen=True, kw_only=True):
    """Calls to one model, of tasks and others. Seconds and speed are of calls that succeeded."""

    engine: str
    model: str
    calls: int
    errors: int
    tokens_in: int
    tokens_out: int
    cost_usd: float | None
    calls_of_unknown_cost: int
    median_s: float | None
    p95_s: float | None
    median_tokens_per_s: float | None


class DayCount(msgspec.Struct, frozen=True, kw_only=True):
    """Tasks that ended on one day of UTC, as `2026-11-21`."""

    day: str
    tasks: int
    verified: int
    cost_usd: float | None
    saved_usd: float | None


class ReviewCount(msgspec.Struct, frozen=True, kw_only=True):
    """Reviews of one kind that were created in the period; `median_s` is until their decision."""

    kind: str
    states: dict[str, int]
    median_s: float | None


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything. A task counts once, as it ended last; most frequent first."""

    types: tuple[TypeCount, ...] = ()
    workers: tuple[WorkerCount, ...] = ()
    pairs: tuple[PairCount, ...] = ()
    checks: tuple[CheckCount, ...] = ()
    calls: tuple[CallCount, ...] = ()
    days: tuple[DayCount, ...] = ()
    reviews: tuple[ReviewCount, ...] = ()
    attempts_per_task: dict[int, int] = {}


def count(connection: Connection, period: Period) -> Counts:
    """All of it, read in one transaction."""
    return Counts(
        types=_types(connection, period),
        workers=_workers(connection, period),
        pairs=_pairs(connection, period),
        checks=tuple(CheckCount(**row) for row in queries.checks(connection, period)),
        calls=_calls(connection, period),
        days=tuple(DayCount(**row) for row in queries.days(connection, period)),
        reviews=_reviews(connection, period),
        attempts_per_task=queries.attempts_per_task(connection, period),
    )


def _types(connection: Connection, period: Period) -> tuple[TypeCount, ...]:
    groups: dict[str, list[Row]] = {}
    for row in queries.tasks(connection, period):
        groups.setdefault(row["task_type"], []).append(row)
    spreads = spreads_of.task_seconds(connection, period)
    found = [
        TypeCount(
            task_type=task_type,
            tasks=sum(row["tasks"] for row in rows),
            verified=sum(row["tasks"] for row in rows if row["outcome"] == "verified"),
            outcomes={row["outcome"]: row["tasks"] for row in rows},
            attempts=sum(row["attempts"] for row in rows),
            climbs=sum(row["climbs"] for row in rows),
            cost_usd=_sum(rows, "cost_usd"),
            tasks_of_unknown_cost=sum(row["unknown"] for row in rows),
            saved_usd=_sum(rows, "saved_usd"),
            **_seconds(spreads.get((task_type,))),
        )
        for task_type, rows in groups.items()
    ]
    return tuple(sorted(found, key=lambda item: (-item.tasks, item.task_type)))


def _workers(connection: Connection, period: Period) -> tuple[WorkerCount, ...]:
    spreads = spreads_of.attempt_seconds(connection, period)
    verified = queries.verified_by_worker(connection, period)
    found: list[WorkerCount] = []
    for row in queries.workers(connection, period):
        key = (row.pop("engine"), row.pop("model"))
        worker = "/".join(key)
        found.append(
            WorkerCount(
                worker=worker,
                verified_tasks=verified.get(worker, 0),
                **row,
                **_seconds(spreads.get(key)),
            )
        )
    return tuple(found)


def _pairs(connection: Connection, period: Period) -> tuple[PairCount, ...]:
    names = ("task_type", "engine", "model", "checker")
    labels = {
        tuple(row.pop(name) for name in names): row
        for row in queries.labels_of_pairs(connection, period)
    }
    found: list[PairCount] = []
    for row in queries.pairs(connection, period):
        key = tuple(row.pop(name) for name in names)
        task_type, engine, model, checker = key
        known = labels.get(key, {"right": 0, "wrong": 0})
        worker = f"{engine}/{model}"
        found.append(
            PairCount(task_type=task_type or "", worker=worker, checker=checker, **row, **known)
        )
    return tuple(found)


def _calls(connection: Connection, period: Period) -> tuple[CallCount, ...]:
    seconds, speeds = (
        spreads_of.call_seconds(connection, period),
        spreads_of.speeds(connection, period),
    )
    found: list[CallCount] = []
    for row in queries.calls(connection, period):
        key = (row["engine"], row["model"])
        speed = speeds.get(key)
        found.append(
            CallCount(
                **row,
                **_seconds(seconds.get(key)),
                median_tokens_per_s=speed[0] if speed else None,
            )
        )
    return tuple(found)


def _reviews(connection: Connection, period: Period) -> tuple[ReviewCount, ...]:
    groups: dict[str, list[tuple[str, datetime, datetime | None]]] = {}
    for kind, *rest in queries.reviews(connection, period):
        groups.setdefault(kind, []).append((rest[0], rest[1], rest[2]))
    found: list[ReviewCount] = []
    for kind, rows in sorted(groups.items()):
        states: dict[str, int] = {}
        for state, _, _ in rows:
            states[state] = states.get(state, 0) + 1
        waits = [(to - since).total_seconds() for _, since, to in rows if to is not None]
        found.append(
            ReviewCount(kind=kind, states=states, median_s=median(waits) if waits else None)
        )
    return tuple(found)


def _sum(rows: list[Row], name: str) -> float | None:
    known = [row[name] for row in rows if row[name] is not None]
    return sum(known) if known else None


def _seconds(spread: tuple[float, float] | None) -> Mapping[str, Any]:
    middle, most = spread or (None, None)
    return {"median_s": middle, "p95_s": most}
