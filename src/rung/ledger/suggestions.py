"""Suggested changes of settings: open until a person applies one, applied until it is reverted."""

from __future__ import annotations

from sqlalchemy import Connection, insert, update

from rung.errors import LedgerError
from rung.ledger.encode import encode
from rung.ledger.readers import read_rows, table_rows
from rung.ledger.rows import SuggestionRow, SuggestionState, now
from rung.ledger.tables import suggestion


def add(connection: Connection, row: SuggestionRow) -> int | None:
    """The new suggestion's number. `None` where the same one is open or applied, or where its value
    was reverted: nobody is asked twice.
    """
    same = [
        known
        for known in find(connection, None)
        if (known.subject, known.after) == (row.subject, row.after)
        and (known.before == row.before or known.state == "reverted")
    ]
    if same:
        return None
    query = insert(suggestion).values(encode(row).values).returning(suggestion.c.id)
    return connection.execute(query).scalar_one()


def find(connection: Connection, state: SuggestionState | None) -> list[SuggestionRow]:
    """In the order they were applied, else made."""
    query = table_rows(SuggestionRow).order_by(suggestion.c.decided_at, suggestion.c.id)
    if state is not None:
        query = query.where(suggestion.c.state == state)
    return read_rows(connection, SuggestionRow, query)


def decide(connection: Connection, suggestion_id: int, state: SuggestionState) -> SuggestionRow:
    """Apply an open suggestion or revert an applied one, once."""
    needed = "applied" if state == "reverted" else "open"
    changed = connection.execute(
        update(suggestion)
        .where(suggestion.c.id == suggestion_id, suggestion.c.state == needed)
        .values(state=state, decided_at=now())
    )
    query = table_rows(SuggestionRow).where(suggestion.c.id == suggestion_id)
    row = next(iter(read_rows(connection, SuggestionRow, query)), None)
    if row is None:
        raise unknown(suggestion_id)
    if changed.rowcount == 0:
        raise LedgerError(f"suggestion {suggestion_id} is {row.state}, not {needed}")
    return row


def unknown(suggestion_id: int) -> LedgerError:
    return LedgerError(
        f"there is no suggestion {suggestion_id}; `rung learn suggest` shows those there are"
    )
