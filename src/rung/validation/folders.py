"""Folders that hostile code has written to: walking and removing them whatever they hold."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import stat
from collections.abc import Container, Iterator
from pathlib import Path

_PATH_MAX = 4096


async def remove_tree(folder: Path) -> None:
    """Remove `folder` off the event loop; a cancel is obeyed once it is gone."""
    removing = asyncio.ensure_future(asyncio.to_thread(remove_tree_now, folder))
    try:
        await asyncio.shield(removing)
    except asyncio.CancelledError:
        await finished(removing)
        raise


async def finished(work: asyncio.Future[None]) -> None:
    """Wait for work in a thread, which nothing can cancel, however often the waiter is."""
    while not work.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([work])
    if not work.cancelled():
        work.exception()  # looked at, so that it is not reported as lost


def remove_tree_now(folder: Path) -> None:
    """Every folder is first moved to the top, so that neither depth nor PATH_MAX is a limit.

    Folders without permissions, made on purpose, are opened up. Links are never followed.
    """
    if not folder.exists():
        return
    unused = f".rung-{secrets.token_hex(8)}"  # a name that nothing in there can have taken
    pending = [folder]
    emptied: list[Path] = []
    while pending:
        current = pending.pop()
        current.chmod(stat.S_IRWXU)
        with os.scandir(current) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for name, is_folder in found:
            path = current / name
            if not is_folder:
                path.unlink()
            elif current == folder:
                pending.append(path)
            else:
                path.chmod(stat.S_IRWXU)  # to move a folder one must be able to write in it
                pending.append(path.rename(folder / f"{unused}-{len(emptied)}-{len(pending)}"))
        emptied.append(current)
    for path in reversed(emptied):
        path.rmdir()


def entries_below(folder: Path, skip: Container[str] = ()) -> Iterator[Path]:
    """Every entry below `folder` but folders named in `skip` and what is in them.

    Links are not followed; what lies too deep for a path to name is left out.
    """
    pending = [folder]
    while pending:
        with contextlib.suppress(OSError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                is_folder = entry.is_dir(follow_symlinks=False)
                is_too_deep = len(os.fsencode(entry.path)) >= _PATH_MAX
                if is_too_deep or (is_folder and entry.name in skip):
                    continue
                yield Path(entry.path)
                if is_folder:
                    pending.append(Path(entry.path))
