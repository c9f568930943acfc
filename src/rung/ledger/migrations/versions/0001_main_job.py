"""The tables of the main job: calls, attempts, tasks, audit events, reviews."""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import BigInteger, Column, DateTime, Double, Integer, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import JSON

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "control"
JSON_TYPE = JSON().with_variant(JSONB(), "postgresql")
TIME = DateTime(timezone=True)
REAL = Double


def upgrade() -> None:
    """Create them, in schema `control` where there are schemas; `migrate` has made it."""
    create_agent_run()
    create_attempt()
    create_task_log()
    create_audit_event()
    create_review_item()


def create(name: str, *columns: Column[Any], indexes: tuple[tuple[str, ...], ...]) -> None:
    identity = BigInteger().with_variant(Integer, "sqlite")
    key = Column("id", identity, primary_key=True, autoincrement=True)
    op.create_table(name, key, *columns, schema=SCHEMA)
    for names in indexes:
        op.create_index(f"ix_{name}_{'_'.join(names)}", name, list(names), schema=SCHEMA)


def create_agent_run() -> None:
    create(
        "agent_run",
        Column("project_id", Text),
        Column("session_id", Text),
        Column("tool", Text, nullable=False),
        Column("args_json", JSON_TYPE, nullable=False),
        Column("result_json", JSON_TYPE, nullable=False),
        Column("violations_json", JSON_TYPE, nullable=False),
        Column("created_at", TIME, nullable=False),
        Column("app", Text, nullable=False),
        Column("task_id", Text),
        Column("attempt", BigInteger),
        Column("engine", Text, nullable=False),
        Column("model", Text, nullable=False),
        Column("served_model", Text),
        Column("locality", Text, nullable=False),
        Column("tier", Text),
        Column("status", Text, nullable=False),
        Column("error_kind", Text),
        Column("tokens_in", BigInteger),
        Column("tokens_cached", BigInteger),
        Column("tokens_out", BigInteger),
        Column("cost_usd", REAL),
        Column("queue_ms", REAL),
        Column("first_token_ms", REAL),
        Column("total_ms", REAL),
        Column("tokens_per_s", REAL),
        indexes=(("created_at",), ("task_id",)),
    )


def create_attempt() -> None:
    create(
        "attempt",
        Column("task_id", Text, nullable=False),
        Column("n", BigInteger, nullable=False),
        Column("model", Text, nullable=False),
        Column("served_model", Text),
        Column("engine", Text, nullable=False),
        Column("tier", Text),
        Column("temperature", REAL),
        Column("verdicts", JSON_TYPE, nullable=False),
        Column("repairs", JSON_TYPE, nullable=False),
        Column("error", Text),
        Column("tokens_in", BigInteger),
        Column("tokens_cached", BigInteger),
        Column("tokens_out", BigInteger),
        Column("cost_usd", REAL),
        Column("seconds", REAL),
        Column("created_at", TIME, nullable=False),
        indexes=(("task_id", "n"),),
    )


def create_task_log() -> None:
    create(
        "task_log",
        Column("task_id", Text, nullable=False),
        Column("timestamp", TIME, nullable=False),
        Column("task_type", Text, nullable=False),
        Column("description", Text, nullable=False),
        Column("complexity_score", REAL),
        Column("worker", Text),
        Column("checker", Text),
        Column("outcome", Text, nullable=False),
        Column("attempts", BigInteger, nullable=False),
        Column("escalations", BigInteger, nullable=False),
        Column("validation_method", Text, nullable=False),
        Column("latency_ms", REAL),
        Column("tokens_in", BigInteger),
        Column("tokens_out", BigInteger),
        Column("cost_usd", REAL),
        Column("saved_usd", REAL),
        indexes=(("timestamp",), ("task_id",)),
    )


def create_audit_event() -> None:
    create(
        "audit_event",
        Column("at", TIME, nullable=False),
        Column("kind", Text, nullable=False),
        Column("task_id", Text),
        Column("actor", Text, nullable=False),
        Column("details", JSON_TYPE, nullable=False),
        indexes=(("at",),),
    )
    if op.get_bind().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_event_no_{change.lower()} BEFORE {change} ON audit_event "
                "BEGIN SELECT RAISE(ABORT, 'audit_event is append-only'); END"
            )
        return
    op.execute(
        f"CREATE FUNCTION {SCHEMA}.refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_event_append_only BEFORE UPDATE OR DELETE OR TRUNCATE "
        f"ON {SCHEMA}.audit_event FOR EACH STATEMENT EXECUTE FUNCTION {SCHEMA}.refuse_change()"
    )


def create_review_item() -> None:
    create(
        "review_item",
        Column("task_id", Text, nullable=False),
        Column("state", Text, nullable=False),
        Column("created_at", TIME, nullable=False),
        Column("decided_at", TIME),
        Column("title", Text, nullable=False),
        Column("reason", Text, nullable=False),
        Column("outcome", JSON_TYPE, nullable=False),
        Column("note", Text, nullable=False),
        indexes=(("state",),),
    )
