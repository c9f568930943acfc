"""Runs one job to its end, or to where it is told to stop. One at a time for each model."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from rung.errors import ModelError, RungError
from rung.models.downloads.folder import JobFolder, Order
from rung.models.downloads.job import Job, PausedBy, changed
from rung.models.downloads.updates import Updates
from rung.models.progress import PullProgress
from rung.models.store import NoSpaceError

Work = Callable[[Callable[[PullProgress], None]], Awaitable[str]]

_LOOK_EVERY_S = 0.1


class StoppedError(ModelError):
    """The download was paused or cancelled, here or by another process; `job` is how it is now."""

    def __init__(self, job: Job, message: str) -> None:
        super().__init__(message)
        self.job = job


async def run_job(folder: JobFolder, updates: Updates, work: Work) -> Job:
    """The job when it is done. `work` reports its progress and returns the path of what it made.

    The caller holds the folder's lock. Raises StoppedError where an order came, and what `work`
    raises; cancelled, the job is paused. Its state is on record before this returns, and on the
    disk for as long as there is anything to go on with.
    """
    task = asyncio.ensure_future(work(updates.on_progress))
    try:
        order = await _order_or_end(folder, updates, task)
        if order is None:
            done = changed(updates.job, "done", path=task.result())
            updates.settle(done)
            folder.clear()
            return done
    except NoSpaceError as error:
        _pause(folder, updates, "full_disk", str(error))
        raise
    except RungError as error:
        _keep(folder, updates, changed(updates.job, "failed", error=str(error)))
        raise
    except BaseException:  # cancelled, or a listener failed: nothing is wrong with the download
        _pause(folder, updates, "exit")
        raise
    if order == "pause":
        _pause(folder, updates, "request")
    else:
        folder.clear_bytes()
        _keep(folder, updates, changed(updates.job, "cancelled"))
    raise stopped(updates.job)


def stopped(job: Job) -> StoppedError:
    """What a job that was paused or cancelled means for one who waits for it."""
    if job.state == "cancelled":
        return StoppedError(job, f"the download of {job.model} was cancelled")
    return StoppedError(
        job, f"the download of {job.model} is paused; go on with `rung models resume {job.id}`"
    )


async def _order_or_end(
    folder: JobFolder, updates: Updates, task: asyncio.Future[str]
) -> Order | None:
    """Wait for the end of `task`, or for an order that stopped it. Raises what `task` raised."""
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=_LOOK_EVERY_S)
            updates.tick()
            order = folder.order()
            if order and await _is_stopped(task):
                return order
        task.result()
        return None
    finally:
        await _is_stopped(task)


async def _is_stopped(task: asyncio.Future[str]) -> bool:
    """Cancel it; false where it came to its own end before that."""
    task.cancel()
    await asyncio.wait({task})
    return task.cancelled()


def _pause(folder: JobFolder, updates: Updates, paused_by: PausedBy, error: str = "") -> None:
    _keep(folder, updates, changed(updates.job, "paused", paused_by=paused_by, error=error))


def _keep(folder: JobFolder, updates: Updates, job: Job) -> None:
    updates.settle(job)
    # On a full disk the last state stays: the job then shows as interrupted, which it is.
    with suppress(OSError):
        folder.forget_order()
        folder.write(job)
