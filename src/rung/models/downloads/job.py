"""A download as a value: what is fetched, how far it has come, and who runs it."""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, cast

import msgspec

from rung.ledger.rows import DownloadRow, DownloadState, now
from rung.models.catalogue import CatalogueModel, is_same_origin
from rung.models.progress import Phase
from rung.models.sources import EngineModel

JobState = Literal["queued", "running", "paused", "interrupted", "done", "failed", "cancelled"]
# Why a paused job does not run: somebody asked for it, its owner left, or the disk is full.
PausedBy = Literal["", "request", "exit", "full_disk"]
ENDED = frozenset({"done", "failed", "cancelled"})
AT_REST = ENDED | {"paused", "interrupted"}
_PRIVATE = ("entry", "engine")


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """The process that runs a job, or ran it last. Whether it lives is told by its lock."""

    host: str
    pid: int
    since: datetime


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One download. `model` is an id of the store, or `engine/model` of an engine's own download.

    `state` is `interrupted` where the owner is gone without a word; that is never stored. A
    `total_bytes` of `None` is not known yet. `problem` is why a running job gets nothing just now,
    while it tries again. `path` is set once a model of the store is done. `updated_at` never goes
    back, whatever the clock does, for the ledger keeps the newest.
    """

    id: str
    model: str
    source: str
    entry: CatalogueModel | None = None
    engine: EngineModel | None = None
    state: JobState = "queued"
    paused_by: PausedBy = ""
    phase: Phase = "waiting"
    done_bytes: int = 0
    total_bytes: int | None = None
    bytes_per_s: float | None = None
    eta_s: float | None = None
    error: str = ""
    problem: str = ""
    owner: Owner
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None = None
    path: str = ""

    @property
    def key(self) -> str:
        """The name of its work folder and lock: one download of a model at a time."""
        if self.engine is None:
            return self.model
        return f"engine-{hashlib.sha256(self.model.encode()).hexdigest()[:32]}"


def this_process() -> Owner:
    """The calling process, as an owner from now on."""
    return Owner(host=socket.gethostname(), pid=os.getpid(), since=now())


def new_job(what: CatalogueModel | EngineModel) -> Job:
    """A job that nobody has started yet."""
    is_entry = isinstance(what, CatalogueModel)
    at = now()
    return Job(
        id=secrets.token_hex(4),
        model=what.id if is_entry else str(what),
        source=str(what.source) if is_entry else f"engine {what.engine}",
        entry=what if is_entry else None,
        engine=None if is_entry else what,
        total_bytes=what.size_bytes if is_entry else None,
        owner=this_process(),
        created_at=at,
        updated_at=at,
    )


def changed(
    job: Job, state: JobState, *, error: str = "", paused_by: PausedBy = "", path: str = ""
) -> Job:
    """The job in another state. Rates are of running jobs only."""
    at = later(job)
    is_done = state == "done"
    return msgspec.structs.replace(
        job,
        state=state,
        phase="done" if is_done else job.phase,
        done_bytes=(job.total_bytes or job.done_bytes) if is_done else job.done_bytes,
        error=error,
        paused_by=paused_by,
        bytes_per_s=None,
        eta_s=None,
        problem="",
        updated_at=at,
        finished_at=at if state in ENDED else None,
        path=path,
    )


def later(job: Job) -> datetime:
    """Now, but after the job's last update even where the clock was set back since."""
    return max(now(), job.updated_at + timedelta(microseconds=1))


def shown(job: Job) -> dict[str, Any]:
    """The job as the CLI and HTTP print it in JSON: what people and programs may rely on."""
    known = cast("dict[str, Any]", msgspec.to_builtins(job))
    return {name: value for name, value in known.items() if name not in _PRIVATE}


def is_same_content(job: Job, other: Job) -> bool:
    """Whether what one left on the disk is of use to the other.

    A repository's newer commit may hold the same file.
    """
    if job.entry is None or other.entry is None:
        return job.engine == other.engine
    return job.entry.sha256 == other.entry.sha256 and has_same_origin(job, other)


def has_same_origin(job: Job, other: Job) -> bool:
    """Whether both fetch one model, perhaps in two versions."""
    if job.entry is None or other.entry is None:
        return job.engine == other.engine
    return is_same_origin(job.entry.source, other.entry.source)


def row_of(job: Job, models_dir: Path) -> DownloadRow:
    """The job as the ledger keeps it."""
    state: DownloadState = "paused" if job.state == "interrupted" else job.state
    return DownloadRow(
        job_id=job.id,
        model=job.model,
        source=job.source,
        state=state,
        done_bytes=job.done_bytes,
        total_bytes=job.total_bytes,
        bytes_per_s=job.bytes_per_s,
        error=job.error,
        models_dir=str(models_dir),
        owner_host=job.owner.host,
        owner_pid=job.owner.pid,
        owner_since=job.owner.since,
        created_at=job.created_at,
        updated_at=job.updated_at,
        finished_at=job.finished_at,
    )


def job_of(row: DownloadRow) -> Job:
    """A job that only the ledger knows: one that has ended, or is on another machine."""
    return Job(
        id=row.job_id,
        model=row.model,
        source=row.source,
        state=row.state,
        phase="done" if row.state == "done" else "waiting",
        done_bytes=row.done_bytes,
        total_bytes=row.total_bytes,
        bytes_per_s=row.bytes_per_s,
        error=row.error,
        owner=Owner(host=row.owner_host, pid=row.owner_pid, since=row.owner_since),
        created_at=row.created_at,
        updated_at=row.updated_at,
        finished_at=row.finished_at,
    )
