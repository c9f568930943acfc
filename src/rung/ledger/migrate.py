"""Brings the tables to the revision that this version of Rung works with."""

from __future__ import annotations

from importlib.resources import as_file, files

from sqlalchemy import Column, Connection, MetaData, Table, Text, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateSchema

from rung.errors import LedgerError
from rung.ledger.tables import SCHEMA

HEAD = "0003"
VERSION_TABLE = "rung_revision"

_versions = Table(VERSION_TABLE, MetaData(schema=SCHEMA), Column("version_num", Text))

# Any number will do, as long as every Rung that starts on one PostgreSQL takes the same.
_ADVISORY_LOCK = 0x52756E67


def stored_revision(connection: Connection) -> str | None:
    """The revision of the tables, or `None` where there are none yet. One SELECT."""
    try:
        with connection.begin_nested():
            return connection.scalar(select(_versions.c.version_num))
    except DBAPIError as error:
        if _is_missing_table(error):
            return None
        raise


def upgrade(connection: Connection, revision: str = HEAD) -> None:
    """Create or migrate the tables, inside the caller's write transaction: all of it or nothing.

    Several processes may do so at once: the first migrates, the others wait and find it done.
    `LedgerError` if the tables come from a newer Rung.
    """
    if connection.dialect.name == "postgresql":
        _lock_and_create_schema(connection)
    stored = stored_revision(connection)
    if stored == revision:
        return
    if stored is not None and stored > HEAD:
        raise LedgerError(
            f"the ledger is at revision {stored} and this Rung knows {HEAD} only: upgrade Rung, "
            "or give it another database (RUNG_DATABASE_URL)"
        )
    _run_alembic(connection, revision)


def _lock_and_create_schema(connection: Connection) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    # CREATE SCHEMA IF NOT EXISTS would need the right to create one even where there is one.
    found = connection.scalar(text("SELECT to_regnamespace(:name)"), {"name": SCHEMA})
    if found is None:
        connection.execute(CreateSchema(SCHEMA))


def _run_alembic(connection: Connection, revision: str) -> None:
    # Imported here: Alembic costs more than everything else that a start does.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    with as_file(files("rung.ledger") / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, revision)
        except CommandError as error:
            raise LedgerError(f"the ledger's tables cannot be migrated: {error}") from error


def _is_missing_table(error: DBAPIError) -> bool:
    if error.connection_invalidated:
        return False
    # 42P01: no such table, 3F000: no such schema.
    state = getattr(error.orig, "sqlstate", None)
    return state in ("42P01", "3F000") or str(error.orig).startswith("no such table")
