"""Downloads, and what is installed where."""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import BigInteger, Column, DateTime, Double, Integer, Text

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SCHEMA = "control"
TIME = DateTime(timezone=True)


def upgrade() -> None:
    """Create both tables; each keeps one row per key, which is replaced as its state changes."""
    create(
        "download_job",
        "job_id",
        Column("job_id", Text, nullable=False),
        Column("model", Text, nullable=False),
        Column("source", Text, nullable=False),
        Column("state", Text, nullable=False),
        Column("done_bytes", BigInteger, nullable=False),
        Column("total_bytes", BigInteger),
        Column("bytes_per_s", Double),
        Column("error", Text, nullable=False),
        Column("models_dir", Text, nullable=False),
        Column("owner_host", Text, nullable=False),
        Column("owner_pid", BigInteger, nullable=False),
        Column("owner_since", TIME, nullable=False),
        Column("created_at", TIME, nullable=False),
        Column("updated_at", TIME, nullable=False),
        Column("finished_at", TIME),
    )
    create(
        "model_install",
        "place",
        Column("place", Text, nullable=False),
        Column("model", Text, nullable=False),
        Column("host", Text, nullable=False),
        Column("path", Text, nullable=False),
        Column("source", Text, nullable=False),
        Column("sha256", Text, nullable=False),
        Column("size_bytes", BigInteger, nullable=False),
        Column("installed_at", TIME, nullable=False),
        Column("updated_at", TIME, nullable=False),
        Column("removed_at", TIME),
    )


def create(name: str, key: str, *columns: Column[Any]) -> None:
    identity = BigInteger().with_variant(Integer, "sqlite")
    number = Column("id", identity, primary_key=True, autoincrement=True)
    op.create_table(name, number, *columns, schema=SCHEMA)
    op.create_index(f"ix_{name}_{key}", name, [key], unique=True, schema=SCHEMA)
