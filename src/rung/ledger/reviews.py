"""The review queue: work waits `open` until a person decides it, once."""

from __future__ import annotations

from sqlalchemy import Connection, insert, update

from rung.errors import LedgerError
from rung.ledger.encode import encode, mend_text
from rung.ledger.readers import read_rows, table_rows
from rung.ledger.rows import Decision, ReviewItem, ReviewState, now
from rung.ledger.tables import review_item


def add(connection: Connection, item: ReviewItem) -> int:
    """The new item's number."""
    query = insert(review_item).values(encode(item).values).returning(review_item.c.id)
    return connection.execute(query).scalar_one()


def find(connection: Connection, state: ReviewState | None) -> list[ReviewItem]:
    """Oldest first."""
    query = table_rows(ReviewItem).order_by(review_item.c.id)
    if state is not None:
        query = query.where(review_item.c.state == state)
    return read_rows(connection, ReviewItem, query)


def get(connection: Connection, review_id: int) -> ReviewItem | None:
    query = table_rows(ReviewItem).where(review_item.c.id == review_id)
    return next(iter(read_rows(connection, ReviewItem, query)), None)


def decide(connection: Connection, review_id: int, state: Decision, note: str) -> ReviewItem:
    """The decided item. Of two who decide at once, the database lets one through."""
    changed = connection.execute(
        update(review_item)
        .where(review_item.c.id == review_id, review_item.c.state == "open")
        .values(state=state, decided_at=now(), note=mend_text(note))
    )
    item = get(connection, review_id)
    if item is None:
        raise unknown(review_id)
    if changed.rowcount == 0:
        raise LedgerError(
            f"review {review_id} was already {item.state} at {item.decided_at:%Y-%m-%d %H:%M} UTC; "
            "a decision stands"
        )
    return item


def unknown(review_id: int) -> LedgerError:
    return LedgerError(f"there is no review {review_id}; `rung review list` shows those there are")
