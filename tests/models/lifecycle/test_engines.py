"""The manager over the adapters of other engines, against servers that keep state."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rung.chat import ChatRequest, LoadOptions, Message
from rung.config.settings import MemorySettings, Settings
from rung.engines.base import Engine
from rung.engines.build import build_engine
from rung.models.lifecycle.claims import Claims
from rung.models.lifecycle.manager import ModelManager
from rung.models.measured import Measurements
from tests.engines.calls import failure_of
from tests.fakes.lmstudio import LMStudio, on_disk
from tests.fakes.ollama import Ollama
from tests.fakes.server import FakeServer

ANY = LoadOptions()
GB = 1_000_000_000


@asynccontextmanager
async def manager_of(folder: Path, *engines: Engine) -> AsyncIterator[ModelManager]:
    """A manager with 10 GB for models that are expected to take 6 GB each."""
    manager = ModelManager(
        Settings(data_dir=folder, memory=MemorySettings(budget_gib=10 * GB / (1 << 30))),
        Measurements(folder),
        footprint=lambda _engine, _model, _options: 6 * GB,
        record=lambda _row: None,
        engines=engines,
        claims=Claims(folder),
    )
    try:
        yield manager
    finally:
        await manager.close()
        for engine in engines:
            await engine.close()


async def ask(manager: ModelManager, engine: Engine, model: str, options: LoadOptions = ANY) -> str:
    request = ChatRequest(model=model, messages=(Message(role="user", content="hi"),))
    async with manager.lease(engine, model, options):
        return (await engine.complete(request)).text


async def test_lm_studio_and_ollama_share_one_memory(tmp_path: Path) -> None:
    async with FakeServer("lmstudio", ["hello"]) as one, FakeServer("ollama", ["hi"]) as other:
        sizes = [on_disk(key, size_bytes=6 * GB) for key in ("a", "b")]
        studio, ollama = LMStudio(one, models=sizes, jit=False), Ollama(other)
        ollama.loaded.clear()
        [name, *_] = ollama.models
        lm = build_engine("lm", one.settings())
        box = build_engine("box", other.settings())
        async with manager_of(tmp_path, lm, box) as manager:
            assert await ask(manager, lm, "a") == "hello"
            assert list(studio.instances) == ["a"]
            assert await ask(manager, lm, "b") == "hello"
            assert list(studio.instances) == ["b"]
            assert await ask(manager, box, name) == "hi"
            assert (studio.instances, list(ollama.loaded)) == ({}, [name])
            assert await ask(manager, lm, "a") == "hello"
            assert (list(studio.instances), list(ollama.loaded)) == (["a"], [name]), (
                "Ollama said that it takes less than was expected: both fit"
            )


async def test_what_the_user_loaded_in_lm_studio_is_used_and_left_alone(tmp_path: Path) -> None:
    async with FakeServer("lmstudio", ["hello"]) as server:
        sizes = [on_disk(key, size_bytes=6 * GB) for key in ("a", "b")]
        studio = LMStudio(server, models=sizes, jit=False)
        studio.load("a", 8192)
        lm = build_engine("lm", server.settings())
        async with manager_of(tmp_path, lm) as manager:
            assert await ask(manager, lm, "a") == "hello"
            error = await failure_of(ask(manager, lm, "b"))
            assert (error.kind, "lm/a" in error.message) == ("out_of_memory", True)
            assert list(studio.instances) == ["a"]
            assert await manager.unload(lm, "a")
            assert await ask(manager, lm, "b") == "hello"


async def test_a_model_that_the_user_unloaded_in_lm_studio_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rung.models.lifecycle.looking.FRESH_S", 0.0)
    async with FakeServer("lmstudio", ["hello"]) as server:
        studio = LMStudio(server, models=[on_disk("a")], jit=False)
        lm = build_engine("lm", server.settings())
        async with manager_of(tmp_path, lm) as manager:
            assert await ask(manager, lm, "a") == "hello"
            studio.unload_all()
            assert await ask(manager, lm, "a") == "hello"


async def test_an_lm_studio_that_cannot_load_by_its_api_still_answers(tmp_path: Path) -> None:
    async with FakeServer("lmstudio", ["hello"]) as server:
        LMStudio(server, models=[on_disk("a")], version="0.3")
        lm = build_engine("lm", server.settings())
        async with manager_of(tmp_path, lm) as manager:
            assert await ask(manager, lm, "a") == "hello"
            assert await ask(manager, lm, "a") == "hello"


@pytest.mark.parametrize("kind", ["llamacpp", "vllm"])
async def test_a_server_of_one_model_is_always_ready(tmp_path: Path, kind: str) -> None:
    async with FakeServer(kind, ["hello"]) as server:
        engine = build_engine("one", server.settings())
        [model] = [model.id for model in await engine.list_models()][:1]
        async with manager_of(tmp_path, engine) as manager:
            assert await ask(manager, engine, model) == "hello"
            assert await ask(manager, engine, model) == "hello"


async def test_ollama_gets_back_what_calls_needed_and_keeps_what_was_asked_for(
    tmp_path: Path,
) -> None:
    async with FakeServer("ollama", ["hi"]) as server:
        ollama = Ollama(server)
        ollama.loaded.clear()
        [name, *_] = ollama.models
        for is_explicit, kept in ((False, 300), (True, -1), (False, -1)):
            box = build_engine("box", server.settings())
            async with manager_of(tmp_path, box) as manager:
                if is_explicit:
                    await manager.load(box, name, ANY)
                else:
                    assert await ask(manager, box, name) == "hi"
            assert ollama.loaded[name].keep_alive == kept
        assert ollama.loads == 1
