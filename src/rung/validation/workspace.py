"""Scratch copies of the user's project: one snapshot per task, one fresh folder per attempt."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from rung.errors import UsageError
from rung.validation.folders import entries_below, finished, remove_tree, remove_tree_now
from rung.validation.paths import UnsafePathError, safe_path

MOST_BYTES = 500 * 1000 * 1000
MOST_FILES = 50_000


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NEVER_COPIED = _words("""
    .cache .git .hg .hypothesis .mypy_cache .nox .pytest_cache .ruff_cache .svn .tox .venv
    __pycache__ node_modules venv
""")

# Files that decide how a test run goes. They come from the project, never from a candidate that
# was not asked for them.
_STEERING_NAMES = _words("""
    .pytest.ini .pytest.toml conftest.py pyproject.toml pytest.ini pytest.toml setup.cfg
    sitecustomize.py tox.ini usercustomize.py
""")


def project_root(start: Path) -> Path:
    """The top of the Git working tree that `start` lies in, else `start` itself."""
    start = start.resolve()
    folder = start if start.is_dir() else start.parent
    for candidate in (folder, *folder.parents):
        if (candidate / ".git").exists():
            return candidate
    return folder


def is_test(path: str) -> bool:
    """Whether pytest would collect this file by its name."""
    name = path.rpartition("/")[2]
    return name.endswith("_test.py") or (name.startswith("test_") and name.endswith(".py"))


def steers_tests(path: str) -> bool:
    """Whether this file can change what a test run reports, as compiled code can unseen."""
    name = path.rpartition("/")[2]
    return name in _STEERING_NAMES or name.endswith((".pth", ".pyc"))


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
        self._folder = Path(tempfile.mkdtemp(prefix="rung-work-"))
        try:
            names = await _list_files(self.root)
            await self._in_thread(self._take_snapshot, self._folder / "base", names)
        except BaseException:
            await remove_tree(self._folder)
            raise
        return self

    async def _in_thread(self, work: Callable[..., None], *arguments: object) -> None:
        """Run a copy off the event loop. A cancelled one is told to stop and then waited for."""
        copying = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
        try:
            await asyncio.shield(copying)
        except asyncio.CancelledError:
            self._stop.set()
            await finished(copying)
            raise

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
            await self._in_thread(self._fill, scratch, dict(files), tuple(tests))
            yield scratch
        finally:
            await remove_tree(scratch)

    def _take_snapshot(self, base: Path, names: list[str]) -> None:
        entries = _copyable(self.root, names)
        total_bytes = sum(_size_bytes(self.root / name) for name in entries)
        if total_bytes > self._most_bytes or len(entries) > self._most_files:
            raise UsageError(
                f"{self.root} holds more than {self._most_bytes / 1e6:g} MB or "
                f"{self._most_files:,} files, too much to copy for each check. Run Rung in the "
                "part of the project that the task is about, or have Git ignore what is large."
            )
        base.mkdir()
        try:
            _copy_entries(self.root, base, entries, self._stop)
        except PermissionError as error:
            raise UsageError(
                f"cannot copy {error.filename}: it is not readable. Let Git ignore it."
            ) from error

    def _fill(self, scratch: Path, files: dict[str, str], tests: tuple[str, ...]) -> None:
        base = scratch.parent / "base"
        files_of_base = (path for path in entries_below(base) if _is_file_or_link(path))
        names = [path.relative_to(base).as_posix() for path in files_of_base]
        _copy_entries(base, scratch, names, self._stop)
        lay_over(scratch, without_tests_of(base, files, tests))


def without_tests_of(base: Path, files: Mapping[str, str], tests: Iterable[str]) -> dict[str, str]:
    """`files` but those tests that the project has itself in one of the paths `tests`."""

    def is_theirs(name: str) -> bool:
        above = any(name == path or name.startswith(f"{path.rstrip('/')}/") for path in tests)
        return above and (name in tests or is_test(name)) and (base / name).exists()

    return {name: text for name, text in files.items() if not is_theirs(name)}


def lay_over(folder: Path, files: Mapping[str, str]) -> None:
    """Write a candidate's files. Raises UnsafePathError, also if a folder is in a file's place."""
    targets = {safe_path(folder, name): text for name, text in files.items()}
    for path, text in targets.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)  # a link is replaced, not written through
            path.write_bytes(text.encode("utf-8", "replace"))
        except (FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
            name = path.relative_to(folder)
            raise UnsafePathError(f"cannot write {name}: {error.strerror}") from error


def restore_from(base: Path, folder: Path, names: Iterable[str]) -> None:
    """Put back the project's own content of these files and folders; anything else in them goes.

    What the project does not have stays as it is: a test that the candidate was asked to write.
    """
    for name in names:
        source, target = base / name, folder / name
        if not source.exists() or not source.resolve().is_relative_to(base.resolve()):
            continue
        _clear_the_way(folder, target)
        if source.is_dir():
            names_below = _project_files(source)
            target.mkdir()
            _copy_entries(source, target, _copyable(source, names_below))
        else:
            shutil.copy2(source, target)


def restore_steering_files(base: Path, folder: Path, keep: Collection[str]) -> None:
    """Have the project's own conftest.py, pytest.ini and the like, and no others but `keep`.

    `keep` are the files that the candidate was asked for.
    """
    theirs = _steering_files(entries_below(folder), folder)
    ours = _steering_files(entries_below(base, _NEVER_COPIED), base)
    restore_from(base, folder, sorted(ours - set(keep)))
    for name in theirs - ours - set(keep):
        (folder / name).unlink(missing_ok=True)


def _steering_files(entries: Iterable[Path], folder: Path) -> set[str]:
    names = (path.relative_to(folder).as_posix() for path in entries if not path.is_dir())
    return {name for name in names if steers_tests(name)}


def _clear_the_way(folder: Path, target: Path) -> None:
    """Make `target` free to be written, without following links that hostile code may have left."""
    for parent in [*reversed(target.relative_to(folder).parents)][1:]:
        step = folder / parent
        if step.is_symlink() or (step.exists() and not step.is_dir()):
            step.unlink()
        step.mkdir(exist_ok=True)
    if target.is_dir() and not target.is_symlink():
        remove_tree_now(target)
    else:
        target.unlink(missing_ok=True)


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
    return await asyncio.to_thread(_project_files, root)


def _project_files(root: Path) -> list[str]:
    entries = entries_below(root, _NEVER_COPIED)
    return sorted(
        path.relative_to(root).as_posix() for path in entries if path.is_symlink() or path.is_file()
    )


def _copyable(root: Path, names: Iterable[str]) -> list[str]:
    """The files, and the links that stay inside; no sockets or pipes, no links that lead out."""
    found: list[str] = []
    for name in names:
        source = root / name
        # Neither holds for what is deleted but still tracked, nor for a submodule's folder.
        if not _is_file_or_link(source):
            continue
        with contextlib.suppress(OSError, RuntimeError):  # a loop of links
            if source.resolve().is_relative_to(root.resolve()):
                found.append(name)
    return found


def _is_file_or_link(path: Path) -> bool:
    return path.is_symlink() or path.is_file()


def _size_bytes(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0


def _copy_entries(
    root: Path, target_root: Path, names: Iterable[str], stop: threading.Event | None = None
) -> None:
    """Copy what is still there, until `stop` is set: a thread cannot be cancelled."""
    for name in names:
        if stop is not None and stop.is_set():
            return
        source, target = root / name, target_root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            target.symlink_to(os.path.relpath(source.resolve(), source.parent.resolve()))
        else:
            with contextlib.suppress(FileNotFoundError):
                shutil.copy2(source, target)
