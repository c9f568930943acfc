"""From tables back to rows."""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy import Connection, Select, select

from rung.ledger.rows import Row
from rung.ledger.tables import TABLE_OF

R = TypeVar("R", bound=Row)


def table_rows(row_type: type[R]) -> Select[*tuple[Any, ...]]:
    """A query for all rows of one kind, to be narrowed."""
    return select(TABLE_OF[row_type])


def read_rows(
    connection: Connection, row_type: type[R], query: Select[*tuple[Any, ...]]
) -> list[R]:
    return [row_type(**row) for row in connection.execute(query).mappings()]


def newest(connection: Connection, row_type: type[R], limit: int) -> list[R]:
    """The last `limit` rows that were written, newest first."""
    query = table_rows(row_type).order_by(TABLE_OF[row_type].c.id.desc()).limit(limit)
    return read_rows(connection, row_type, query)
