"""Leases of models on servers that load with options of their own: vLLM and llama-server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rung.chat import LoadOptions
from rung.config.settings import Settings
from rung.engines.build import build_engine
from rung.models.lifecycle.manager import ModelManager
from rung.models.measured import Measurements
from tests.engines.calls import ask, failure_of
from tests.fakes.llamacpp import Router
from tests.fakes.server import MODEL, FakeServer
from tests.fakes.vllm import Vllm


@asynccontextmanager
async def managing(folder: Path) -> AsyncIterator[ModelManager]:
    manager = ModelManager(
        Settings(), Measurements(folder), footprint=lambda *_: None, record=lambda _: None
    )
    try:
        yield manager
    finally:
        await manager.close()


@pytest.mark.parametrize("kind", ["vllm", "llamacpp"])
async def test_a_wish_for_another_window_does_not_unload_what_cannot_have_it(
    tmp_path: Path, kind: str
) -> None:
    async with FakeServer(kind, ["hi"]) as server, managing(tmp_path) as manager:
        if kind == "vllm":
            Vllm(server, is_dev=False)
        async with build_engine("box", server.settings()) as engine:
            for window in (1024, 2048):
                wanted = LoadOptions(context_tokens=window)
                async with manager.lease(engine, MODEL, wanted) as lease:
                    assert (await engine.complete(ask())).text == "hi"
                    assert lease.loaded is not None
                    assert (lease.loaded.context_tokens or 0) > window
            assert (await failure_of(manager.unload(engine, MODEL))).kind == "bad_request"
            async with manager.lease(engine, MODEL, LoadOptions()):
                assert (await engine.complete(ask())).text == "hi"


async def test_a_sleeping_vllm_is_woken_by_a_lease(tmp_path: Path) -> None:
    async with FakeServer("vllm", ["hi"]) as server, managing(tmp_path) as manager:
        state = Vllm(server)
        async with build_engine("box", server.settings()) as engine:
            assert await manager.unload(engine, MODEL)
            assert state.is_sleeping
            async with manager.lease(engine, MODEL, LoadOptions()):
                assert (await engine.complete(ask())).text == "hi"
                assert not state.is_sleeping


async def test_callers_of_two_models_share_a_router(tmp_path: Path) -> None:
    async with FakeServer("llamacpp", ["hi"]) as server, managing(tmp_path) as manager:
        router = Router(server, ["one", "two"], max_loaded=2)
        async with build_engine("box", server.settings()) as engine:

            async def call(model: str) -> str:
                async with manager.lease(engine, model, LoadOptions(context_tokens=1024)):
                    return (await engine.complete(ask(model=model))).text

            answers = await asyncio.gather(*(call(model) for model in ["one", "two"] * 4))
            assert answers == ["hi"] * 8
            assert [order for order, _ in router.orders].count("load") >= 2
            assert "autoload" not in {order for order, _ in router.orders}
            await manager.unload(engine, "one")
            assert "one" not in router.loaded
