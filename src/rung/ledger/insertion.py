"""How a row gets into its table: as one more, as the newest state of something, or as an addend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Double, Integer, Table, insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import Insert

from rung.ledger.tables import STATE_KEYS, SUM_KEYS


def insertion(table: Table, dialect: str) -> Insert:
    """INSERT; for a table of states else replace what is not newer, for one of sums else add."""
    key = STATE_KEYS.get(table) or SUM_KEYS.get(table)
    if key is None:
        return insert(table)
    statement = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    given = statement.excluded
    if table in SUM_KEYS:
        changes: dict[str, Any] = {c.name: table.c[c.name] + c for c in given if _is_sum(c)}
        changes["updated_at"] = given.updated_at
        return statement.on_conflict_do_update(index_elements=[key], set_=changes)
    return statement.on_conflict_do_update(
        index_elements=[key],
        set_={c.name: c for c in given if not c.primary_key},
        where=table.c.updated_at <= given.updated_at,
    )


def in_order(table: Table, rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Addends by their keys: of two who lock the same sums, neither waits for the other's lock."""
    key = SUM_KEYS.get(table)
    return rows if key is None else sorted(rows, key=lambda row: row[key])


def _is_sum(column: Any) -> bool:
    return isinstance(column.type, Integer | Double) and not column.primary_key
