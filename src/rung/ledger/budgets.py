"""What was used of each budget, and the reservations of paid calls, for all processes together."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from sqlalchemy import Connection, StaticPool, create_engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from rung.errors import LedgerError
from rung.ledger import reservations
from rung.ledger.reservations import Over, OverBudgetError
from rung.ledger.rows import BudgetRow, ReservationRow, ReservationState
from rung.ledger.store import Store, describe
from rung.ledger.tables import SCHEMA, budget, metadata, reservation
from rung.ledger.threads import off_loop

T = TypeVar("T")

PATIENCE_S = 10.0
_RETRY_S = 0.05
# SQLSTATEs of a transaction that lost against another one, and so may be tried again.
_LOST_RACES = frozenset({"40001", "40P01", "55P03"})


class Database(Protocol):
    """Where the sums are: the ledger's database, or the memory of this process."""

    def read(self) -> AbstractContextManager[Connection]: ...

    def write(self) -> AbstractContextManager[Connection]: ...


class Budgets:
    """Reserves, closes and sums up. Raises LedgerError where the database does not do it.

    `is_shared` is false where the ledger is off: then other processes are not seen.
    """

    def __init__(self, store: Store | None, data_dir: Path, where: str) -> None:
        self._database: Database = _memory(data_dir) if store is None else store
        self._where = where
        self.is_shared = store is not None
        # One at a time: inside the database they would only wait for each other, less fairly.
        self._turn = asyncio.Lock()

    async def reserve(self, row: ReservationRow, limits: Mapping[str, int]) -> Over | None:
        """Take the money from all scopes of `row`, or say which of `limits` would not hold."""
        try:
            await self._write(lambda connection: reservations.reserve(connection, row, limits))
        except OverBudgetError as error:
            return error.over
        return None

    async def close(self, row: ReservationRow, state: ReservationState, spent: int) -> None:
        """Give the reserved money back and count `spent` nano-USD; once, if told twice."""
        await self._write(lambda connection: reservations.close(connection, row, state, spent))

    async def expire(self) -> list[ReservationRow]:
        """Count what dead processes left open as spent; returns those reservations."""
        return await self._write(reservations.expire)

    async def add(self, rows: Sequence[BudgetRow]) -> None:
        """Add to the sums at once; where the ledger is on, `Ledger.record` does it off the path."""
        await self._write(lambda connection: reservations.add(connection, rows))

    async def used(self, periods: Sequence[str]) -> list[BudgetRow]:
        """The sums of these periods and of their parts."""

        def run() -> list[BudgetRow]:
            with self._database.read() as connection:
                return reservations.used(connection, periods)

        return await self._answer(run)

    async def _write(self, work: Callable[[Connection], T]) -> T:
        deadline = time.monotonic() + PATIENCE_S

        def run() -> T:
            while True:
                try:
                    with self._database.write() as connection:
                        return work(connection)
                except DBAPIError as error:
                    if not _may_pass(error) or time.monotonic() + _RETRY_S > deadline:
                        raise
                time.sleep(_RETRY_S)

        return await self._answer(run)

    async def _answer(self, run: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(PATIENCE_S), self._turn:
                return await off_loop(run, PATIENCE_S)
        except TimeoutError as error:
            raise LedgerError(
                f"the budgets in {self._where} did not answer within {PATIENCE_S:.0f} s; "
                "see `rung health db`"
            ) from error
        except (SQLAlchemyError, OSError) as error:
            raise LedgerError(
                f"the budgets in {self._where} cannot be used: {describe(error)}; "
                "see `rung health db`"
            ) from error


def _may_pass(error: DBAPIError) -> bool:
    """Whether another try may do better: others were faster, or an idle connection had broken."""
    if error.connection_invalidated:
        return True
    if getattr(error.orig, "sqlstate", None) in _LOST_RACES:
        return True
    return getattr(error.orig, "sqlite_errorname", "").startswith("SQLITE_BUSY")


class _Memory:
    """The two tables in memory, for a ledger that is off. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engine = create_engine(
            "sqlite+pysqlite://",
            poolclass=StaticPool,
            connect_args={"check_same_thread": False},
            json_serializer=str,
            execution_options={"schema_translate_map": {SCHEMA: None}},
        )
        metadata.create_all(self._engine, [budget, reservation])

    @contextmanager
    def write(self) -> Generator[Connection]:
        with self._lock, self._engine.begin() as connection:
            yield connection

    read = write


_memories: dict[Path, _Memory] = {}
_making = threading.Lock()


def _memory(data_dir: Path) -> _Memory:
    """One for each data folder: all that share it in this process keep to one budget."""
    with _making:
        if data_dir not in _memories:
            _memories[data_dir] = _Memory()
        return _memories[data_dir]
