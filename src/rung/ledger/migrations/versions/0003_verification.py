"""Budgets and money in flight, labels and suggestions; what learning needs of an attempt."""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import BigInteger, Column, DateTime, Double, Integer, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import JSON

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SCHEMA = "control"
TIME = DateTime(timezone=True)
JSON_TYPE = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    """New columns may be empty, as the rows that are there know nothing of them."""
    for column in (
        Column("task_type", Text),
        Column("locality", Text),
        Column("checker", Text),
        Column("result", Text),
        Column("failed_rungs", BigInteger),
        Column("try_on_rung", BigInteger),
        Column("app", Text),
    ):
        add("attempt", column)
    index("attempt", "created_at")
    add("task_log", Column("app", Text))
    add("review_item", Column("kind", Text, nullable=False, server_default="work"))
    add("review_item", Column("edited", JSON_TYPE))
    create_learning()
    create_money()


def add(table: str, column: Column[Any]) -> None:
    """Unlike CREATE TABLE, Alembic's ADD COLUMN does not know that SQLite has no schema."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    op.add_column(table, column, schema=None if is_sqlite else SCHEMA)


def create_learning() -> None:
    create(
        "label",
        Column("task_id", Text, nullable=False),
        Column("attempt", BigInteger, nullable=False),
        Column("source", Text, nullable=False),
        Column("verdict", Text, nullable=False),
        Column("weight", Double, nullable=False),
        Column("note", Text, nullable=False),
        Column("review_id", BigInteger),
        Column("at", TIME, nullable=False),
    )
    index("label", "task_id")
    create(
        "suggestion",
        Column("subject", Text, nullable=False),
        Column("before", JSON_TYPE, nullable=False),
        Column("after", JSON_TYPE, nullable=False),
        Column("reason", Text, nullable=False),
        Column("state", Text, nullable=False),
        Column("created_at", TIME, nullable=False),
        Column("decided_at", TIME),
    )
    index("suggestion", "state")


def create_money() -> None:
    create(
        "budget",
        Column("scope", Text, nullable=False),
        Column("spent_nano_usd", BigInteger, nullable=False),
        Column("reserved_nano_usd", BigInteger, nullable=False),
        Column("tokens", BigInteger, nullable=False),
        Column("seconds", Double, nullable=False),
        Column("attempts", BigInteger, nullable=False),
        Column("updated_at", TIME, nullable=False),
    )
    index("budget", "scope", is_unique=True)
    create(
        "reservation",
        Column("reservation_id", Text, nullable=False),
        Column("task_id", Text, nullable=False),
        Column("scopes", JSON_TYPE, nullable=False),
        Column("model", Text, nullable=False),
        Column("reserved_nano_usd", BigInteger, nullable=False),
        Column("spent_nano_usd", BigInteger),
        Column("state", Text, nullable=False),
        Column("owner_host", Text, nullable=False),
        Column("owner_pid", BigInteger, nullable=False),
        Column("owner_since", TIME, nullable=False),
        Column("created_at", TIME, nullable=False),
        Column("settled_at", TIME),
    )
    index("reservation", "reservation_id", is_unique=True)
    index("reservation", "state")


def create(name: str, *columns: Column[Any]) -> None:
    identity = BigInteger().with_variant(Integer, "sqlite")
    number = Column("id", identity, primary_key=True, autoincrement=True)
    op.create_table(name, number, *columns, schema=SCHEMA)


def index(table: str, key: str, *, is_unique: bool = False) -> None:
    op.create_index(f"ix_{table}_{key}", table, [key], unique=is_unique, schema=SCHEMA)
