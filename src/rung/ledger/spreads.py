"""Median and 95th percentile of what takes time, by what it was."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, select

from rung.ledger.period import Period, rows_of, tasks_of
from rung.ledger.tables import agent_run, attempt, task_log

# Median and 95th percentile, by the values of the grouping columns.
Spreads = dict[tuple[str, ...], tuple[float, float]]
ROWS_AT_A_TIME = 10_000


def task_seconds(connection: Connection, period: Period) -> Spreads:
    """How long tasks took, by type."""
    query = select(task_log.c.task_type, task_log.c.latency_ms / 1000.0).where(tasks_of(period))
    return _spreads(connection, query)


def attempt_seconds(connection: Connection, period: Period) -> Spreads:
    """How long attempts took, by engine and model."""
    is_in = rows_of(attempt, attempt.c.created_at, period)
    query = select(attempt.c.engine, attempt.c.model, attempt.c.seconds).where(is_in)
    return _spreads(connection, query)


def call_seconds(connection: Connection, period: Period) -> Spreads:
    """How long calls took that succeeded, by engine and model."""
    return _spreads(connection, _calls(agent_run.c.total_ms / 1000.0, period))


def speeds(connection: Connection, period: Period) -> Spreads:
    """Tokens a second, by engine and model."""
    return _spreads(connection, _calls(agent_run.c.tokens_per_s, period))


def _calls(value: ColumnElement[Any], period: Period) -> Select[*tuple[Any, ...]]:
    is_in = and_(rows_of(agent_run, agent_run.c.created_at, period), agent_run.c.status == "ok")
    return select(agent_run.c.engine, agent_run.c.model, value).where(is_in)


def _spreads(connection: Connection, query: Select[*tuple[Any, ...]]) -> Spreads:
    """Percentiles of the last column by all others: nearest rank, the lower of two in the middle.

    Read and sorted here: SQLite has no function for it, and to number the rows there by a window
    takes four times as long.
    """
    groups: dict[tuple[str, ...], array[float]] = {}
    for row in connection.execute(query.execution_options(yield_per=ROWS_AT_A_TIME)):
        if row[-1] is not None:
            groups.setdefault(tuple(row[:-1]), array("d")).append(row[-1])
    return {key: _median_and_p95(sorted(values)) for key, values in groups.items()}


def _median_and_p95(values: Sequence[float]) -> tuple[float, float]:
    return values[(len(values) - 1) // 2], values[math.ceil(len(values) * 0.95) - 1]
