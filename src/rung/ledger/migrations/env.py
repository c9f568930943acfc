"""Run by Alembic: applies the revisions on the connection that `rung.ledger.migrate` hands over."""

from __future__ import annotations

from alembic import context

from rung.ledger.migrate import VERSION_TABLE
from rung.ledger.tables import SCHEMA, metadata

connection = context.config.attributes["connection"]
is_sqlite = connection.dialect.name == "sqlite"

context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    version_table_schema=None if is_sqlite else SCHEMA,
    # Alembic thinks that SQLite cannot roll back DDL; it can, where BEGIN is our own.
    transactional_ddl=True,
)
context.run_migrations()
