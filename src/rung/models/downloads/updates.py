"""What is told of a running job, to whom, and how often."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from rung.ledger.rows import DownloadRow
from rung.models.downloads.folder import JobFolder
from rung.models.downloads.job import Job, later, row_of
from rung.models.progress import Pace, PullProgress

OnUpdate = Callable[[Job], None]

_TELL_EVERY_S = 1.0
_FILE_EVERY_S = 0.25
_ROW_EVERY_S = 2.0


class Updates:
    """The job as it is now: on the disk, in the ledger, and for whoever listens here."""

    def __init__(
        self,
        job: Job,
        folder: JobFolder,
        models_dir: Path,
        record: Callable[[DownloadRow], None],
        on_update: OnUpdate,
    ) -> None:
        self.job = job
        self._folder = folder
        self._models_dir = models_dir
        self._record = record
        self._on_update = on_update
        self._pace = Pace()
        self._told_s = self._written_s = self._recorded_s = 0.0

    def on_progress(self, progress: PullProgress) -> None:
        """More bytes, or another phase. What the listener raises ends the download."""
        if progress.phase != self.job.phase:
            self._pace = Pace()
            self._written_s = self._recorded_s = 0.0
        self.job = msgspec.structs.replace(
            self.job,
            phase=progress.phase,
            done_bytes=progress.done_bytes,
            total_bytes=progress.total_bytes or None,
            problem=progress.problem,
        )
        self._tell(time.monotonic())

    def tick(self) -> None:
        """Time has passed: whoever looks sees that the job lives, and that its rate falls."""
        at_s = time.monotonic()
        if at_s - self._told_s >= _TELL_EVERY_S:
            self._tell(at_s)
        if at_s - self._written_s >= _FILE_EVERY_S:
            self._written_s = at_s
            with suppress(OSError):  # a full disk ends the job by its bytes, not by its news
                self._folder.write_news(self.job)
        if at_s - self._recorded_s >= _ROW_EVERY_S:
            self._recorded_s = at_s
            self._record(row_of(self.job, self._models_dir))

    def _tell(self, at_s: float) -> None:
        job, self._told_s = self.job, at_s
        self._pace.feed(at_s, job.done_bytes)
        left_bytes = None if job.total_bytes is None else job.total_bytes - job.done_bytes
        self.job = msgspec.structs.replace(
            job,
            bytes_per_s=self._pace.bytes_per_s,
            eta_s=None if left_bytes is None else self._pace.eta_s(left_bytes),
            updated_at=later(job),
        )
        self._on_update(self.job)

    def settle(self, job: Job) -> None:
        """A new state, recorded at once. What becomes of the folder is for the caller to say."""
        self.job = job
        self._record(row_of(job, self._models_dir))
