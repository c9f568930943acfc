"""The rows of the ledger, as frozen values.

`id` is given by the database: it is `None` in a row that is to be written, and set in one that
was read. Times are timezone-aware. `None` in a number means that nobody measured it, never zero.
A row may carry mutable JSON; whoever hands it to the ledger must not change it afterwards.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from rung.chat import JsonObject, Locality

CallStatus = Literal["ok", "error"]
ReviewState = Literal["open", "approved", "rejected", "skipped"]
DownloadState = Literal["queued", "running", "paused", "done", "failed", "cancelled"]
Decision = Literal["approved", "rejected", "skipped"]


def now() -> datetime:
    """This moment in UTC."""
    return datetime.now(UTC)


class CallRow(msgspec.Struct, frozen=True, kw_only=True):
    """One model call (`agent_run`): RFC-080's columns, then what reports filter and sum by.

    `tool` names the kind of engine (`lm_studio`); `violations_json` is empty where all went well.
    """

    tool: str
    project_id: str | None = None
    session_id: str | None = None
    args_json: JsonObject = {}
    result_json: JsonObject = {}
    violations_json: list[JsonObject] = []
    created_at: datetime = msgspec.field(default_factory=now)

    app: str = "rung"
    task_id: str | None = None
    attempt: int | None = None
    engine: str
    model: str
    served_model: str | None = None
    locality: Locality = "local"
    tier: str | None = None
    status: CallStatus = "ok"
    error_kind: str | None = None
    tokens_in: int | None = None
    tokens_cached: int | None = None
    tokens_out: int | None = None
    cost_usd: float | None = None
    queue_ms: float | None = None
    first_token_ms: float | None = None
    total_ms: float | None = None
    tokens_per_s: float | None = None
    id: int | None = None


class AttemptRow(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at a task (`attempt`): the fields of the public attempt JSON."""

    task_id: str
    n: int
    model: str
    served_model: str | None = None
    engine: str
    tier: str | None = None
    temperature: float | None = None
    verdicts: list[JsonObject] = []
    repairs: list[str] = []
    error: str | None = None
    tokens_in: int | None = None
    tokens_cached: int | None = None
    tokens_out: int | None = None
    cost_usd: float | None = None
    seconds: float | None = None
    created_at: datetime = msgspec.field(default_factory=now)
    id: int | None = None


class TaskRow(msgspec.Struct, frozen=True, kw_only=True):
    """One finished task (`task_log`). `validation_method` is like `syntax+tests`."""

    task_id: str
    timestamp: datetime = msgspec.field(default_factory=now)
    task_type: str
    description: str
    complexity_score: float | None = None
    worker: str | None = None
    checker: str | None = None
    outcome: str
    attempts: int = 0
    escalations: int = 0
    validation_method: str = ""
    latency_ms: float | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    cost_usd: float | None = None
    saved_usd: float | None = None
    id: int | None = None


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    """One event of the append-only log (`audit_event`): a climb, an approval, a budget stop."""

    kind: str
    at: datetime = msgspec.field(default_factory=now)
    task_id: str | None = None
    actor: str = "rung"
    details: JsonObject = {}
    id: int | None = None


class ReviewItem(msgspec.Struct, frozen=True, kw_only=True):
    """Work that waits for a person (`review_item`). `outcome` is the whole outcome, as given."""

    task_id: str
    title: str
    reason: str
    outcome: JsonObject
    state: ReviewState = "open"
    created_at: datetime = msgspec.field(default_factory=now)
    decided_at: datetime | None = None
    note: str = ""
    id: int | None = None


class DownloadRow(msgspec.Struct, frozen=True, kw_only=True):
    """One download (`download_job`). A newer row of the same `job_id` takes the older one's place.

    Whether a running one still has its owner is not known here: see `rung.models.downloads`.
    """

    job_id: str
    model: str
    source: str
    state: DownloadState
    done_bytes: int = 0
    total_bytes: int | None = None
    bytes_per_s: float | None = None
    error: str = ""
    models_dir: str
    owner_host: str
    owner_pid: int
    owner_since: datetime
    created_at: datetime = msgspec.field(default_factory=now)
    updated_at: datetime = msgspec.field(default_factory=now)
    finished_at: datetime | None = None
    id: int | None = None


class InstallRow(msgspec.Struct, frozen=True, kw_only=True):
    """What is installed where (`model_install`): one row for each path of each host.

    `removed_at` is set once the model was removed.
    """

    place: str  # host:path, the row's key
    model: str
    host: str
    path: str
    source: str
    sha256: str
    size_bytes: int
    installed_at: datetime = msgspec.field(default_factory=now)
    updated_at: datetime = msgspec.field(default_factory=now)
    removed_at: datetime | None = None
    id: int | None = None


Row = CallRow | AttemptRow | TaskRow | AuditRow | ReviewItem | DownloadRow | InstallRow
Json = dict[str, Any] | list[Any]
