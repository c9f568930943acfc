"""Whose turn it is: a job belongs to one process at a time, and others watch it or give orders."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import msgspec

from rung.errors import ModelError
from rung.models.downloads.folder import JobFolder, Order
from rung.models.downloads.job import Job, changed, has_same_origin, is_same_content
from rung.models.downloads.runner import stopped
from rung.models.hub_source import kept_bytes

_POLL_S = 0.1
_OBEY_S = 15.0


def joined(fresh: Job, folder: JobFolder) -> Job:
    """`fresh`, or the job that is kept in `folder` where that fetches the same.

    Raises ModelError where another model's bytes would have to go for it.
    """
    kept = folder.read()
    if kept is None or kept.state == "cancelled":
        return fresh
    if is_same_content(kept, fresh):
        return msgspec.structs.replace(kept, entry=fresh.entry, source=fresh.source)
    if not has_same_origin(kept, fresh) and kept_bytes(folder.path):
        raise ModelError(
            f"{kept.model} is the name of an unfinished download of {kept.source}; give this one "
            f"another with --id NAME, or end that one with `rung models cancel {kept.id}`"
        )
    return fresh


async def take_turn(folder: JobFolder, on_update: Callable[[Job], None]) -> Job | None:
    """Wait for the folder's lock, and hold it. The job of the process that had it, if one did.

    Its progress is passed on meanwhile, so that two who want one model both see it come.
    """
    seen: Job | None = None
    while not folder.lock.acquire():
        now = folder.read()
        if now is not None and now.state == "running":
            if seen is None or _is_further(now, seen):
                on_update(now)
            seen = now
        await asyncio.sleep(_POLL_S)
    return seen


def check_end(ended: Job | None, seen: Job) -> None:
    """Whether one who waited for another process's download may go on where that one stopped.

    It may where that process was killed or left; what a person stopped, or what failed, it must
    not begin again. Raises ModelError.
    """
    if ended is None:
        raise stopped(changed(seen, "cancelled"))
    if ended.state == "failed" or ended.paused_by == "full_disk":
        raise ModelError(ended.error)
    if ended.state == "cancelled" or ended.paused_by == "request":
        raise stopped(ended)


@asynccontextmanager
async def taken_over(folder: JobFolder, order: Order) -> AsyncGenerator[None]:
    """Hold the folder's lock, after its owner, if there is one, was given the order.

    Raises ModelError where that owner does not obey.
    """
    deadline_s = asyncio.get_running_loop().time() + _OBEY_S
    while not folder.lock.acquire():
        if asyncio.get_running_loop().time() > deadline_s:
            raise ModelError(
                f"the process that runs this download did not {order} it within {_OBEY_S:.0f} s"
            )
        folder.give(order)
        await asyncio.sleep(_POLL_S)
    try:
        folder.forget_order()
        yield
    finally:
        folder.lock.release()


def _is_further(now: Job, seen: Job) -> bool:
    return msgspec.structs.replace(now, updated_at=seen.updated_at) != seen
