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
ReviewKind = Literal["work", "approval", "audit"]
LabelSource = Literal["person", "audit", "ci", "revert", "shadow"]
ReservationState = Literal["open", "settled", "released", "expired"]
SuggestionState = Literal["open", "applied", "reverted"]


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


# The app of attempts that shadow accepted work: no task of the user's.
SHADOW_APP = "(shadow)"
SHADOW = "shadow"  # the audit row that compares one


class AttemptRow(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at a task (`attempt`): the fields of the public attempt JSON, type and app.

    `result` is what its verdicts amount to; `failed_rungs` counts the distinct models that had
    failed at the task before, `try_on_rung` is 1 for a model's first attempt.
    """

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
    task_type: str | None = None
    locality: Locality | None = None
    checker: str | None = None
    result: str | None = None
    failed_rungs: int | None = None
    try_on_rung: int | None = None
    app: str | None = None
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
    app: str | None = None
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
    """What waits for a person (`review_item`). `outcome` is the whole outcome, as given.

    `kind` is `work` that no check could settle, a paid rung that wants `approval`, or an `audit`
    of work that was accepted. `edited` is the answer as a person changed it: `{answer, files,
    object}`, as in the outcome.
    """

    task_id: str
    title: str
    reason: str
    outcome: JsonObject
    kind: ReviewKind = "work"
    edited: JsonObject | None = None
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


class LabelRow(msgspec.Struct, frozen=True, kw_only=True):
    """What became known of an answer after it was given (`label`): the truth that learning uses.

    `weight` is one over the share of answers that are looked at in this way. `review_id` names the
    review that it comes from, which takes it back when it is opened again.
    """

    task_id: str
    attempt: int
    source: LabelSource
    verdict: Literal["right", "wrong"]
    weight: float = 1.0
    note: str = ""
    review_id: int | None = None
    at: datetime = msgspec.field(default_factory=now)
    id: int | None = None


class SuggestionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A change of the matrix that outcomes suggest (`suggestion`); `before` undoes it.

    `subject` names the setting, as in `matrix.standard.chain`.
    """

    subject: str
    before: JsonObject
    after: JsonObject
    reason: str
    state: SuggestionState = "open"
    created_at: datetime = msgspec.field(default_factory=now)
    decided_at: datetime | None = None
    id: int | None = None


class BudgetRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a scope has used in a period (`budget`), as in `day:2026-11-21|type:standard`.

    Money is in nano-USD (1e-9 USD), whole numbers, so that sums are exact.
    """

    scope: str
    spent_nano_usd: int = 0
    reserved_nano_usd: int = 0
    tokens: int = 0
    seconds: float = 0.0
    attempts: int = 0
    updated_at: datetime = msgspec.field(default_factory=now)
    id: int | None = None


class ReservationRow(msgspec.Struct, frozen=True, kw_only=True):
    """Money in flight (`reservation`): taken from its scopes before a paid call, settled after."""

    reservation_id: str
    task_id: str
    scopes: list[str]
    model: str
    reserved_nano_usd: int
    spent_nano_usd: int | None = None
    state: ReservationState = "open"
    owner_host: str
    owner_pid: int
    owner_since: datetime
    created_at: datetime = msgspec.field(default_factory=now)
    settled_at: datetime | None = None
    id: int | None = None


Row = (
    CallRow
    | AttemptRow
    | TaskRow
    | AuditRow
    | ReviewItem
    | DownloadRow
    | InstallRow
    | LabelRow
    | SuggestionRow
    | BudgetRow
    | ReservationRow
)
Json = dict[str, Any] | list[Any]
