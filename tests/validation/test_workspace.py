"""Snapshots of the project and scratch copies for attempts."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rung.errors import UsageError
from rung.validation import UnsafePathError, Workspace, project_root
from rung.validation import temporary as temporary_folders
from tests.validation.conftest import write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    write(folder / "app" / "main.py", "print('base')\n")
    write(folder / "tests" / "test_main.py", "def test(): assert False\n")
    return folder


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where workspaces are made; empty again after every test."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(temporary_folders, "_root", folder)
    yield folder
    assert list(folder.iterdir()) == []


def names_in(folder: Path) -> list[str]:
    found = (path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())
    return sorted(path.relative_to(folder).as_posix() for path in found)


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True)


async def test_an_attempt_is_the_project_with_the_candidates_files(root: Path) -> None:
    async with Workspace(root) as workspace:
        files = {"app/main.py": "print('new')\n", "app/more/extra.py": "x = 1\n"}
        async with workspace.attempt(files) as scratch:
            assert (scratch / "app/main.py").read_text() == "print('new')\n"
            assert names_in(scratch) == ["app/main.py", "app/more/extra.py", "tests/test_main.py"]
        async with workspace.attempt({}) as scratch:
            assert (scratch / "app/main.py").read_text() == "print('base')\n"
    assert (root / "app/main.py").read_text() == "print('base')\n"


async def test_attempts_do_not_see_each_other(root: Path) -> None:
    async with (
        Workspace(root) as workspace,
        workspace.attempt({"a": "1"}) as one,
        workspace.attempt({"b": "2"}) as two,
    ):
        (one / "app/main.py").write_text("spoiled")
        assert (two / "app/main.py").read_text() == "print('base')\n"
        assert not (two / "a").exists()


async def test_the_projects_tests_keep_their_content(root: Path) -> None:
    files = {"tests/test_main.py": "def test(): pass\n", "tests/test_new.py": "", "app/main.py": ""}
    async with (
        Workspace(root) as workspace,
        workspace.attempt(files, tests=["tests"]) as scratch,
    ):
        assert "assert False" in (scratch / "tests/test_main.py").read_text()
        assert (scratch / "tests/test_new.py").exists()
        assert (scratch / "app/main.py").read_text() == ""


async def test_git_decides_what_belongs_to_a_project(root: Path) -> None:
    git(root, "init", "-q")
    write(root / ".gitignore", ".env\nbuild/\n")
    git(root, "add", ".")
    write(root / ".env", "SECRET=1")
    write(root / "build" / "out.bin", "x")
    write(root / "new.py", "untracked\n")
    (root / "tests" / "test_main.py").unlink()
    async with Workspace(root) as workspace, workspace.attempt({}) as scratch:
        assert names_in(scratch) == [".gitignore", "app/main.py", "new.py"]


async def test_without_git_caches_and_environments_are_left_out(root: Path) -> None:
    for folder in (".venv/lib", "node_modules/x", "app/__pycache__", ".git", ".cache"):
        write(root / folder / "file", "x")
    async with Workspace(root) as workspace, workspace.attempt({}) as scratch:
        assert names_in(scratch) == ["app/main.py", "tests/test_main.py"]


async def test_links_are_copied_only_if_they_stay_inside(root: Path, tmp_path: Path) -> None:
    write(tmp_path / "secret", "the secret")
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "folder-out").symlink_to(tmp_path)
    (root / "loop").symlink_to("loop")
    (root / "absolute").symlink_to(root / "app" / "main.py")
    (root / "app" / "up").symlink_to("../tests")
    os.mkfifo(root / "pipe")
    async with Workspace(root) as workspace, workspace.attempt({}) as scratch:
        assert names_in(scratch) == [
            "absolute",
            "app/main.py",
            "app/up",
            "tests/test_main.py",
        ]
        assert (scratch / "absolute").resolve() == (scratch / "app/main.py").resolve()
        assert (scratch / "app/up/test_main.py").exists()


@pytest.mark.parametrize("limits", [{"most_bytes": 20}, {"most_files": 1}])
async def test_a_project_that_is_too_large_is_refused_with_advice(
    root: Path, limits: dict[str, int]
) -> None:
    with pytest.raises(UsageError, match="have Git ignore what is large"):
        async with Workspace(root, **limits):
            pass


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "app", "app/main.py/x", ".git/config"])
async def test_a_path_that_cannot_be_written_is_refused(root: Path, name: str) -> None:
    async with Workspace(root) as workspace:
        with pytest.raises(UnsafePathError):
            async with workspace.attempt({name: "x"}):
                pass


async def test_text_that_is_not_unicode_can_still_be_written(root: Path) -> None:
    async with Workspace(root) as workspace, workspace.attempt({"a": "x\ud800\x00"}) as scratch:
        assert (scratch / "a").read_bytes() == b"x?\x00"


async def test_cancelling_removes_every_copy(root: Path, temporary: Path) -> None:
    reached = asyncio.Event()

    async def work() -> None:
        async with Workspace(root) as workspace, workspace.attempt({}):
            reached.set()
            await asyncio.Event().wait()

    running = asyncio.create_task(work())
    await reached.wait()
    assert list(temporary.iterdir()) != []
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


def test_the_root_of_a_project_is_its_git_top_level(root: Path) -> None:
    assert project_root(root / "app") == root / "app"
    git(root, "init", "-q")
    assert project_root(root / "app") == root
    assert project_root(root / "app" / "main.py") == root


async def test_a_copy_that_is_cancelled_leaves_nothing_behind(root: Path, temporary: Path) -> None:
    for number in range(1_500):
        (root / f"{number}.txt").write_text("x")

    async def work() -> None:
        async with Workspace(root) as workspace, workspace.attempt({"a.py": "x"}):
            await asyncio.Event().wait()

    for turns in (0, 1, 5, 20, 80, 320):
        task = asyncio.create_task(work())
        for _ in range(turns):
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert list(temporary.iterdir()) == []
