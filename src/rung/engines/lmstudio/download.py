"""What LM Studio says of a download; https://lmstudio.ai/docs/developer/rest."""

from __future__ import annotations

from rung.chat import DownloadProgress, JsonObject
from rung.engines.fields import first_count

# The states in which the model is on the disk.
IS_THERE = ("completed", "already_downloaded")


def is_full(progress: DownloadProgress) -> bool:
    """Whether all bytes are there, though perhaps not checked yet."""
    return progress.total_bytes is not None and progress.done_bytes >= progress.total_bytes


def progress_of(job: JsonObject, status: str, before: DownloadProgress | None) -> DownloadProgress:
    """The bytes that are there, which never become fewer, and all of them once it is complete."""
    total = first_count(job.get("total_size_bytes"), before.total_bytes if before else None)
    done = first_count(job.get("downloaded_bytes"), total if status in IS_THERE else None) or 0
    done = max(done, before.done_bytes if before else 0)
    return DownloadProgress(done_bytes=done, total_bytes=total, status=status)
