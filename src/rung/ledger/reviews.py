"""The review queue: work waits `open` until a person decides it, once; it can be opened again."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sqlalchemy import Connection, delete, func, insert, select, update

from rung.chat import JsonObject
from rung.errors import LedgerError
from rung.ledger.encode import encode, mend_text
from rung.ledger.readers import read_rows, table_rows
from rung.ledger.rows import (
    AuditRow,
    Decision,
    LabelRow,
    ReviewItem,
    ReviewKind,
    ReviewState,
    now,
)
from rung.ledger.tables import TABLE_OF, label, review_item

# What becomes known of an item as it changes; called while nobody else can change it.
Settle = Callable[[ReviewItem], Iterable[LabelRow | AuditRow]]


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
    connection: Connection, review_id: int, state: Decision, note: str, settle: Settle
) -> ReviewItem:
    """The decided item, with what became known by it on record.

    Of two who decide at once, the database lets one through.
    """
    _keep(connection, settle(_open_item(connection, review_id)))
    values = {"state": state, "decided_at": now(), "note": mend_text(note)}
    return _changed(connection, review_id, values)


def edit(connection: Connection, review_id: int, edited: JsonObject, settle: Settle) -> ReviewItem:
    """The open item with another answer; it stays open."""
    _keep(connection, settle(_open_item(connection, review_id)))
    values = encode(ReviewItem(task_id="", title="", reason="", outcome={}, edited=edited)).values
    return _changed(connection, review_id, {"edited": values["edited"]})


def reopen(
    connection: Connection, review_id: int, settle: Settle, anew: ReviewItem | None = None
) -> ReviewItem:
    """The item, open again; with the reason and outcome of the item `anew` if that is given.

    What became known by its decision is forgotten.
    """
    item = _locked(connection, review_id)
    if item.state == "open":
        raise LedgerError(f"review {review_id} is open already")
    _keep(connection, settle(item))
    # By task, which has an index; by review, as a task's labels may come from elsewhere too.
    labels = (label.c.task_id == item.task_id, label.c.review_id == review_id)
    connection.execute(delete(label).where(*labels))
    values: JsonObject = {"state": "open", "decided_at": None, "note": ""}
    if anew is not None:
        encoded = encode(anew).values
        values |= {name: encoded[name] for name in ("reason", "outcome")}
    return _changed(connection, review_id, values)


def unknown(review_id: int) -> LedgerError:
    return LedgerError(f"there is no review {review_id}; `rung review list` shows those there are")


def _open_item(connection: Connection, review_id: int) -> ReviewItem:
    item = _locked(connection, review_id)
    if item.state != "open":
        raise _decided(item)
    return item


def _locked(connection: Connection, review_id: int) -> ReviewItem:
    """The item, which nobody else can change until the transaction ends. On SQLite that holds for
    everything from its beginning on.
    """
    query = table_rows(ReviewItem).where(review_item.c.id == review_id).with_for_update()
    item = next(iter(read_rows(connection, ReviewItem, query)), None)
    if item is None:
        raise unknown(review_id)
    return item


def _changed(connection: Connection, review_id: int, values: JsonObject) -> ReviewItem:
    connection.execute(update(review_item).where(review_item.c.id == review_id).values(values))
    return _locked(connection, review_id)


def _keep(connection: Connection, rows: Iterable[LabelRow | AuditRow]) -> None:
    for row in rows:
        connection.execute(insert(TABLE_OF[type(row)]).values(encode(row).values))


def _decided(item: ReviewItem) -> LedgerError:
    # Leave to spend cannot be taken back: its task went on.
    is_final = item.kind == "approval" and item.state == "approved"
    way_back = "" if is_final else f"; `rung review reopen {item.id}` gives it back"
    at = f"{item.decided_at:%Y-%m-%d %H:%M} UTC"
    return LedgerError(f"review {item.id} was already {item.state} at {at}{way_back}")
