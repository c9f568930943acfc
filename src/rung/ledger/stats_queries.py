"""The queries behind `stats`: the same on SQLite and PostgreSQL but for JSON arrays and days."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    select,
    true,
)

from rung.ledger.tables import agent_run, attempt, label, review_item, task_log

Row = dict[str, Any]
# Median and 95th percentile, by the values of the grouping columns.
Spreads = dict[tuple[str, ...], tuple[float, float]]
_ROWS_AT_A_TIME = 10_000
_PAIR = (attempt.c.task_type, attempt.c.engine, attempt.c.model, attempt.c.checker)


class Period(NamedTuple):
    """From `since` to before `until`, of one app; `None` narrows nothing."""

    since: datetime | None = None
    until: datetime | None = None
    app: str | None = None


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
        .where(_tasks_of(period))
        .group_by(*key)
        .order_by(*key)
    )
    return _rows(connection, query)


def attempts_per_task(connection: Connection, period: Period) -> dict[int, int]:
    """How many tasks took so many attempts."""
    query = (
        select(task_log.c.attempts, func.count())
        .where(_tasks_of(period))
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
        .where(_tasks_of(period))
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
        .where(_in(attempt, attempt.c.created_at, period))
        .group_by(*key)
        .order_by(func.count().desc(), *key)
    )
    return _rows(connection, query)


def verified_by_worker(connection: Connection, period: Period) -> dict[str, int]:
    """Verified tasks by the model that answered last, `engine/model`."""
    query = (
        select(task_log.c.worker, func.count())
        .where(_tasks_of(period), task_log.c.outcome == "verified", task_log.c.worker.is_not(None))
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


def checks(connection: Connection, period: Period) -> list[Row]:
    """Verdicts by kind of check, the part of its name before the colon, most first."""
    is_sqlite = connection.dialect.name == "sqlite"
    if is_sqlite:
        item = func.json_each(attempt.c.verdicts).table_valued("value")
        name, result = (
            func.json_extract(item.c.value, f"$.{field}") for field in ("validator", "result")
        )
    else:
        item = func.jsonb_array_elements(attempt.c.verdicts).table_valued("value")
        name, result = (
            func.jsonb_extract_path_text(item.c.value, field) for field in ("validator", "result")
        )
    position = func.instr if is_sqlite else func.strpos
    kind = func.substr(name, 1, position(name + literal(":"), ":") - 1)
    verdicts = (
        select(kind.label("check"), result.label("result"))
        .select_from(attempt.join(item, true()))
        .where(_in(attempt, attempt.c.created_at, period))
        .subquery()
    )
    counted = {
        name: _count_if(verdicts.c.result == result)
        for name, result in (
            ("passed", "pass"),
            ("failed", "fail"),
            ("unavailable", "unavailable"),
            ("errors", "error"),
        )
    }
    query = (
        select(verdicts.c.check, *(count.label(name) for name, count in counted.items()))
        .where(verdicts.c.check.is_not(None))
        .group_by(verdicts.c.check)
        .order_by(func.count().desc(), verdicts.c.check)
    )
    return _rows(connection, query)


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
        .where(_in(agent_run, agent_run.c.created_at, period))
        .group_by(*key)
        .order_by(func.count().desc(), *key)
    )
    return _rows(connection, query)


def reviews(connection: Connection, period: Period) -> list[Sequence[Any]]:
    """Kind, state, when it was created and when decided, of each: people make no millions."""
    query = select(
        review_item.c.kind, review_item.c.state, review_item.c.created_at, review_item.c.decided_at
    ).where(_between(review_item.c.created_at, period))
    if period.app is not None:
        theirs = select(task_log.c.task_id).where(task_log.c.app == period.app)
        query = query.where(review_item.c.task_id.in_(theirs))
    return [tuple(row) for row in connection.execute(query)]


def task_seconds(connection: Connection, period: Period) -> Spreads:
    """How long tasks took, by type."""
    query = select(task_log.c.task_type, task_log.c.latency_ms / 1000.0).where(_tasks_of(period))
    return _spreads(connection, query)


def attempt_seconds(connection: Connection, period: Period) -> Spreads:
    """How long attempts took, by engine and model."""
    is_in = _in(attempt, attempt.c.created_at, period)
    query = select(attempt.c.engine, attempt.c.model, attempt.c.seconds).where(is_in)
    return _spreads(connection, query)


def call_seconds(connection: Connection, period: Period) -> Spreads:
    """How long calls took that succeeded, by engine and model."""
    return _spreads(connection, _calls(agent_run.c.total_ms / 1000.0, period))


def speeds(connection: Connection, period: Period) -> Spreads:
    """Tokens a second, by engine and model."""
    return _spreads(connection, _calls(agent_run.c.tokens_per_s, period))


def _calls(value: ColumnElement[Any], period: Period) -> Select[*tuple[Any, ...]]:
    is_in = and_(_in(agent_run, agent_run.c.created_at, period), agent_run.c.status == "ok")
    return select(agent_run.c.engine, agent_run.c.model, value).where(is_in)


def _spreads(connection: Connection, query: Select[*tuple[Any, ...]]) -> Spreads:
    """Percentiles of the last column by all others: nearest rank, the lower of two in the middle.

    Read and sorted here: SQLite has no function for it, and to number the rows there by a window
    takes four times as long.
    """
    groups: dict[tuple[str, ...], array[float]] = {}
    for row in connection.execute(query.execution_options(yield_per=_ROWS_AT_A_TIME)):
        if row[-1] is not None:
            groups.setdefault(tuple(row[:-1]), array("d")).append(row[-1])
    return {key: _median_and_p95(sorted(values)) for key, values in groups.items()}


def _median_and_p95(values: Sequence[float]) -> tuple[float, float]:
    return values[(len(values) - 1) // 2], values[math.ceil(len(values) * 0.95) - 1]


def _tasks_of(period: Period) -> ColumnElement[bool]:
    """Rows of tasks in the period. One that had to wait has a row for each end: the last counts."""
    newer = task_log.alias()
    is_last = ~exists().where(newer.c.task_id == task_log.c.task_id, newer.c.id > task_log.c.id)
    return and_(_in(task_log, task_log.c.timestamp, period), is_last)


def _judged(period: Period) -> ColumnElement[bool]:
    return and_(_in(attempt, attempt.c.created_at, period), attempt.c.checker.is_not(None))


def _in(table: Table, at: Column[Any], period: Period) -> ColumnElement[bool]:
    is_in = _between(at, period)
    return is_in if period.app is None else and_(is_in, table.c.app == period.app)


def _between(at: Column[Any], period: Period) -> ColumnElement[bool]:
    conditions: list[ColumnElement[bool]] = [true()]
    if period.since is not None:
        conditions.append(at >= period.since)
    if period.until is not None:
        conditions.append(at < period.until)
    return and_(*conditions)


def _rows(connection: Connection, query: Select[*tuple[Any, ...]]) -> list[Row]:
    return [dict(row) for row in connection.execute(query).mappings()]


def _whole_sum(column: ColumnElement[Any]) -> ColumnElement[int]:
    # PostgreSQL sums integers into a decimal number.
    return cast(func.coalesce(func.sum(column), 0), BigInteger)


def _count_if(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)
