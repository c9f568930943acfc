"""What learning reads: attempts, labels, and since when they count."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from rung.ledger.readers import read_rows, table_rows
from rung.ledger.rows import AttemptRow, LabelRow
from rung.ledger.tables import attempt, audit_event, label, task_log

RESET = "learning_reset"


class Lessons(NamedTuple):
    """Attempts and their labels, oldest first; by task what was to check it, `syntax+tests`."""

    attempts: list[AttemptRow]
    labels: list[LabelRow]
    methods: dict[str, str]


def lessons(connection: Connection, limit: int) -> Lessons:
    """The last `limit` attempts since learning was last reset, and all labels since."""
    since = reset_at(connection)
    attempts = table_rows(AttemptRow).where(attempt.c.task_type.is_not(None))
    labels = table_rows(LabelRow).order_by(label.c.id)
    if since is not None:
        attempts = attempts.where(attempt.c.created_at > since)
        labels = labels.where(label.c.at > since)
    attempts = attempts.order_by(attempt.c.id.desc()).limit(limit)
    rows = read_rows(connection, AttemptRow, attempts)
    tasks = select(task_log.c.task_id, task_log.c.validation_method)
    tasks = tasks.order_by(task_log.c.id.desc()).limit(limit)
    return Lessons(
        attempts=rows[::-1],
        labels=read_rows(connection, LabelRow, labels),
        methods={row.task_id: row.validation_method for row in connection.execute(tasks)},
    )


def reset_at(connection: Connection) -> datetime | None:
    """When everything that was learned was last put aside."""
    query = (
        select(audit_event.c.at)
        .where(audit_event.c.kind == RESET)
        .order_by(audit_event.c.id.desc())
        .limit(1)
    )
    return connection.scalar(query)


def answered_by(connection: Connection, task_id: str) -> AttemptRow | None:
    """The attempt whose answer the task gave back: the first that passed, else one that nothing
    could check, else the one that passed most checks; of equals the latest.
    """
    query = table_rows(AttemptRow).where(attempt.c.task_id == task_id).order_by(attempt.c.n)
    rows = read_rows(connection, AttemptRow, query)
    passed = next((row for row in rows if row.result == "passed"), None)
    return passed or max(rows, key=_goodness, default=None)


def _goodness(row: AttemptRow) -> tuple[bool, bool, int, int]:
    passes = sum(verdict.get("result") == "pass" for verdict in row.verdicts)
    return row.result == "unchecked", row.result != "no_answer", passes, row.n
