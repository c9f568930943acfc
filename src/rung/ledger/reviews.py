"""The review queue: work waits `open` until a person decides it, once; it can be opened again."""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, insert, select, update

from rung.chat import JsonObject
from rung.errors import LedgerError
from rung.ledger.encode import encode, mend_text
from rung.ledger.readers import read_rows, table_rows
from rung.ledger.rows import Decision, LabelRow, ReviewItem, ReviewKind, ReviewState, now
from rung.ledger.tables import label, review_item


def add(connection: Connection, item: ReviewItem) -> int:
    """The new item's number."""
    query = insert(review_item).values(encode(item).values).returning(review_item.c.id)
    return connection.execute(query).scalar_one()


def find(
    connection: Connection,
    state: ReviewState | None,
    kind: ReviewKind | None,
    task_type: str | None,
    limit: int | None,
) -> list[ReviewItem]:
    """Newest first; `None` narrows nothing."""
    query = table_rows(ReviewItem).order_by(review_item.c.id.desc()).limit(limit)
    if state is not None:
        query = query.where(review_item.c.state == state)
    if kind is not None:
        query = query.where(review_item.c.kind == kind)
    if task_type is not None:
        query = query.where(review_item.c.outcome["type"].as_string() == task_type)
    return read_rows(connection, ReviewItem, query)


def counts(connection: Connection) -> dict[ReviewState, int]:
    """How many items are in each state, of those that have any."""
    query = select(review_item.c.state, func.count()).group_by(review_item.c.state)
    return {row[0]: row[1] for row in connection.execute(query)}


def get(connection: Connection, review_id: int) -> ReviewItem | None:
    query = table_rows(ReviewItem).where(review_item.c.id == review_id)
    return next(iter(read_rows(connection, ReviewItem, query)), None)


def decide(
    connection: Connection, review_id: int, state: Decision, note: str, known: LabelRow | None
) -> ReviewItem:
    """The decided item, with what became known by it on record.

    Of two who decide at once, the database lets one through.
    """
    changed = connection.execute(
        update(review_item)
        .where(review_item.c.id == review_id, review_item.c.state == "open")
        .values(state=state, decided_at=now(), note=mend_text(note))
    )
    item = _found(connection, review_id)
    if changed.rowcount == 0:
        raise _decided(item)
    if known is not None:
        connection.execute(insert(label).values(encode(known).values))
    return item


def edit(connection: Connection, review_id: int, edited: JsonObject) -> ReviewItem:
    """The open item with another answer; it stays open."""
    values = encode(ReviewItem(task_id="", title="", reason="", outcome={}, edited=edited)).values
    changed = connection.execute(
        update(review_item)
        .where(review_item.c.id == review_id, review_item.c.state == "open")
        .values(edited=values["edited"])
    )
    item = _found(connection, review_id)
    if changed.rowcount == 0:
        raise _decided(item)
    return item


def reopen(connection: Connection, review_id: int) -> ReviewItem:
    """The item, open again; what became known by its decision is forgotten."""
    changed = connection.execute(
        update(review_item)
        .where(review_item.c.id == review_id, review_item.c.state != "open")
        .values(state="open", decided_at=None, note="")
    )
    item = _found(connection, review_id)
    if changed.rowcount == 0:
        raise LedgerError(f"review {review_id} is open already")
    # By task, which has an index; by review, as a task's labels may come from elsewhere too.
    labels = (label.c.task_id == item.task_id, label.c.review_id == review_id)
    connection.execute(delete(label).where(*labels))
    return item


def unknown(review_id: int) -> LedgerError:
    return LedgerError(f"there is no review {review_id}; `rung review list` shows those there are")


def _found(connection: Connection, review_id: int) -> ReviewItem:
    item = get(connection, review_id)
    if item is None:
        raise unknown(review_id)
    return item


def _decided(item: ReviewItem) -> LedgerError:
    return LedgerError(
        f"review {item.id} was already {item.state} at {item.decided_at:%Y-%m-%d %H:%M} UTC; "
        f"`rung review reopen {item.id}` gives it back"
    )
