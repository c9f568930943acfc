"""What learning reads: attempts, labels, and since when they count."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from rung.ledger.readers import read_rows, table_rows
from rung.ledger.rows import AttemptRow, LabelRow
from rung.ledger.tables import attempt, audit_event, label

RESET = "learning_reset"


class Lessons(NamedTuple):
    """Attempts oldest first, and their labels, oldest first."""

    attempts: list[AttemptRow]
    labels: list[LabelRow]


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
    return Lessons(attempts=rows[::-1], labels=read_rows(connection, LabelRow, labels))


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
