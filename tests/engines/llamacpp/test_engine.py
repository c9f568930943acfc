from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from rung.chat import DownloadProgress, LoadOptions, Message, Tool
from rung.engines.llamacpp.engine import LlamaServerEngine
from rung.errors import EngineErrorKind
from tests.engines.calls import ask, failure_of, until
from tests.fakes.llamacpp import Router
from tests.fakes.profiles import Route
from tests.fakes.server import MODEL, FakeServer, Reply, failure

OPTIONS = LoadOptions()
REPO = "acme/tiny-GGUF:Q4_K_M"


@asynccontextmanager
async def router(
    *models: str, script: Any = (), stall_timeout_s: float = 60.0, **behaviour: Any
) -> AsyncIterator[tuple[LlamaServerEngine, Router, FakeServer]]:
    async with FakeServer("llamacpp", script) as server:
        state = Router(server, models or ("one", "two"), **behaviour)
        settings = server.settings(stall_timeout_s=stall_timeout_s)
        async with LlamaServerEngine("box", settings) as engine:
            yield engine, state, server


@asynccontextmanager
async def single(
    script: Any = (), **parts: Any
) -> AsyncIterator[tuple[LlamaServerEngine, FakeServer]]:
    async with (
        FakeServer("llamacpp", script, **parts) as server,
        LlamaServerEngine("box", server.settings()) as engine,
    ):
        yield engine, server


async def download(engine: LlamaServerEngine, model: str = REPO) -> list[DownloadProgress]:
    return [progress async for progress in engine.download(model)]


# One model.
async def test_one_model_has_the_window_and_slots_of_props() -> None:
    async with single() as (engine, _):
        (loaded,) = await engine.loaded()
        (listed,) = await engine.list_models()
        assert await engine.load(MODEL, OPTIONS) == loaded
        error = await failure_of(engine.unload(MODEL))
        also = await failure_of(download(engine))
    assert (loaded.context_tokens, loaded.slots) == (4096, 1)
    assert (listed.context_tokens, listed.max_context_tokens) == (4096, 8192)
    assert (error.kind, "router mode" in error.message) == ("bad_request", True)
    assert also.kind == "bad_request"


async def test_a_server_without_props_still_tells_what_is_loaded() -> None:
    routes = {"/props": Route(content="Not Found", status=404)}
    async with single(routes=routes) as (engine, _):
        (loaded,) = await engine.loaded()
    assert (loaded.model, loaded.context_tokens, loaded.slots) == (MODEL, None, None)


async def test_while_it_loads_a_call_is_told_to_come_back() -> None:
    loading = {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}
    routes = {
        path: Route(content=loading, status=503)
        for path in ("/health", "/v1/models", "/props", "/apply-template")
    }
    async with FakeServer("llamacpp", [failure(503, loading)], routes=routes) as server:
        server.handlers.clear()
        async with LlamaServerEngine("box", server.settings()) as engine:
            error = await failure_of(engine.complete(ask()))
            health = await engine.health(MODEL)
            assert await engine.count_tokens(ask()) is None
    assert (error.kind, error.status) == ("model_not_loaded", 503)
    assert error.retry_after_s is not None
    assert (health.reachable.ok, health.listed.ok) == (True, False)


async def test_a_prompt_is_counted_with_the_servers_template() -> None:
    async with single() as (engine, _):
        # Two words, `user` before them and `assistant` after them.
        assert await engine.count_tokens(ask("one two")) == 4
        with_tools = await engine.count_tokens(ask("one two", tools=(Tool(name="look"),)))
        assert (with_tools or 0) > 4


async def test_a_server_that_answers_otherwise_does_not_count_to_nothing() -> None:
    async def shrug(*_: object) -> web.Response:
        return web.json_response({"something": "else"})

    async with single() as (engine, server):
        for route in ("/apply-template", "/tokenize"):
            server.handlers["POST", route] = shrug
        assert await engine.count_tokens(ask()) is None


async def test_a_picture_cannot_be_counted() -> None:
    picture = Message(role="user", content="look", images=("data:image/png;base64,AA==",))
    async with single() as (engine, server):
        assert await engine.count_tokens(ask(messages=(picture,))) is None
        assert server.calls == []


# Router mode.
async def test_a_router_loads_and_unloads() -> None:
    async with router() as (engine, state, _):
        assert await engine.loaded() == []
        loaded = await engine.load("one", OPTIONS)
        assert (loaded.model, loaded.context_tokens, loaded.slots) == ("one", 2048, 3)
        assert loaded.load_ms is not None
        assert [model.model for model in await engine.loaded()] == ["one"]
        listed = {model.id: model for model in await engine.list_models()}
        assert (listed["one"].is_loaded, listed["two"].is_loaded) == (True, False)
        assert (listed["one"].context_tokens, listed["two"].context_tokens) == (2048, None)
        await engine.unload("one")
        assert await engine.loaded() == []
        assert state.orders == [("load", "one"), ("unload", "one")]


@pytest.mark.parametrize("has_events", [True, False])
async def test_the_progress_of_a_load_is_told_where_the_router_has_events(
    has_events: bool,
) -> None:
    shares: list[float] = []
    async with router(steps=4, has_events=has_events) as (engine, _, _server):
        await engine.load("one", OPTIONS, shares.append)
    assert shares == sorted(shares)
    assert all(0 < share <= 1 for share in shares)
    assert bool(shares) == has_events


async def test_callers_who_want_the_same_model_share_one_load() -> None:
    async with router() as (engine, state, _):
        await asyncio.gather(*(engine.load("one", OPTIONS) for _ in range(5)))
        assert state.orders == [("load", "one")]
        await engine.load("one-alias", OPTIONS)
        assert state.orders == [("load", "one")]


async def test_a_model_whose_process_ends_is_not_loaded_and_says_how_it_ended() -> None:
    async with router(broken=["one"]) as (engine, _, _server):
        error = await failure_of(engine.load("one", OPTIONS))
        assert (error.kind, "exit code 1" in error.message) == ("model_not_loaded", True)
        assert await engine.loaded() == []


async def test_a_model_that_the_router_does_not_have_is_missing() -> None:
    async with router() as (engine, state, _):
        assert (await failure_of(engine.load("three", OPTIONS))).kind == "model_missing"
        await engine.unload("three")
        await engine.unload("two")
        assert state.orders == []


async def test_what_the_router_evicts_is_no_longer_loaded() -> None:
    async with router(max_loaded=1) as (engine, _, _server):
        await engine.load("one", OPTIONS)
        await engine.load("two", OPTIONS)
        assert [model.model for model in await engine.loaded()] == ["two"]


async def test_nothing_but_a_load_makes_the_router_load() -> None:
    async with router(script=["hi"]) as (engine, state, server):
        error = await failure_of(engine.complete(ask(model="one")))
        assert error.kind == "model_not_loaded"
        assert await engine.count_tokens(ask(model="one")) is None
        assert await engine.count_tokens(ask(model="three")) is None
        await engine.health("one", probe=True)
        await engine.list_models()
        assert state.orders == []
        await engine.load("one", OPTIONS)
        assert (await engine.complete(ask(model="one"))).text == "hi"
        assert await engine.count_tokens(ask("a b", model="one")) == 4
        assert (await failure_of(engine.complete(ask(model="three")))).kind == "model_missing"
        assert {call.query.get("autoload") for call in server.chats} == {"false"}


async def test_a_cancelled_load_leaves_no_listener_behind() -> None:
    async with router(is_stuck=True) as (engine, state, server):
        loading = asyncio.create_task(engine.load("one", OPTIONS))
        await until(lambda: bool(state.orders))
        loading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loading
        listening = [call for call in server.calls if call.path == "/models/sse"]
        await until(lambda: all(call.is_over.is_set() for call in listening))


@pytest.mark.parametrize("has_events", [True, False])
async def test_a_download_tells_its_bytes_to_the_end(
    has_events: bool,
) -> None:
    async with router(steps=4, has_events=has_events) as (engine, state, _):
        seen = await download(engine)
        assert state.state(REPO) == "unloaded"
        assert state.orders == [("download", REPO)]
        assert await download(engine) == []
        assert len(state.orders) == 1
    done = [progress.done_bytes for progress in seen]
    assert done == sorted(set(done))
    assert done[-1] >= 2000
    assert {progress.total_bytes for progress in seen if progress.done_bytes} == {4000}


async def test_closing_a_download_cancels_it() -> None:
    async with router(steps=1000) as (engine, state, _):
        async with aclosing(engine.download(REPO)) as chunks:
            await anext(chunks)
            assert state.state(REPO) == "downloading"
        assert state.orders == [("download", REPO), ("unload", REPO)]
        assert REPO not in state.models


async def test_a_download_that_is_lost_is_an_error() -> None:
    async with router(lost=[REPO]) as (engine, _, _server):
        error = await failure_of(download(engine))
        assert (error.kind, "log" in error.message) == ("server_error", True)


async def test_a_download_that_stands_still_is_given_up() -> None:
    async with router(is_stuck=True, stall_timeout_s=0.2) as (engine, state, _):
        assert (await failure_of(download(engine))).kind == "timeout"
        assert REPO not in state.models


async def test_a_name_that_the_hub_does_not_know_is_a_bad_request() -> None:
    async with router() as (engine, _, _server):
        error = await failure_of(download(engine, "nonsense"))
        assert (error.kind, "unable to download" in error.message) == ("bad_request", True)


async def test_a_router_that_goes_away_is_unreachable() -> None:
    async with router() as (engine, _, server):
        await server.stop()
        asked = (
            engine.load("one", OPTIONS),
            engine.unload("one"),
            engine.loaded(),
            download(engine),
            engine.count_tokens(ask()),
        )
        for work in asked:
            assert (await failure_of(work)).kind == "unreachable"


# What llama-server documents, as it writes it.
def refusal(status: int, message: str, error_type: str) -> Reply:
    return failure(status, {"error": {"code": status, "message": message, "type": error_type}})


TOO_LONG = "request (600 tokens) exceeds the available context size (512 tokens), try increasing it"
REFUSALS: list[tuple[Reply, EngineErrorKind]] = [
    (refusal(400, '"messages" is required', "invalid_request_error"), "bad_request"),
    (refusal(400, TOO_LONG, "exceed_context_size_error"), "context_overflow"),
    (refusal(401, "Invalid API Key", "authentication_error"), "unauthorized"),
    (refusal(403, "not allowed", "permission_error"), "unauthorized"),
    (refusal(404, "File Not Found", "not_found_error"), "bad_request"),
    (refusal(500, "failed to decode", "server_error"), "server_error"),
    (refusal(501, "This server does not support it", "not_supported_error"), "bad_request"),
    (refusal(503, "no slot available", "unavailable_error"), "overloaded"),
    (refusal(503, "Loading model", "unavailable_error"), "model_not_loaded"),
]


@pytest.mark.parametrize(("reply", "kind"), REFUSALS, ids=range(len(REFUSALS)))
async def test_each_documented_error_has_its_kind(reply: Reply, kind: EngineErrorKind) -> None:
    async with single([reply]) as (engine, _):
        assert (await failure_of(engine.complete(ask()))).kind == kind
