"""The queries behind `stats`: the same on SQLite and PostgreSQL but for days."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    Text,
    and_,
    case,
    cast,
    exists,
    func,
    select,
)

from rung.ledger.period import Period, between, rows_of, tasks_of
from rung.ledger.spreads import ROWS_AT_A_TIME
from rung.ledger.tables import agent_run, attempt, label, review_item, task_log

Row = dict[str, Any]
_PAIR = (attempt.c.task_type, attempt.c.engine, attempt.c.model, attempt.c.checker)


def tasks(connection: Connection, period: Period) -> list[Row]:
    """By type and outcome."""
    key = (task_log.c.task_type, task_log.c.outcome)
    query = (
        select(
            *key,
            func.count().label("tasks"),
            _whole_sum(task_log.c.attempts).label("attempts"),
            _whole_sum(task_log.c.escalations).label("climbs"),
            func.sum(task_log.c.cost_usd).label("cost_usd"),
            _count_if(task_log.c.cost_usd.is_(None)).label("unknown"),
            func.sum(task_log.c.saved_usd).label("saved_usd"),
        )
        .where(tasks_of(period))
        .group_by(*key)
        .order_by(*key)
    )
    return _rows(connection, query)


def attempts_per_task(connection: Connection, period: Period) -> dict[int, int]:
    """How many tasks took so many attempts."""
    query = (
        select(task_log.c.attempts, func.count())
        .where(tasks_of(period))
        .group_by(task_log.c.attempts)
        .order_by(task_log.c.attempts)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def days(connection: Connection, period: Period) -> list[Row]:
    """By day of UTC, oldest first."""
    at = task_log.c.timestamp
    # On SQLite times are text, and in UTC.
    is_sqlite = connection.dialect.name == "sqlite"
    day = func.date(at) if is_sqlite else func.to_char(func.timezone("UTC", at), "YYYY-MM-DD")
    by_day = (
        select(day.label("day"), task_log.c.outcome, task_log.c.cost_usd, task_log.c.saved_usd)
        .where(tasks_of(period))
        .subquery()
    )
    query = (
        select(
            by_day.c.day,
            func.count().label("tasks"),
            _count_if(by_day.c.outcome == "verified").label("verified"),
            func.sum(by_day.c.cost_usd).label("cost_usd"),
            func.sum(by_day.c.saved_usd).label("saved_usd"),
        )
        .group_by(by_day.c.day)
        .order_by(by_day.c.day)
    )
    return _rows(connection, query)


def workers(connection: Connection, period: Period) -> list[Row]:
    """Attempts by engine and model, most first."""
    key = (attempt.c.engine, attempt.c.model)
    query = (
        select(
            *key,
            func.count().label("attempts"),
            _count_if(attempt.c.result == "passed").label("passed"),
            _count_if(attempt.c.result == "failed").label("failed"),
            func.sum(attempt.c.cost_usd).label("cost_usd"),
            _count_if(attempt.c.cost_usd.is_(None)).label("attempts_of_unknown_cost"),
        )
        .where(rows_of(attempt, attempt.c.created_at, period))
        .group_by(*key)
        .order_by(func.count().desc(), *key)
    )
    return _rows(connection, query)


def verified_by_worker(connection: Connection, period: Period) -> dict[str, int]:
    """Verified tasks by the model whose answer they ended with, `engine/model`."""
    query = (
        select(task_log.c.worker, func.count())
        .where(tasks_of(period), task_log.c.outcome == "verified", task_log.c.worker.is_not(None))
        .group_by(task_log.c.worker)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def pairs(connection: Connection, period: Period) -> list[Row]:
    """Judged attempts by type, worker and checker, most first."""
    query = (
        select(
            *_PAIR,
            _count_if(attempt.c.result == "passed").label("passed"),
            _count_if(attempt.c.result == "failed").label("failed"),
            func.sum(attempt.c.cost_usd).label("cost_usd"),
        )
        .where(_judged(period), attempt.c.result.in_(("passed", "failed")))
        .group_by(*_PAIR)
        .order_by(func.count().desc(), *_PAIR)
    )
    return _rows(connection, query)


def labels_of_pairs(connection: Connection, period: Period) -> list[Row]:
    """What became known of accepted answers, by type, worker and checker: the newest label."""
    newer = label.alias()
    is_newest = ~exists().where(
        newer.c.task_id == label.c.task_id,
        newer.c.attempt == label.c.attempt,
        newer.c.id > label.c.id,
    )
    is_of = and_(attempt.c.task_id == label.c.task_id, attempt.c.n == label.c.attempt)
    query = (
        select(
            *_PAIR,
            _count_if(label.c.verdict == "right").label("right"),
            _count_if(label.c.verdict == "wrong").label("wrong"),
        )
        .select_from(label.join(attempt, is_of))
        .where(_judged(period), attempt.c.result == "passed", is_newest)
        .group_by(*_PAIR)
    )
    return _rows(connection, query)


class _Verdict(msgspec.Struct, frozen=True):
    validator: str | None = None
    result: str | None = None


def checks(connection: Connection, period: Period) -> list[Row]:
    """Verdicts by kind of check, the part of its name before the colon, most first.

    Read and counted here, alike on all databases: SQLite takes four times as long to take JSON
    apart.
    """
    query = select(cast(attempt.c.verdicts, Text)).where(
        rows_of(attempt, attempt.c.created_at, period)
    )
    decode = msgspec.json.Decoder(list[_Verdict]).decode
    counted: Counter[tuple[str | None, str | None]] = Counter()
    for (verdicts,) in connection.execute(query.execution_options(yield_per=ROWS_AT_A_TIME)):
        counted.update((verdict.validator, verdict.result) for verdict in decode(verdicts))
    kinds: dict[str, Counter[str | None]] = {}
    for (validator, result), count in counted.items():
        if validator is not None:
            kinds.setdefault(validator.partition(":")[0], Counter())[result] += count
    rows = [
        {
            "check": kind,
            "passed": results["pass"],
            "failed": results["fail"],
            "unavailable": results["unavailable"],
            "errors": results["error"],
        }
        for kind, results in kinds.items()
    ]
    return sorted(rows, key=lambda row: (-kinds[row["check"]].total(), row["check"]))


def calls(connection: Connection, period: Period) -> list[Row]:
    """By engine and model, most first."""
    key = (agent_run.c.engine, agent_run.c.model)
    query = (
        select(
            *key,
            func.count().label("calls"),
            _count_if(agent_run.c.status != "ok").label("errors"),
            _whole_sum(agent_run.c.tokens_in).label("tokens_in"),
            _whole_sum(agent_run.c.tokens_out).label("tokens_out"),
            func.sum(agent_run.c.cost_usd).label("cost_usd"),
            _count_if(agent_run.c.cost_usd.is_(None)).label("calls_of_unknown_cost"),
        )
        .where(rows_of(agent_run, agent_run.c.created_at, period))
        .group_by(*key)
        .order_by(func.count().desc(), *key)
    )
    return _rows(connection, query)


def reviews(connection: Connection, period: Period) -> list[Sequence[Any]]:
    """Kind, state, when it was created and when decided, of each: people make no millions."""
    query = select(
        review_item.c.kind, review_item.c.state, review_item.c.created_at, review_item.c.decided_at
    ).where(between(review_item.c.created_at, period))
    if period.app is not None:
        theirs = select(task_log.c.task_id).where(task_log.c.app == period.app)
        query = query.where(review_item.c.task_id.in_(theirs))
    return [tuple(row) for row in connection.execute(query)]


def _judged(period: Period) -> ColumnElement[bool]:
    return and_(rows_of(attempt, attempt.c.created_at, period), attempt.c.checker.is_not(None))


def _rows(connection: Connection, query: Select[*tuple[Any, ...]]) -> list[Row]:
    return [dict(row) for row in connection.execute(query).mappings()]


def _whole_sum(column: ColumnElement[Any]) -> ColumnElement[int]:
    # PostgreSQL sums integers into a decimal number.
    return cast(func.coalesce(func.sum(column), 0), BigInteger)


def _count_if(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)
