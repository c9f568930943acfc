"""Jobs: what becomes of a download when it is stopped, shared, damaged or asked for again."""

from __future__ import annotations

import asyncio
import errno
import hashlib
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rung.chat import DownloadProgress
from rung.config.settings import EngineSettings
from rung.engines.openai_compatible import OpenAICompatibleEngine
from rung.errors import EngineError, LedgerError, ModelError
from rung.ledger.rows import AuditRow, DownloadRow, InstallRow, now
from rung.models.downloads import Downloads, Job
from rung.models.downloads.folder import JobFolder
from rung.models.downloads.job import new_job, this_process
from rung.models.file_source import describe_file
from rung.models.store import ModelStore
from rung.models.transfer import Patience
from tests.fakes.hub import COMMIT, FakeHub, Fault
from tests.models.builders import files_below, gguf_bytes
from tests.models.hub import FILE, GGUF, MODEL, REPO, SOURCE
from tests.pulling import Rows, downloads

HALF = len(GGUF) // 2
DONE = [MODEL, f"{MODEL}/model.json", f"{MODEL}/{MODEL}.gguf"]


@pytest.fixture
def ours(store: ModelStore, hub: FakeHub) -> Downloads:
    return downloads(store, hub.url)


@pytest.fixture
def others(store: ModelStore, hub: FakeHub) -> Downloads:
    """Downloads of another process, as far as the disk can tell."""
    return downloads(store, hub.url)


async def stalled_pull(ours: Downloads, hub: FakeHub) -> asyncio.Task[Job]:
    """A pull that has got half of the file and waits for the rest."""
    hub.faults = [Fault(stall_after=HALF)]
    has_half = asyncio.Event()

    def on_update(job: Job) -> None:
        if job.done_bytes == HALF:
            has_half.set()

    task = asyncio.create_task(ours.pull(SOURCE, on_update))
    async with asyncio.timeout(30):
        await has_half.wait()
    return task


async def paused(ours: Downloads, hub: FakeHub) -> Job:
    """A download that was stopped in its middle, as Ctrl-C does."""
    task = await stalled_pull(ours, hub)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    hub.gate.set()
    (job,) = await ours.list()
    return job


async def test_a_model_of_the_hub_is_installed_verified_and_on_record(
    store: ModelStore, hub: FakeHub
) -> None:
    rows = Rows()
    seen: list[Job] = []
    job = await downloads(store, hub.url, history=rows).pull(SOURCE, seen.append)
    assert (job.state, job.model, job.path) == ("done", MODEL, str(store.path(MODEL)))
    assert store.path(MODEL).read_bytes() == GGUF
    assert files_below(store.models_dir) == DONE
    assert list(dict.fromkeys(update.phase for update in seen)) == [
        "downloading",
        "verifying",
        "done",
    ]
    states = [row.state for row in rows.of(DownloadRow)]
    assert (states[0], states[-1]) == ("running", "done")
    (audit,) = rows.of(AuditRow)
    assert (audit.kind, audit.details["state"]) == ("model.download", "done")
    (installed,) = rows.of(InstallRow)
    assert installed.source == f"hf:{REPO}/{FILE}@{COMMIT}"
    assert installed.sha256 == hashlib.sha256(GGUF).hexdigest()


async def test_progress_never_falls_within_a_phase(ours: Downloads, hub: FakeHub) -> None:
    hub.faults = [Fault(drop_after=HALF), Fault(ignores_range=True)]
    seen: list[Job] = []
    await ours.pull(SOURCE, seen.append)
    counts = [job.done_bytes for job in seen if job.phase == "downloading"]
    assert counts == sorted(counts)
    assert counts[-1] == len(GGUF)


async def test_what_was_stopped_is_paused_and_resumed_from_its_bytes(
    ours: Downloads, store: ModelStore, hub: FakeHub
) -> None:
    job = await paused(ours, hub)
    assert (job.state, job.model) == ("paused", MODEL)
    assert job.done_bytes == HALF
    done = await ours.resume(job.id)
    assert (done.state, done.id) == ("done", job.id)
    assert store.path(MODEL).read_bytes() == GGUF
    assert hub.cdn[1].range == f"bytes={HALF}-"
    assert hub.sent_bytes == len(GGUF)
    assert files_below(store.models_dir) == DONE


@pytest.mark.parametrize("again", [SOURCE, MODEL], ids=["source", "id"])
async def test_pulling_again_goes_on_with_the_same_job(
    again: str, ours: Downloads, hub: FakeHub
) -> None:
    job = await paused(ours, hub)
    assert (await ours.pull(again)).id == job.id
    assert hub.sent_bytes == len(GGUF)


async def test_another_process_pauses_and_the_owner_hears_how_to_go_on(
    ours: Downloads, others: Downloads, hub: FakeHub
) -> None:
    task = await stalled_pull(ours, hub)
    job = await others.pause(MODEL)
    assert (job.state, job.paused_by) == ("paused", "request")
    with pytest.raises(ModelError, match=f"rung models resume {job.id}"):
        await task
    hub.gate.set()
    assert (await others.resume(job.id)).state == "done"
    assert hub.sent_bytes == len(GGUF)


async def test_another_process_cancels_and_the_bytes_are_gone(
    ours: Downloads, others: Downloads, store: ModelStore, hub: FakeHub
) -> None:
    task = await stalled_pull(ours, hub)
    assert (await others.cancel(MODEL)).state == "cancelled"
    with pytest.raises(ModelError, match="was cancelled"):
        await task
    assert sum(path.stat().st_size for path in store.models_dir.rglob("weights*")) == 0
    hub.gate.set()
    with pytest.raises(ModelError, match="no unfinished download"):
        await others.resume(MODEL)
    await others.pull(SOURCE)
    assert files_below(store.models_dir) == DONE


async def test_a_paused_download_is_cancelled_without_a_trace(
    ours: Downloads, store: ModelStore, hub: FakeHub
) -> None:
    job = await paused(ours, hub)
    assert (await ours.cancel(job.id)).state == "cancelled"
    assert files_below(store.models_dir) == []


async def test_two_that_want_one_model_fetch_it_once_and_both_see_it_come(
    ours: Downloads, others: Downloads, hub: FakeHub
) -> None:
    first = await stalled_pull(ours, hub)
    seen: list[Job] = []
    second = asyncio.create_task(others.pull(SOURCE, seen.append))
    async with asyncio.timeout(20):
        while not seen or seen[-1].done_bytes < HALF:
            await asyncio.sleep(0.01)
    hub.gate.set()
    one, other = await asyncio.gather(first, second)
    assert one.path == other.path
    assert len([asked for asked in hub.cdn if not asked.range]) == 1


@pytest.mark.parametrize("order", ["pause", "cancel"])
async def test_what_a_person_stopped_is_not_begun_again_by_one_who_waited(
    order: str, ours: Downloads, others: Downloads, store: ModelStore, hub: FakeHub
) -> None:
    first = await stalled_pull(ours, hub)
    seen: list[Job] = []
    second = asyncio.create_task(others.pull(SOURCE, seen.append))
    async with asyncio.timeout(20):
        while not seen:
            await asyncio.sleep(0.01)
    await getattr(downloads(store, hub.url), order)(MODEL)
    results = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(result).__name__ for result in results] == ["StoppedError", "StoppedError"]
    assert len(hub.cdn) == 1


async def test_one_that_waited_goes_on_where_one_that_left_stopped(
    ours: Downloads, others: Downloads, hub: FakeHub
) -> None:
    first = await stalled_pull(ours, hub)
    seen: list[Job] = []
    second = asyncio.create_task(others.pull(SOURCE, seen.append))
    async with asyncio.timeout(20):
        while not seen:
            await asyncio.sleep(0.01)
    first.cancel()
    hub.gate.set()
    assert (await second).state == "done"
    assert hub.sent_bytes == len(GGUF)


async def test_wrong_bytes_are_deleted_and_the_job_has_failed(
    store: ModelStore, hub: FakeHub
) -> None:
    rows = Rows()
    ours = downloads(store, hub.url, history=rows)
    hub.faults = [Fault(wrong_bytes=True)]
    with pytest.raises(ModelError, match=r"expected .*nothing was installed"):
        await ours.pull(SOURCE)
    (job,) = await ours.list()
    assert job.state == "failed"
    assert "SHA-256" in job.error
    assert files_below(store.models_dir) == [f".{MODEL}.part", f".{MODEL}.part/job.json"]
    assert rows.of(AuditRow)[-1].details["state"] == "failed"
    assert (await ours.pull(SOURCE)).state == "done"
    assert files_below(store.models_dir) == DONE


async def test_kept_bytes_that_turn_out_wrong_are_fetched_anew_once(
    ours: Downloads, store: ModelStore, hub: FakeHub
) -> None:
    await paused(ours, hub)
    partial = store.work_folder(MODEL) / "weights.partial"
    partial.write_bytes(bytes(partial.stat().st_size))
    assert (await ours.pull(SOURCE)).state == "done"
    assert store.path(MODEL).read_bytes() == GGUF


async def test_bytes_of_an_older_version_are_not_gone_on_from(
    ours: Downloads, store: ModelStore, hub: FakeHub
) -> None:
    await paused(ours, hub)
    newer = gguf_bytes(seed=1)
    hub.repos[REPO][FILE] = newer
    assert (await ours.pull(SOURCE)).state == "done"
    assert store.path(MODEL).read_bytes() == newer
    assert hub.cdn[-1].range == ""


async def test_a_truncated_model_of_the_hub_is_not_installed(
    ours: Downloads, store: ModelStore, hub: FakeHub
) -> None:
    hub.repos[REPO][FILE] = GGUF[:-1]
    with pytest.raises(ModelError, match="truncated"):
        await ours.pull(SOURCE)
    assert files_below(store.models_dir) == [f".{MODEL}.part", f".{MODEL}.part/job.json"]


@pytest.mark.parametrize("damage", ["gone", "changed"])
async def test_a_damaged_model_of_the_hub_is_repaired_by_its_id(
    damage: str, ours: Downloads, store: ModelStore, hub: FakeHub
) -> None:
    await ours.pull(SOURCE)
    if damage == "gone":
        store.path(MODEL).unlink()
    else:
        store.path(MODEL).write_bytes(bytes(len(GGUF)))
        with pytest.raises(ModelError, match=f"repair it with `rung models pull {MODEL}`"):
            await store.verify(MODEL)
    assert (await ours.pull(MODEL, verify=True)).state == "done"
    assert store.path(MODEL).read_bytes() == GGUF


async def test_a_name_that_another_model_has_is_refused(
    ours: Downloads, store: ModelStore, hub: FakeHub, tmp_path: Path
) -> None:
    mine = tmp_path / f"{MODEL}.gguf"
    mine.write_bytes(gguf_bytes(values=64))
    await ours.pull(str(mine))
    with pytest.raises(ModelError, match=r"already the name of file .* --id NAME"):
        await ours.pull(SOURCE)
    assert (await ours.pull(SOURCE, model_id="other")).model == "other"
    assert [model.id for model in store.list()] == ["other", MODEL]


async def test_neither_repair_nor_removal_changes_the_file_it_was_linked_from(
    ours: Downloads, store: ModelStore, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.gguf"
    content = gguf_bytes(values=64)
    mine.write_bytes(content)
    await ours.pull(str(mine))
    store.path("mine").unlink()
    store.work_folder("mine").mkdir()
    await ours.pull(str(mine))
    assert mine.read_bytes() == content
    await ours.remove("mine")
    assert mine.read_bytes() == content
    assert files_below(store.models_dir) == []


async def test_removal_is_on_record(store: ModelStore, tmp_path: Path) -> None:
    rows = Rows()
    ours = downloads(store, history=rows)
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(gguf_bytes(values=64))
    await ours.pull(str(mine))
    await ours.remove("mine")
    assert rows.of(AuditRow)[-1].kind == "model.remove"
    assert [row.removed_at is None for row in rows.of(InstallRow)] == [True, False]


async def test_the_token_is_in_no_row_and_no_file(store: ModelStore, hub: FakeHub) -> None:
    hub.token = "hf_secret"
    rows = Rows()
    ours = downloads(store, hub.url, token="hf_secret", history=rows)
    hub.faults = [Fault(status=404)]
    with pytest.raises(ModelError) as failure:
        await ours.pull(SOURCE)
    written = [path.read_bytes() for path in store.models_dir.rglob("*") if path.is_file()]
    everything = repr((rows.rows, written, str(failure.value), await ours.list()))
    assert "secret" not in everything
    assert (await ours.pull(SOURCE)).state == "done"


async def test_a_background_download_is_watched_to_its_end(ours: Downloads, hub: FakeHub) -> None:
    hub.bytes_per_s = 10_000_000
    job = await ours.start(SOURCE)
    seen = [update async for update in ours.watch(job.id)]
    assert seen[-1].state == "done"
    assert {update.id for update in seen} == {job.id}
    assert (await ours.start(SOURCE)).model == MODEL
    await ours.close()


async def test_a_background_download_that_fails_says_why(ours: Downloads, hub: FakeHub) -> None:
    hub.faults = [Fault(wrong_bytes=True)]
    job = await ours.start(SOURCE)
    seen = [update async for update in ours.watch(job.id)]
    assert seen[-1].state == "failed"
    assert "SHA-256" in seen[-1].error


async def test_closing_pauses_what_runs_in_the_background(
    ours: Downloads, others: Downloads, hub: FakeHub
) -> None:
    hub.faults = [Fault(stall_after=HALF)]
    await ours.start(SOURCE)
    assert await asyncio.to_thread(hub.stalled.wait, 30)
    await ours.close()
    (job,) = await others.list()
    assert job.state == "paused"


async def test_another_process_can_watch(ours: Downloads, others: Downloads, hub: FakeHub) -> None:
    task = await stalled_pull(ours, hub)

    async def watched() -> list[str]:
        return [job.state async for job in others.watch(MODEL)]

    watching = asyncio.create_task(watched())
    hub.gate.set()
    await task
    assert (await watching)[-1] == "done"


async def test_a_job_without_an_owner_is_interrupted_and_can_be_paused(
    ours: Downloads, store: ModelStore, hub: FakeHub
) -> None:
    job = await paused(ours, hub)
    folder = JobFolder(store, MODEL)
    folder.write(msgspec.structs.replace(job, state="running"))
    (seen,) = await ours.list()
    assert seen.state == "interrupted"
    assert (await ours.pause(MODEL)).state == "paused"
    assert (await ours.resume(MODEL)).state == "done"


async def test_an_unknown_job_is_an_error_that_says_where_to_look(ours: Downloads) -> None:
    for act in (ours.pause, ours.resume, ours.cancel):
        with pytest.raises(ModelError, match="rung models downloads"):
            await act("nothing")


class PullingEngine(OpenAICompatibleEngine):
    """An engine whose own download does what a test says."""

    can_download = True

    def __init__(self) -> None:
        super().__init__("puller", EngineSettings(base_url="http://127.0.0.1:9/v1"))
        self.gate = asyncio.Event()
        self.asked: list[str] = []
        self.closed = 0
        self.error: EngineError | None = None

    async def download(self, model: str) -> AsyncGenerator[DownloadProgress, None]:
        self.asked.append(model)
        try:
            yield DownloadProgress(done_bytes=0, total_bytes=None, status="manifest")
            yield DownloadProgress(done_bytes=40, total_bytes=100)
            yield DownloadProgress(done_bytes=30, total_bytes=100)
            await self.gate.wait()
            if self.error:
                raise self.error
            yield DownloadProgress(done_bytes=100, total_bytes=100)
        finally:
            self.closed += 1


async def test_an_engines_own_download_is_a_job_like_any_other(store: ModelStore) -> None:
    engine = PullingEngine()
    ours, others = (downloads(store, engine=engine) for _ in range(2))
    seen: list[Job] = []
    task = asyncio.create_task(ours.pull("puller/org/model:8b", seen.append))
    async with asyncio.timeout(20):
        while not seen or seen[-1].done_bytes < 40:
            await asyncio.sleep(0.01)
    (job,) = await others.list()
    assert (job.model, job.state, job.source) == ("puller/org/model:8b", "running", "engine puller")
    await others.pause("puller/org/model:8b")
    with pytest.raises(ModelError, match="is paused"):
        await task
    assert engine.closed == 1
    engine.gate.set()
    assert (await others.resume(job.id)).state == "done"
    assert engine.asked == ["org/model:8b"] * 2
    assert [update.done_bytes for update in seen] == sorted(update.done_bytes for update in seen)
    assert files_below(store.models_dir) == []


async def test_an_engines_download_that_stands_still_fails_and_says_so(store: ModelStore) -> None:
    engine = PullingEngine()
    patience = Patience(engine_stall_s=0.3)
    ours = downloads(store, engine=engine, patience=patience)
    with pytest.raises(EngineError, match="puller's download of org/model stands still") as failure:
        await ours.pull("puller/org/model")
    assert (failure.value.kind, engine.closed) == ("timeout", 1)
    (job,) = await ours.list()
    assert job.state == "failed"


async def test_an_engine_that_reads_all_bytes_once_more_is_given_time_for_it(
    store: ModelStore,
) -> None:
    class Checking(PullingEngine):
        async def download(self, model: str) -> AsyncGenerator[DownloadProgress, None]:
            yield DownloadProgress(done_bytes=100, total_bytes=100)
            await asyncio.sleep(0.6)
            yield DownloadProgress(done_bytes=100, total_bytes=100, status=model)

    ours = downloads(store, engine=Checking(), patience=Patience(engine_stall_s=0.2))
    assert (await ours.pull("puller/org/model")).state == "done"


async def test_an_engines_failure_is_the_jobs(store: ModelStore) -> None:
    engine = PullingEngine()
    engine.gate.set()
    engine.error = EngineError("model_missing", "pull model manifest: 404", engine="puller")
    ours = downloads(store, engine=engine)
    with pytest.raises(EngineError, match="manifest: 404"):
        await ours.pull("puller/nothing")
    (job,) = await ours.list()
    assert (job.state, "404" in job.error) == ("failed", True)


async def test_an_engine_that_downloads_nothing_says_so(store: ModelStore) -> None:
    engine = OpenAICompatibleEngine("plain", EngineSettings(base_url="http://127.0.0.1:9/v1"))
    with pytest.raises(ModelError, match="downloads no models by itself"):
        await downloads(store, engine=engine).pull("plain/model")
    assert files_below(store.models_dir.parent) == [] or not store.models_dir.exists()


def row(job_id: str, **fields: Any) -> DownloadRow:
    base = {
        "job_id": job_id,
        "model": "far",
        "source": "hf:o/r/f.gguf",
        "state": "running",
        "models_dir": "/elsewhere",
        "owner_host": "another-machine",
        "owner_pid": 1,
        "owner_since": now(),
    }
    return DownloadRow(**{**base, **fields})


async def test_the_list_has_what_the_disk_has_then_what_the_ledger_remembers(
    store: ModelStore, hub: FakeHub
) -> None:
    rows = Rows()
    ours = downloads(store, hub.url, history=rows)
    job = await paused(ours, hub)
    long_ago = now() - timedelta(minutes=5)
    rows.record(row("alive"))
    rows.record(row("silent", updated_at=long_ago))
    rows.record(row("resting", state="paused", updated_at=long_ago))
    rows.record(row("over", state="failed", error="no", updated_at=long_ago))
    here = this_process().host
    rows.record(row("lost", owner_host=here, models_dir=str(store.models_dir)))
    listed = [(item.id, item.state) for item in await ours.list()]
    assert listed[0] == (job.id, "paused")
    assert dict(listed) == {
        job.id: "paused",
        "alive": "running",
        "silent": "interrupted",
        "resting": "paused",
        "over": "failed",
        "lost": "interrupted",
    }
    assert len(await ours.list(2)) == 2


async def test_a_ledger_that_cannot_be_read_hides_nothing_of_the_disk(
    store: ModelStore, hub: FakeHub
) -> None:
    class Unreadable(Rows):
        async def downloads(self, limit: int = 50) -> list[DownloadRow]:
            raise LedgerError("the database does not answer")

    ours = downloads(store, hub.url, history=Unreadable())
    job = await paused(ours, hub)
    assert [item.id for item in await ours.list()] == [job.id]


async def test_news_that_a_power_cut_emptied_cost_nothing(
    ours: Downloads, store: ModelStore, hub: FakeHub
) -> None:
    job = await paused(ours, hub)
    folder = JobFolder(store, MODEL)
    folder.write(msgspec.structs.replace(job, state="running"))
    (folder.path / "news.json").write_bytes(b"")
    (seen,) = await ours.list()
    assert (seen.id, seen.state) == (job.id, "interrupted")
    assert (await ours.pull(SOURCE)).id == job.id
    assert hub.sent_bytes == len(GGUF)


async def test_a_new_commit_with_the_same_file_is_gone_on_with(
    ours: Downloads, store: ModelStore, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await paused(ours, hub)
    monkeypatch.setattr("tests.fakes.hub.COMMIT", "beef" + "0" * 36)
    done = await ours.pull(SOURCE)
    assert (done.id, hub.sent_bytes) == (job.id, len(GGUF))
    assert "@beef" in done.source
    assert "@beef" in str(getattr(store.find(MODEL), "source", ""))


async def test_another_model_of_that_name_never_costs_the_bytes_that_have_come(
    ours: Downloads, hub: FakeHub
) -> None:
    job = await paused(ours, hub)
    hub.repos["other/tiny-GGUF"] = {FILE: gguf_bytes(seed=1)}
    with pytest.raises(ModelError, match=rf"unfinished download of hf:{REPO}/.* --id NAME"):
        await ours.pull(f"hf:other/tiny-GGUF/{FILE}")
    assert (await ours.pull(f"hf:other/tiny-GGUF/{FILE}", model_id="other")).state == "done"
    sent = hub.sent_bytes
    assert (await ours.resume(job.id)).state == "done"
    assert hub.sent_bytes - sent == len(GGUF) - HALF


async def test_of_two_models_that_want_one_name_the_later_is_told_who_has_it(
    ours: Downloads, others: Downloads, store: ModelStore, hub: FakeHub, tmp_path: Path
) -> None:
    first = await stalled_pull(ours, hub)
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(gguf_bytes(values=64))
    with pytest.raises(ModelError, match="is the name of an unfinished download"):
        await others.pull(str(mine), model_id=MODEL)
    # As if it had looked before the first one began.
    entry = await describe_file(mine, MODEL)
    seen: list[Job] = []
    second = asyncio.create_task(others._run(new_job(entry), seen.append))
    async with asyncio.timeout(20):
        while not seen:
            await asyncio.sleep(0.01)
    hub.gate.set()
    assert (await first).state == "done"
    with pytest.raises(ModelError, match=rf"{MODEL} is already the name of hf:{REPO}"):
        await second
    assert store.path(MODEL).read_bytes() == GGUF


async def test_killed_while_installing_it_goes_on_without_fetching_again(
    ours: Downloads, store: ModelStore, hub: FakeHub
) -> None:
    job = await paused(ours, hub)
    await ours.pull(SOURCE)
    # The file is in its place and the manifest is not yet: where a kill leaves it.
    (store.models_dir / MODEL / "model.json").unlink()
    JobFolder(store, MODEL).write(msgspec.structs.replace(job, state="running"))
    asked = len(hub.cdn)
    assert (await ours.pull(SOURCE)).state == "done"
    assert len(hub.cdn) == asked
    assert store.path(MODEL).read_bytes() == GGUF
    assert files_below(store.models_dir) == DONE


@pytest.mark.parametrize("is_whole", [True, False])
async def test_what_stands_in_the_place_of_a_model_is_never_written_to(
    is_whole: bool, ours: Downloads, store: ModelStore, hub: FakeHub, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(bytes(len(GGUF) if is_whole else HALF))
    (store.models_dir / MODEL).mkdir(parents=True)
    (store.models_dir / MODEL / f"{MODEL}.gguf").hardlink_to(mine)
    assert (await ours.pull(SOURCE)).state == "done"
    assert store.path(MODEL).read_bytes() == GGUF
    assert not any(mine.read_bytes())


async def test_a_cancelled_download_leaves_nothing(
    ours: Downloads, others: Downloads, store: ModelStore, hub: FakeHub
) -> None:
    task = await stalled_pull(ours, hub)
    await others.cancel(MODEL)
    with pytest.raises(ModelError, match="was cancelled"):
        await task
    assert files_below(store.models_dir) == []


async def test_a_background_download_that_is_cancelled_says_so(
    ours: Downloads, others: Downloads, hub: FakeHub
) -> None:
    hub.faults = [Fault(stall_after=HALF)]
    job = await ours.start(SOURCE)
    assert await asyncio.to_thread(hub.stalled.wait, 30)
    await others.cancel(MODEL)
    seen = [update async for update in ours.watch(job.id)]
    assert (seen[-1].state, seen[-1].id) == ("cancelled", job.id)


async def test_while_a_connection_is_tried_again_the_job_says_why_nothing_comes(
    store: ModelStore, hub: FakeHub
) -> None:
    hub.faults = [Fault(drop_after=HALF), Fault(status=503, headers={"Retry-After": "1"})]
    patience = Patience(first_wait_s=0.01, longest_wait_s=0.5)
    seen: list[Job] = []
    await downloads(store, hub.url, patience=patience).pull(SOURCE, seen.append)
    problems = list(dict.fromkeys(job.problem for job in seen))
    assert any("the connection broke" in problem for problem in problems)
    assert any("answered 503; trying again in 1 s" in problem for problem in problems)
    assert (seen[-1].state, seen[-1].problem) == ("done", "")
    assert all(not job.problem for job in seen if job.phase == "verifying")


async def test_a_clock_that_is_set_back_does_not_hide_how_a_download_ended(
    store: ModelStore, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = Rows()
    ours = downloads(store, hub.url, history=rows)
    job = await paused(ours, hub)
    monkeypatch.setattr("rung.models.downloads.job.now", lambda: now() - timedelta(hours=1))
    await ours.resume(job.id)
    updates = [row.updated_at for row in rows.of(DownloadRow)]
    assert updates == sorted(updates)
    assert rows.of(DownloadRow)[-1].state == "done"


async def test_a_removal_keeps_the_time_of_the_installation_on_record(
    store: ModelStore, hub: FakeHub
) -> None:
    rows = Rows()
    ours = downloads(store, hub.url, history=rows)
    await ours.pull(SOURCE)
    await ours.remove(MODEL)
    installed, removed = rows.of(InstallRow)
    assert removed.installed_at == installed.installed_at < removed.removed_at
    assert removed.updated_at >= installed.updated_at


@pytest.mark.parametrize("act", ["pause", "cancel"])
async def test_orders_need_no_space_on_the_disk(
    act: str,
    ours: Downloads,
    others: Downloads,
    hub: FakeHub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    task = await stalled_pull(ours, hub)
    monkeypatch.setattr(Path, "write_text", full)
    monkeypatch.setattr(Path, "write_bytes", full)
    await getattr(others, act)(MODEL)
    with pytest.raises(ModelError, match=act):
        await task
