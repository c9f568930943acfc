"""What the ledger remembers of downloads, and what of it still holds."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Protocol

import msgspec

from rung.ledger.rows import AuditRow, DownloadRow, InstallRow, Row, now
from rung.models.downloads.job import Job, job_of, this_process
from rung.models.store import InstalledModel

# Without a word for so long, an owner that cannot be looked at is taken for gone.
_SILENT = timedelta(seconds=60)


class History(Protocol):
    """The part of the ledger that downloads need."""

    def record(self, row: Row) -> None:
        """Put a row on record, some time soon."""
        ...

    async def downloads(self, limit: int = 50) -> list[DownloadRow]:
        """The last that were begun, newest first. Raises LedgerError."""
        ...


def as_seen_now(row: DownloadRow, models_dir: Path) -> Job:
    """A job that is in the ledger and not in this folder.

    One that should be here and is not has lost its bytes; one elsewhere that has long been silent
    has lost its owner.
    """
    job = job_of(row)
    if row.state not in ("queued", "running", "paused"):
        return job
    is_here = row.models_dir == str(models_dir) and row.owner_host == this_process().host
    is_silent = row.state != "paused" and now() - row.updated_at > _SILENT
    if is_here or is_silent:
        return msgspec.structs.replace(job, state="interrupted", bytes_per_s=None)
    return job


def audit_row(job: Job) -> AuditRow:
    """The end of a download, for the audit log."""
    details = {
        "job": job.id,
        "model": job.model,
        "source": job.source,
        "state": job.state,
        "bytes": job.done_bytes,
        "error": job.error,
    }
    return AuditRow(kind="model.download", details=details)


def install_row(model: InstalledModel) -> InstallRow:
    """What is installed here from now on."""
    host, at = this_process().host, now()
    installed_at = model.installed_at or at
    return InstallRow(
        place=f"{host}:{model.path}",
        model=model.id,
        host=host,
        path=str(model.path),
        source=str(model.source),
        sha256=model.sha256,
        size_bytes=model.size_bytes,
        installed_at=installed_at,
        updated_at=max(at, installed_at),  # the ledger keeps the newest, even by a clock set back
    )
