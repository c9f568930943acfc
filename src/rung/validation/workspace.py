"""Scratch copies of the user's project: one snapshot per task, one fresh folder per attempt."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from rung.errors import UsageError
from rung.validation.copies import (
    copy_entries,
    copyable,
    is_file_or_link,
    lay_over,
    project_files,
    size_bytes,
)
from rung.validation.folders import entries_below, finished, remove_tree
from rung.validation.suite_files import without_tests_of
from rung.validation.temporary import make_folder

MOST_BYTES = 500 * 1000 * 1000
MOST_FILES = 50_000


def project_root(start: Path) -> Path:
    """The top of the Git working tree that `start` lies in, else `start` itself."""
    start = start.resolve()
    folder = start if start.is_dir() else start.parent
    for candidate in (folder, *folder.parents):
        if (candidate / ".git").exists():
            return candidate
    return folder


class Workspace:
    """A private snapshot of the project at `root`, and scratch copies of it for attempts.

    ```
    async with Workspace(root) as workspace:
        async with workspace.attempt(candidate.files, tests=["tests"]) as scratch: ...
    ```
    Everything it made is removed on the way out, also when the task is cancelled.
    """

    def __init__(
        self, root: Path, *, most_bytes: int = MOST_BYTES, most_files: int = MOST_FILES
    ) -> None:
        self.root = root.resolve()
        self._most_bytes, self._most_files = most_bytes, most_files
        self._folder: Path | None = None
        self._stop = threading.Event()

    async def __aenter__(self) -> Self:
        """Raises UsageError if the project is larger than a check can reasonably copy."""
        self._folder = make_folder("work")
        try:
            names = await _list_files(self.root)
            await _in_thread(self._stop, self._take_snapshot, self._folder / "base", names)
        except BaseException:
            await remove_tree(self._folder)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._folder is not None:
            await remove_tree(self._folder)

    @contextlib.asynccontextmanager
    async def attempt(
        self, files: Mapping[str, str], *, tests: Collection[str] = ()
    ) -> AsyncGenerator[Path]:
        """A fresh copy of the snapshot with `files` laid over it.

        `tests` are the files and folders that `tests:` checks run: where the project has a test
        there, its own counts, whatever `files` says. Raises UnsafePathError for a path in `files`
        that is not inside the project.
        """
        if self._folder is None:
            raise RuntimeError("the workspace is not open")
        scratch = Path(tempfile.mkdtemp(prefix="attempt-", dir=self._folder))
        try:
            await _in_thread(self._stop, self._fill, scratch, dict(files), tuple(tests))
            yield scratch
        finally:
            await remove_tree(scratch)

    def _take_snapshot(self, base: Path, names: list[str]) -> None:
        entries = copyable(self.root, names)
        total_bytes = sum(size_bytes(self.root / name) for name in entries)
        if total_bytes > self._most_bytes or len(entries) > self._most_files:
            raise UsageError(
                f"{self.root} holds more than {self._most_bytes / 1e6:g} MB or "
                f"{self._most_files:,} files, too much to copy for each check. Run Rung in the "
                "part of the project that the task is about, or have Git ignore what is large."
            )
        base.mkdir()
        try:
            copy_entries(self.root, base, entries, self._stop)
        except PermissionError as error:
            raise UsageError(
                f"cannot copy {error.filename}: it is not readable. Let Git ignore it."
            ) from error

    def _fill(self, scratch: Path, files: dict[str, str], tests: tuple[str, ...]) -> None:
        base = scratch.parent / "base"
        files_of_base = (path for path in entries_below(base) if is_file_or_link(path))
        names = [path.relative_to(base).as_posix() for path in files_of_base]
        copy_entries(base, scratch, names, self._stop)
        lay_over(scratch, without_tests_of(base, files, tests))


@contextlib.asynccontextmanager
async def copied(scratch: Path) -> AsyncGenerator[Path]:
    """Another scratch folder beside `scratch`, with what it holds now."""
    copy = Path(tempfile.mkdtemp(prefix="attempt-", dir=scratch.parent))
    stop = threading.Event()

    def fill() -> None:
        copy_entries(scratch, copy, copyable(scratch, project_files(scratch)), stop)

    try:
        await _in_thread(stop, fill)
        yield copy
    finally:
        await remove_tree(copy)


async def _in_thread(stop: threading.Event, work: Callable[..., None], *arguments: object) -> None:
    """Run a copy off the event loop. A cancelled one is told to stop and then waited for."""
    copying = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
    try:
        await asyncio.shield(copying)
    except asyncio.CancelledError:
        stop.set()
        await finished(copying)
        raise


async def _list_files(root: Path) -> list[str]:
    """What belongs to the project: Git's tracked and not ignored files, else all but caches."""
    if shutil.which("git") and project_root(root).joinpath(".git").exists():
        process = await asyncio.create_subprocess_exec(
            *("git", "-c", "core.fsmonitor=false", "ls-files", "-z"),
            *("--cached", "--others", "--exclude-standard"),
            cwd=root,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            listed, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        if process.returncode == 0:
            return sorted({os.fsdecode(name) for name in listed.split(b"\0") if name})
    return await asyncio.to_thread(project_files, root)
