"""The tables, and which struct goes into which.

On PostgreSQL they live in schema `control`; on SQLite the same names stand without it (the
connection maps the schema away). No foreign keys: rows of one task arrive in any order, in
different batches and from different processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Double,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import JSON

from rung.ledger.rows import (
    AttemptRow,
    AuditRow,
    BudgetRow,
    CallRow,
    DownloadRow,
    InstallRow,
    LabelRow,
    ReservationRow,
    ReviewItem,
    Row,
    SuggestionRow,
    TaskRow,
)

SCHEMA = "control"


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time. SQLite has no time zones: there it is stored in UTC without saying so."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002
    ) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002
    ) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


# SQLite numbers a row by itself only where the key is exactly INTEGER.
Id = BigInteger().with_variant(Integer, "sqlite")
JsonColumn = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={"pk": "pk_%(table_name)s", "ix": "ix_%(table_name)s_%(column_0_N_name)s"},
)


def _id() -> Column[Any]:
    return Column("id", Id, primary_key=True, autoincrement=True)


agent_run = Table(
    "agent_run",
    metadata,
    _id(),
    Column("project_id", Text),
    Column("session_id", Text),
    Column("tool", Text, nullable=False),
    Column("args_json", JsonColumn, nullable=False),
    Column("result_json", JsonColumn, nullable=False),
    Column("violations_json", JsonColumn, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
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
    Column("cost_usd", Double),
    Column("queue_ms", Double),
    Column("first_token_ms", Double),
    Column("total_ms", Double),
    Column("tokens_per_s", Double),
    Index(None, "created_at"),
    Index(None, "task_id"),
)

attempt = Table(
    "attempt",
    metadata,
    _id(),
    Column("task_id", Text, nullable=False),
    Column("n", BigInteger, nullable=False),
    Column("model", Text, nullable=False),
    Column("served_model", Text),
    Column("engine", Text, nullable=False),
    Column("tier", Text),
    Column("temperature", Double),
    Column("verdicts", JsonColumn, nullable=False),
    Column("repairs", JsonColumn, nullable=False),
    Column("error", Text),
    Column("tokens_in", BigInteger),
    Column("tokens_cached", BigInteger),
    Column("tokens_out", BigInteger),
    Column("cost_usd", Double),
    Column("seconds", Double),
    Column("created_at", UtcDateTime, nullable=False),
    Column("task_type", Text),
    Column("locality", Text),
    Column("checker", Text),
    Column("result", Text),
    Column("failed_rungs", BigInteger),
    Column("try_on_rung", BigInteger),
    Column("app", Text),
    Index(None, "task_id", "n"),
    Index(None, "created_at"),
)

task_log = Table(
    "task_log",
    metadata,
    _id(),
    Column("task_id", Text, nullable=False),
    Column("timestamp", UtcDateTime, nullable=False),
    Column("task_type", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("complexity_score", Double),
    Column("worker", Text),
    Column("checker", Text),
    Column("outcome", Text, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("escalations", BigInteger, nullable=False),
    Column("validation_method", Text, nullable=False),
    Column("latency_ms", Double),
    Column("tokens_in", BigInteger),
    Column("tokens_out", BigInteger),
    Column("cost_usd", Double),
    Column("saved_usd", Double),
    Column("app", Text),
    Index(None, "timestamp"),
    Index(None, "task_id"),
)

audit_event = Table(
    "audit_event",
    metadata,
    _id(),
    Column("at", UtcDateTime, nullable=False),
    Column("kind", Text, nullable=False),
    Column("task_id", Text),
    Column("actor", Text, nullable=False),
    Column("details", JsonColumn, nullable=False),
    Index(None, "at"),
)

review_item = Table(
    "review_item",
    metadata,
    _id(),
    Column("task_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("decided_at", UtcDateTime),
    Column("title", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("outcome", JsonColumn, nullable=False),
    Column("note", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("edited", JsonColumn),
    Index(None, "state"),
)

download_job = Table(
    "download_job",
    metadata,
    _id(),
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
    Column("owner_since", UtcDateTime, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Index(None, "job_id", unique=True),
)

model_install = Table(
    "model_install",
    metadata,
    _id(),
    Column("place", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("installed_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("removed_at", UtcDateTime),
    Index(None, "place", unique=True),
)

label = Table(
    "label",
    metadata,
    _id(),
    Column("task_id", Text, nullable=False),
    Column("attempt", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("weight", Double, nullable=False),
    Column("note", Text, nullable=False),
    Column("review_id", BigInteger),
    Column("at", UtcDateTime, nullable=False),
    Index(None, "task_id"),
)

suggestion = Table(
    "suggestion",
    metadata,
    _id(),
    Column("subject", Text, nullable=False),
    Column("before", JsonColumn, nullable=False),
    Column("after", JsonColumn, nullable=False),
    Column("reason", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("decided_at", UtcDateTime),
    Index(None, "state"),
)

budget = Table(
    "budget",
    metadata,
    _id(),
    Column("scope", Text, nullable=False),
    Column("spent_nano_usd", BigInteger, nullable=False),
    Column("reserved_nano_usd", BigInteger, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Index(None, "scope", unique=True),
)

reservation = Table(
    "reservation",
    metadata,
    _id(),
    Column("reservation_id", Text, nullable=False),
    Column("task_id", Text, nullable=False),
    Column("scopes", JsonColumn, nullable=False),
    Column("model", Text, nullable=False),
    Column("reserved_nano_usd", BigInteger, nullable=False),
    Column("spent_nano_usd", BigInteger),
    Column("state", Text, nullable=False),
    Column("owner_host", Text, nullable=False),
    Column("owner_pid", BigInteger, nullable=False),
    Column("owner_since", UtcDateTime, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("settled_at", UtcDateTime),
    Index(None, "reservation_id", unique=True),
    Index(None, "state"),
)

TABLE_OF: Mapping[type[Row], Table] = {
    CallRow: agent_run,
    AttemptRow: attempt,
    TaskRow: task_log,
    AuditRow: audit_event,
    ReviewItem: review_item,
    DownloadRow: download_job,
    InstallRow: model_install,
    LabelRow: label,
    SuggestionRow: suggestion,
    BudgetRow: budget,
    ReservationRow: reservation,
}

# Tables that hold the newest state of something, by what tells its rows apart; a row replaces the
# one with the same key unless that one was updated later. All others only ever grow.
STATE_KEYS: Mapping[Table, str] = {download_job: "job_id", model_install: "place"}

# Tables of sums: a row that is recorded is added to what stands under the same key.
SUM_KEYS: Mapping[Table, str] = {budget: "scope"}
