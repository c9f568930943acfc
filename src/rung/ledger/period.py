"""Which rows belong to a period."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Table, and_, exists, true

from rung.ledger.tables import task_log


class Period(NamedTuple):
    """From `since` to before `until`, of one app; `None` narrows nothing."""

    since: datetime | None = None
    until: datetime | None = None
    app: str | None = None


def tasks_of(period: Period) -> ColumnElement[bool]:
    """The ends of tasks in the period."""
    return and_(rows_of(task_log, task_log.c.timestamp, period), is_last_end())


def is_last_end() -> ColumnElement[bool]:
    """A task that had to wait for leave has a row for each time that it ended: the last counts."""
    newer = task_log.alias()
    return ~exists().where(newer.c.task_id == task_log.c.task_id, newer.c.id > task_log.c.id)


def rows_of(table: Table, at: Column[Any], period: Period) -> ColumnElement[bool]:
    """The rows of a table that has a time, and the app that asked."""
    is_in = between(at, period)
    return is_in if period.app is None else and_(is_in, table.c.app == period.app)


def between(at: Column[Any], period: Period) -> ColumnElement[bool]:
    """The times of the period, whatever the app."""
    conditions: list[ColumnElement[bool]] = [true()]
    if period.since is not None:
        conditions.append(at >= period.since)
    if period.until is not None:
        conditions.append(at < period.until)
    return and_(*conditions)
