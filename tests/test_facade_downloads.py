"""What a Python user or a server does with downloads: through `Rung`, on a real ledger."""

from __future__ import annotations

from pathlib import Path

import pytest

from rung.config.settings import EmbeddedSettings, HubSettings, Settings
from rung.errors import EngineError, ModelError, UsageError
from rung.facade import Rung
from rung.models.downloads import Job
from tests.fakes.hub import FakeHub
from tests.fakes.ollama import Ollama
from tests.fakes.server import FakeServer
from tests.models.hub import GGUF, MODEL, SOURCE, hub

__all__ = ["hub"]


@pytest.fixture
def settings(tmp_path: Path, hub: FakeHub) -> Settings:
    return Settings(
        discover=False,
        data_dir=tmp_path / "data",
        models_dir=tmp_path / "models",
        hub=HubSettings(url=hub.url),
        embedded=EmbeddedSettings(),
    )


async def test_a_pulled_model_is_listed_on_record_and_removed(settings: Settings) -> None:
    async with Rung(settings) as rung:
        job = await rung.pull(SOURCE)
        assert (job.state, job.model) == ("done", MODEL)
        assert rung.store.path(MODEL).read_bytes() == GGUF
        (row,) = await rung.ledger.downloads()
        assert (row.job_id, row.state, row.done_bytes) == (job.id, "done", len(GGUF))
        (installed,) = await rung.ledger.installs()
        assert (installed.model, installed.path) == (MODEL, job.path)
        assert [item.id for item in await rung.downloads.list()] == [job.id]
        await rung.downloads.remove(MODEL)
        assert await rung.ledger.installs() == []
        kinds = [event.kind for event in await rung.ledger.audit()]
        assert kinds == ["model.remove", "model.download"]


async def test_a_background_download_is_paused_when_rung_is_left(
    settings: Settings, hub: FakeHub
) -> None:
    hub.bytes_per_s = 1_000_000
    async with Rung(settings) as rung:
        job = await rung.downloads.start(SOURCE)
        async for update in rung.downloads.watch(job.id):
            if update.done_bytes:
                break
    hub.bytes_per_s = 0
    async with Rung(settings) as rung:
        (row,) = await rung.ledger.downloads()
        assert row.state == "paused"
        assert (await rung.downloads.resume(job.id)).state == "done"
        assert hub.cdn[-1].range


async def test_an_engine_that_is_not_there_is_named(settings: Settings) -> None:
    async with Rung(settings) as rung:
        with pytest.raises(UsageError, match="no engine 'nobody'"):
            await rung.pull("nobody/model")
        with pytest.raises(ModelError, match="no model"):
            await rung.pull("nothing")


async def test_a_model_of_ollama_is_pulled_by_ollama_and_broken_off_goes_on(tmp_path: Path) -> None:
    async with FakeServer("ollama") as server:
        pulls = Ollama(server).pulls
        pulls.registry["qwen3:4b"] = {"sha256:" + "a" * 64: 1000, "sha256:" + "b" * 64: 500}
        pulls.stop_after, pulls.then = 8, "fail"
        settings = Settings(
            discover=False,
            data_dir=tmp_path / "data",
            models_dir=tmp_path / "models",
            engines={"ollama": server.settings()},
        )
        async with Rung(settings) as rung:
            with pytest.raises(EngineError, match="max retries exceeded"):
                await rung.pull("ollama/qwen3:4b")
            (failed,) = await rung.downloads.list()
            assert failed.state == "failed"
            pulls.stop_after = None
            seen: list[Job] = []
            job = await rung.downloads.resume("ollama/qwen3:4b", seen.append)
            assert (job.id, job.state, job.done_bytes) == (failed.id, "done", 1500)
            assert pulls.sent_bytes == 1500
            counts = [update.done_bytes for update in seen]
            assert counts == sorted(counts)
            assert [item.state for item in await rung.downloads.list()] == ["done"]
