"""One database: its connections, its transactions, and what its errors mean.

Everything here blocks, so it runs on the writer's thread or off the event loop.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, Table, create_engine, event, text
from sqlalchemy.exc import DBAPIError, StatementError

from rung.errors import LedgerError
from rung.ledger.address import Address
from rung.ledger.insertion import in_order, insertion
from rung.ledger.migrate import HEAD, stored_revision, upgrade
from rung.ledger.tables import SCHEMA

BUSY_TIMEOUT_MS = 1500
_CONNECTIONS = 4
_PATIENCE_S = 2.0  # for a connection of the pool, or for another thread that connects

_WRITE_MODE = "rung_write_mode"  # the execution option that `_begin_sqlite` reads

_POSTGRES_ARGUMENTS: Mapping[str, Any] = {
    "connect_timeout": 2,
    "application_name": "rung",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}

# Classes of SQLSTATE that blame the statement: cardinality, data, constraints, sizes.
_POISON_STATES = ("21", "22", "23", "54")


class CommitInDoubtError(LedgerError):
    """The connection broke during COMMIT, so nobody knows yet whether it took place."""

    def __init__(self, transaction: str, cause: Exception) -> None:
        super().__init__(describe(cause))
        self.transaction = transaction


class Store:
    """Connects when first used, and again after every loss. Thread-safe."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._engine = _create_engine(address)
        self._connecting = threading.Lock()
        self._is_ready = False
        self._file_id: tuple[int, int] | None = None

    @contextmanager
    def read(self) -> Generator[Connection]:
        """A transaction for reading, on tables that exist. Raises SQLAlchemyError or OSError."""
        self._prepare()
        with self._engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Generator[Connection]:
        """A transaction that survives a power cut once the block has ended without an error."""
        self._prepare()
        with self._begin("FULL") as connection:
            yield connection
            connection.commit()

    def append(self, values: Mapping[Table, Sequence[Mapping[str, Any]]]) -> None:
        """Write rows to all tables in one transaction: all of them or none. See `insertion`.

        It survives the death of any process, but on SQLite not always a power cut. Raises
        `CommitInDoubtError`, after which `was_committed` must be asked before it is tried again.
        """
        self._prepare()
        with self._begin("NORMAL") as connection:
            transaction: str | None = None
            if self._address.mode == "postgresql":
                transaction = connection.scalar(text("SELECT pg_current_xact_id()::text"))
            for table, rows in values.items():
                connection.execute(insertion(table, self._address.mode), in_order(table, rows))
            try:
                connection.commit()
            except DBAPIError as error:
                if transaction is not None and error.connection_invalidated:
                    raise CommitInDoubtError(transaction, error) from error
                raise

    def was_committed(self, transaction: str) -> bool:
        """What became of a commit in doubt. `LedgerError` while it is still under way.

        https://www.postgresql.org/docs/current/functions-info.html (pg_xact_status)
        """
        query = text("SELECT pg_xact_status(CAST(:id AS xid8))")
        try:
            with self.read() as connection:
                status = connection.scalar(query, {"id": transaction})
        except DBAPIError as error:
            if is_poison(error):
                return False  # it lies in this server's future: this is not the server of then
            raise
        if status == "in progress":
            raise LedgerError("PostgreSQL has not yet ended a transaction whose connection broke")
        return status == "committed"

    def ping(self) -> str | None:
        """The tables' revision, read in a transaction that could have written."""
        with self.write() as connection:
            if self._address.mode == "postgresql":
                setting = connection.scalar(text("SHOW transaction_read_only"))
                if setting == "on":
                    raise LedgerError("the database is read-only; is it a standby?")
            return stored_revision(connection)

    def forget(self) -> None:
        """Drop all connections and look at everything anew: the database may be another one."""
        self._is_ready = False
        self._engine.dispose()

    def close(self) -> None:
        self._engine.dispose()

    def _prepare(self) -> None:
        if self._is_current():
            return
        # A server that accepts connections and then says nothing must not collect waiting threads.
        if not self._connecting.acquire(timeout=_PATIENCE_S):
            raise LedgerError("the database does not answer")
        try:
            if not self._is_current():
                self._connect()
        finally:
            self._connecting.release()

    def _is_current(self) -> bool:
        # A SQLite file that was deleted or replaced would swallow what is written to the old one.
        file = self._address.file
        return self._is_ready and (file is None or self._file_id == _file_id(file))

    def _connect(self) -> None:
        self.forget()
        file = self._address.file
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
        with self._engine.connect() as connection:
            revision = stored_revision(connection)
        if revision != HEAD:
            with self._begin("FULL") as connection:
                upgrade(connection)
                connection.commit()
        self._file_id = None if file is None else _file_id(file)
        self._is_ready = True

    @contextmanager
    def _begin(self, synchronous: str) -> Generator[Connection]:
        engine: Engine = self._engine.execution_options(**{_WRITE_MODE: synchronous})
        with engine.connect() as connection:
            yield connection


def is_poison(error: Exception) -> bool:
    """Is a row to blame, and not the database? Such a row would fail again for ever."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, TypeError | ValueError | OverflowError | StatementError)
    if error.connection_invalidated:
        return False
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return state.startswith(_POISON_STATES)
    return type(error.orig).__name__ in ("DataError", "IntegrityError")


def describe(error: Exception) -> str:
    """One line, without SQL and parameters, and so without anybody's prompt."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    lines = str(cause).strip().splitlines()
    return lines[0] if lines else type(cause).__name__


def _create_engine(address: Address) -> Engine:
    is_postgres = address.mode == "postgresql"
    stated = address.url.query
    arguments = {k: v for k, v in _POSTGRES_ARGUMENTS.items() if is_postgres and k not in stated}
    engine = create_engine(
        address.url,
        connect_args=arguments,
        pool_size=_CONNECTIONS,
        max_overflow=0,
        pool_timeout=_PATIENCE_S,
        pool_pre_ping=True,
        hide_parameters=True,
        json_serializer=_as_it_is,
        json_deserializer=msgspec.json.decode,
        execution_options={} if is_postgres else {"schema_translate_map": {SCHEMA: None}},
    )
    if not is_postgres:
        event.listen(engine, "connect", _connect_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _as_it_is(value: str) -> str:
    """JSON was encoded where rows are, so that it is encoded once."""
    return value


def _connect_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # BEGIN is ours
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA journal_mode = WAL")


def _begin_sqlite(connection: Connection) -> None:
    synchronous = connection.get_execution_options().get(_WRITE_MODE)
    if synchronous is None:
        connection.exec_driver_sql("BEGIN")
        return
    connection.exec_driver_sql(f"PRAGMA synchronous = {synchronous}")
    # The write lock at once: to read first and ask for it later is how SQLite writers deadlock.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _file_id(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
