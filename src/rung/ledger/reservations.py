"""Money in flight: taken from its scopes before a call, settled after it. One transaction each.

Each function may be repeated where nobody knows whether it was carried out: a reservation is made
once and closed once. All sums of one transaction are changed in the order of their scopes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import Connection, insert, or_, update

from rung.ledger.encode import encode
from rung.ledger.insertion import in_order, insertion
from rung.ledger.owner import is_gone
from rung.ledger.readers import read_rows, table_rows
from rung.ledger.rows import BudgetRow, ReservationRow, ReservationState, now
from rung.ledger.tables import budget, reservation


class Over(msgspec.Struct, frozen=True, kw_only=True):
    """The scope that has no room for a reservation, as it stands without it; in nano-USD."""

    scope: str
    limit: int
    spent: int
    reserved: int


class OverBudgetError(Exception):
    """Undoes the transaction that would have gone over a limit."""

    def __init__(self, over: Over) -> None:
        super().__init__(over.scope)
        self.over = over


def reserve(connection: Connection, row: ReservationRow, limits: Mapping[str, int]) -> None:
    """Take the row's money from all its scopes, or raise OverBudgetError: all of it or nothing.

    `limits` are in nano-USD by scope; a scope without one only counts.
    """
    if _find(connection, row.reservation_id) is not None:
        return
    for scope in sorted(row.scopes):
        spent, reserved = _add(connection, scope, reserved=row.reserved_nano_usd)
        limit = limits.get(scope)
        if limit is not None and spent + reserved > limit:
            before = reserved - row.reserved_nano_usd
            over = Over(scope=scope, limit=limit, spent=spent, reserved=before)
            raise OverBudgetError(over)
    connection.execute(insert(reservation).values(encode(row).values))


def close(connection: Connection, row: ReservationRow, state: ReservationState, spent: int) -> bool:
    """Give the reserved money back and count what was spent; false where that was done before.

    One that was taken for dead and yet comes to its end is put right. One that the database does
    not know (it was replaced in mid-call) is entered, for the money is spent all the same.
    """
    found = _find(connection, row.reservation_id)
    closed = msgspec.structs.replace(row, state=state, spent_nano_usd=spent, settled_at=now())
    if found is None:
        connection.execute(insert(reservation).values(encode(closed).values))
        given_back, more = 0, spent
    elif found.state == "open":
        given_back, more = found.reserved_nano_usd, spent
    elif found.state == "expired" and state != "expired":
        given_back, more = 0, spent - (found.spent_nano_usd or 0)
    else:
        return False
    connection.execute(
        update(reservation)
        .where(reservation.c.reservation_id == row.reservation_id)
        .values(state=state, spent_nano_usd=spent, settled_at=closed.settled_at)
    )
    for scope in sorted(row.scopes):
        _add(connection, scope, reserved=-given_back, spent=more)
    return True


def expire(connection: Connection) -> list[ReservationRow]:
    """Close what dead processes left open; returns those.

    All of it counts as spent: a reservation is made just before its call goes out, so the provider
    may have done the work and will bill it. A budget that errs must err on this side.
    """
    query = table_rows(ReservationRow).where(reservation.c.state == "open")
    return [
        row
        for row in read_rows(connection, ReservationRow, query.order_by(reservation.c.id))
        if is_gone(row.owner_host, row.owner_pid, row.owner_since)
        and close(connection, row, "expired", row.reserved_nano_usd)
    ]


def used(connection: Connection, periods: Sequence[str]) -> list[BudgetRow]:
    """The sums of the periods (`day:2026-11-21`) and of their parts (`…|type:standard`)."""
    scope = budget.c.scope
    parts = (or_(scope == name, scope.startswith(f"{name}|", autoescape=True)) for name in periods)
    return read_rows(connection, BudgetRow, table_rows(BudgetRow).where(or_(*parts)))


def add(connection: Connection, rows: Sequence[BudgetRow]) -> None:
    """Add to the sums."""
    values = [encode(row).values for row in rows]
    connection.execute(insertion(budget, connection.dialect.name), in_order(budget, values))


def _find(connection: Connection, reservation_id: str) -> ReservationRow | None:
    query = table_rows(ReservationRow).where(reservation.c.reservation_id == reservation_id)
    # Locked, so that of two who close it one sees what the other did. SQLite's writers are alone.
    return next(iter(read_rows(connection, ReservationRow, query.with_for_update())), None)


def _add(
    connection: Connection, scope: str, *, reserved: int = 0, spent: int = 0
) -> tuple[int, int]:
    """Change a scope's sums; what is spent and reserved in it then."""
    row = BudgetRow(scope=scope, reserved_nano_usd=reserved, spent_nano_usd=spent)
    statement = insertion(budget, connection.dialect.name).values(encode(row).values)
    sums = connection.execute(
        statement.returning(budget.c.spent_nano_usd, budget.c.reserved_nano_usd)
    ).one()
    return sums[0], sums[1]
