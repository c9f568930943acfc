"""Transactions off the event loop, and errors that say which ledger did not do what."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from rung.errors import LedgerError
from rung.ledger.address import Address
from rung.ledger.outbox import Outbox
from rung.ledger.store import Store, describe
from rung.ledger.threads import off_loop

T = TypeVar("T")

ANSWER_TIMEOUT_S = 30.0
CATCH_UP_S = 5.0


class Access:
    """Reads and writes one ledger; raises LedgerError where that cannot be done."""

    def __init__(self, address: Address, store: Store | None, outbox: Outbox) -> None:
        self._address = address
        self._store = store
        self._outbox = outbox

    async def read(
        self,
        work: Callable[[Connection], T],
        when_off: T,
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> T:
        """What `work` reads, after what this process has recorded before was written."""
        store = self._store
        if store is None:
            return when_off

        def run() -> T:
            if self._outbox.error is None:
                self._outbox.drain(min(CATCH_UP_S, timeout_s / 2))
            with store.read() as connection:
                return work(connection)

        return await self._answer(run, "read", timeout_s)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns, once what it wrote would survive a power cut."""
        store = self._store
        if store is None:
            raise LedgerError("the ledger is off: unset RUNG_DATABASE_URL to keep it in a file")

        def run() -> T:
            with store.write() as connection:
                return work(connection)

        return await self._answer(run, "written")

    async def _answer(
        self, run: Callable[[], T], what: str, timeout_s: float = ANSWER_TIMEOUT_S
    ) -> T:
        where = f"the ledger at {self._address.masked}"
        try:
            return await off_loop(run, timeout_s)
        except TimeoutError as error:
            raise LedgerError(
                f"{where} did not answer within {timeout_s:.0f} s; see `rung health db`"
            ) from error
        except (SQLAlchemyError, OSError, UnicodeError) as error:
            raise LedgerError(
                f"{where} cannot be {what}: {describe(error)}; see `rung health db`"
            ) from error
