"""A job on the disk: `<models_dir>/.<key>.part` with its bytes, its state, and what it is told.

This is the truth that a download is resumed from, whether or not there is a ledger. The lock beside
it is held by the process that runs the job, and falls with it: it tells a running job from one
whose owner is gone.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from rung.models.catalogue import is_valid_id
from rung.models.downloads.job import Job
from rung.models.store import ModelStore

Order = Literal["pause", "cancel"]
_JOB = "job.json"
_NEWS = "news.json"
_ORDERS: tuple[Order, ...] = ("cancel", "pause")


class JobFolder:
    """Where one job is kept. Only the holder of `lock` writes; anyone may read, and give orders."""

    def __init__(self, store: ModelStore, key: str) -> None:
        self.path = store.work_folder(key)
        self.lock = store.lock(key)

    def read(self) -> Job | None:
        """The job as its owner last wrote it; `interrupted` where that owner is gone."""
        # Asked first: an owner that ends between the two has written its last word before.
        has_owner = self.lock.is_held_elsewhere()
        job = _decoded(self.path / _JOB)
        if job is None or job.state != "running":
            return job
        job = _decoded(self.path / _NEWS) or job
        if not has_owner:
            return msgspec.structs.replace(job, state="interrupted", bytes_per_s=None, eta_s=None)
        return job

    def write(self, job: Job) -> None:
        """A new state, which a power cut does not take back. Raises OSError."""
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / _NEWS).unlink(missing_ok=True)
        _replace(self.path / _JOB, job, is_synced=True)

    def write_news(self, job: Job) -> None:
        """How far a running job is; written often, and nothing is lost with it. Raises OSError."""
        _replace(self.path / _NEWS, job, is_synced=False)

    def give(self, order: Order) -> None:
        """Tell the owner what to do; it looks ten times a second. Raises OSError.

        An empty file of that name: a disk that is full has room for it.
        """
        with suppress(FileNotFoundError):  # it has just ended
            (self.path / order).touch()

    def order(self) -> Order | None:
        """What the owner was told."""
        return next((order for order in _ORDERS if (self.path / order).exists()), None)

    def forget_order(self) -> None:
        for order in _ORDERS:
            (self.path / order).unlink(missing_ok=True)

    def clear(self) -> None:
        """Delete the job with its bytes. Raises OSError."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self.path)

    def clear_bytes(self) -> None:
        """Delete all but the job itself. Raises OSError."""
        for path in self.path.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != _JOB:
                path.unlink()


def all_jobs(store: ModelStore) -> list[Job]:
    """The jobs of this models folder that are not done, oldest first."""
    found = (JobFolder(store, key).read() for key in _keys(store))
    return sorted((job for job in found if job), key=lambda job: job.created_at)


def sweep(store: ModelStore) -> None:
    """Delete what nothing goes on from: folders without a job, and jobs that were cancelled."""
    for key in _keys(store):
        folder = JobFolder(store, key)
        # Another user's leftovers in a shared folder are not ours to delete.
        with suppress(PermissionError):
            if folder.lock.acquire():
                try:
                    job = folder.read()
                    if job is None or job.state == "cancelled":
                        folder.clear()
                finally:
                    folder.lock.release()


def _decoded(path: Path) -> Job | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Job)
    except (OSError, msgspec.DecodeError):  # none, or not a job: nothing to go on from
        return None


def _replace(path: Path, job: Job, *, is_synced: bool) -> None:
    draft = path.with_suffix(".new")
    try:
        with draft.open("wb") as file:
            file.write(msgspec.json.encode(job))
            if is_synced:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def _keys(store: ModelStore) -> Iterable[str]:
    names = (path.name[1 : -len(".part")] for path in store.models_dir.glob(".*.part"))
    return [name for name in names if is_valid_id(name)]
