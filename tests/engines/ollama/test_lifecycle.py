from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from rung.chat import EmbedRequest, LoadOptions
from rung.engines.ollama import engine as module
from rung.engines.ollama.engine import OllamaEngine
from tests.engines.calls import ask, failure_of, until
from tests.fakes.ollama import InMemory, Ollama, OnDisk
from tests.fakes.profiles import Route
from tests.fakes.server import MODEL, FakeServer

NAME = f"{MODEL}:latest"


@asynccontextmanager
async def serving(**state: Any) -> AsyncIterator[tuple[OllamaEngine, FakeServer, Ollama]]:
    """An engine with nothing in memory, the stand-in, and the stand-in's state."""
    async with FakeServer("ollama", ["hi"]) as server:
        ollama = Ollama(server, **{"loaded": {}, **state})
        async with OllamaEngine("box", server.settings()) as box:
            yield box, server, ollama


async def test_a_model_is_loaded_with_its_window_and_stays() -> None:
    async with serving() as (box, server, ollama):
        loaded = await box.load(MODEL, LoadOptions(context_tokens=8192, gpu_layers=7))
        body = server.chats[0].body
        assert (body["messages"], body["keep_alive"]) == ([], -1)
        assert body["options"] == {"num_ctx": 8192, "num_gpu": 7}
        assert (loaded.model, loaded.instance, loaded.context_tokens) == (MODEL, NAME, 8192)
        assert (loaded.memory_bytes, loaded.vram_bytes) == (900_000_000, 0)
        assert loaded.load_ms is not None
        assert ollama.loaded[NAME].keep_alive == -1
        assert [each.instance for each in await box.loaded()] == [NAME]


async def test_calls_use_a_model_as_it_was_loaded_and_never_load_it_anew() -> None:
    async with serving() as (box, server, ollama):
        await box.load(MODEL, LoadOptions(context_tokens=8192, gpu_layers=7))
        await box.complete(ask())
        await box.complete(ask(context_tokens=8192))
        assert ollama.loads == 1
        assert ollama.loaded[NAME].keep_alive == -1
        assert {call.body["keep_alive"] for call in server.chats} == {-1}


async def test_a_model_that_was_loaded_here_is_not_looked_for_and_comes_back_as_it_was() -> None:
    async with serving() as (box, server, ollama):
        await box.load(MODEL, LoadOptions(context_tokens=8192))
        ollama.loaded.clear()
        asked = len(server.calls)
        await box.complete(ask())
        assert "/api/ps" not in {call.path for call in server.calls[asked:]}
        loaded = ollama.loaded[NAME]
    assert (loaded.num_ctx, loaded.keep_alive) == (8192, -1)


async def test_a_name_may_be_written_in_other_case() -> None:
    async with serving() as (box, _, _):
        assert (await box.load(MODEL.upper(), LoadOptions())).instance == NAME
        await box.unload(MODEL.title())
        assert await box.loaded() == []


async def test_the_same_options_load_nothing_and_others_load_anew() -> None:
    async with serving() as (box, _, ollama):
        for context_tokens, loads in ((4096, 1), (4096, 1), (None, 1), (8192, 2)):
            await box.load(MODEL, LoadOptions(context_tokens=context_tokens))
            assert ollama.loads == loads


async def test_a_load_without_a_window_keeps_that_of_another_program() -> None:
    launch = {"num_ctx": 16_384, "num_gpu": None, "shift": False}
    there = {NAME: InMemory(num_ctx=16_384, launch=launch)}
    async with serving(loaded=there) as (box, _, ollama):
        assert (await box.load(MODEL, LoadOptions())).context_tokens == 16_384
        assert ollama.loads == 0


async def test_no_more_window_is_loaded_than_the_model_was_trained_on() -> None:
    async with serving() as (box, _, _):
        loaded = await box.load(MODEL, LoadOptions(context_tokens=1_000_000))
    assert loaded.context_tokens == 32_768


async def test_a_model_that_is_not_there_cannot_be_loaded() -> None:
    async with serving() as (box, _, _):
        error = await failure_of(box.load("other", LoadOptions()))
    assert (error.kind, error.model) == ("model_missing", "other")


@pytest.mark.parametrize("name", ["giant:cloud", "mine"])
async def test_a_cloud_model_is_never_loaded_embedded_with_or_pulled(name: str) -> None:
    models = {"mine:latest": OnDisk(remote_host="https://ollama.com:443")}
    async with serving(models=models) as (box, server, _):
        request = EmbedRequest(model=name, inputs=("x",))
        for work in (box.load(name, LoadOptions()), box.embed(request)):
            assert "cloud" in (await failure_of(work)).message
        assert server.chats == []
        assert not any(call.path == "/api/embed" for call in server.calls)


async def test_a_load_that_another_model_undid_is_no_success() -> None:
    async with serving() as (box, server, _):
        server.routes["/api/ps"] = Route(content={"models": []})
        error = await failure_of(box.load(MODEL, LoadOptions()))
    assert error.kind == "model_not_loaded"


async def test_a_load_that_fails_for_want_of_memory_says_so() -> None:
    async with serving() as (box, server, _):
        text = "model requires more system memory (44.0 GiB) than is available (7.6 GiB)"
        server.formats.clear()
        server.routes["/api/chat"] = Route(content={"error": text}, status=500)
        error = await failure_of(box.load(MODEL, LoadOptions()))
    assert (error.kind, "44.0 GiB" in error.message) == ("out_of_memory", True)


async def test_a_load_that_nobody_waits_for_any_more_is_ended() -> None:
    async with serving(load_s=math.inf) as (box, server, _):
        task = asyncio.create_task(box.load(MODEL, LoadOptions()))
        await until(lambda: bool(server.chats))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: server.chats[0].is_dropped.is_set())


@pytest.mark.parametrize("is_embedding", [True, False])
async def test_a_model_for_embeddings_is_loaded_by_its_own_route(is_embedding: bool) -> None:
    async with serving() as (box, server, ollama):
        options = LoadOptions(context_tokens=256, is_embedding=is_embedding)
        loaded = await box.load("minilm", options)
        await box.embed(EmbedRequest(model="minilm", inputs=("a b",)))
        assert (loaded.instance, ollama.loads, server.chats) == ("minilm:latest", 1, [])
        assert ollama.loaded["minilm:latest"].keep_alive == -1


async def test_an_unloaded_model_is_really_gone() -> None:
    async with serving(lingers=3) as (box, server, ollama):
        await box.load(MODEL, LoadOptions())
        await box.unload(MODEL)
        assert ollama.loaded == {}
        assert (server.chats[-1].body["messages"], server.chats[-1].body["keep_alive"]) == ([], 0)
        assert await box.loaded() == []


async def test_a_call_after_an_unload_asks_for_nothing_of_the_old_load() -> None:
    async with serving() as (box, server, _):
        await box.load(MODEL, LoadOptions(context_tokens=8192))
        await box.unload(MODEL)
        await box.complete(ask())
        assert server.chats[-1].body["options"] == {}
        assert "keep_alive" not in server.chats[-1].body


@pytest.mark.parametrize("is_embedding", [True, False])
async def test_a_model_that_is_handed_back_stays_as_it_is_but_not_for_ever(
    is_embedding: bool,
) -> None:
    async with serving() as (box, _, ollama):
        options = LoadOptions(context_tokens=256, gpu_layers=7, is_embedding=is_embedding)
        await box.load(MODEL, options)
        await box.hand_back(MODEL, 299.5)
        assert (ollama.loads, ollama.loaded[NAME].keep_alive) == (1, 300)


async def test_a_model_whose_window_grew_is_handed_back_with_that_window() -> None:
    async with serving() as (box, _, ollama):
        await box.load(MODEL, LoadOptions(context_tokens=4096))
        await box.complete(ask(context_tokens=8192))
        await box.hand_back(MODEL, 300)
        now = ollama.loaded[NAME]
        assert (ollama.loads, now.num_ctx, now.keep_alive) == (2, 8192, 300)


async def test_what_was_loaded_elsewhere_or_is_gone_is_not_handed_back() -> None:
    async with serving() as (box, server, ollama):
        await box.load(MODEL, LoadOptions())
        asked = len(server.chats)
        ollama.loaded.clear()
        await box.hand_back(MODEL, 300)
        ollama.load(NAME, {"keep_alive": -1})
        await box.hand_back(MODEL, 300)
        assert (len(server.chats), ollama.loaded[NAME].keep_alive) == (asked, -1)


async def test_a_call_after_a_model_was_handed_back_does_not_hold_it_again() -> None:
    async with serving() as (box, _, ollama):
        await box.load(MODEL, LoadOptions(context_tokens=8192))
        await box.hand_back(MODEL, 300)
        await box.complete(ask())
        assert (ollama.loads, ollama.loaded[NAME].keep_alive) == (1, 300)


async def test_unloading_what_is_not_there_is_no_error_and_no_load() -> None:
    async with serving() as (box, server, _):
        await box.unload(MODEL)
        await box.unload("other")
        assert server.chats == []


async def test_a_model_that_will_not_leave_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UNLOAD_TIMEOUT_S", 0.2)
    async with serving(lingers=math.inf) as (box, _, _):
        await box.load(MODEL, LoadOptions())
        error = await failure_of(box.unload(MODEL))
    assert (error.kind, "ollama ps" in error.message) == ("timeout", True)


async def test_a_removed_model_is_gone_and_a_missing_one_is_an_error() -> None:
    async with serving() as (box, _, ollama):
        await box.remove(MODEL)
        assert NAME not in ollama.models
        assert (await failure_of(box.remove(MODEL))).kind == "model_missing"


async def test_what_is_in_memory_is_told_whoever_loaded_it() -> None:
    async with serving() as (box, server, _):
        server.routes["/api/ps"] = Route(
            content={
                "models": [
                    {"name": "a:1b", "size": 10, "size_vram": 4, "context_length": 512},
                    {"model": "old:7b", "size": "?"},
                    {"name": "far:cloud", "remote_host": "https://ollama.com"},
                    "odd",
                ]
            }
        )
        told = await box.loaded()
    assert [(each.instance, each.memory_bytes, each.vram_bytes) for each in told] == [
        ("a:1b", 10, 4),
        ("old:7b", None, None),
    ]
    assert [each.context_tokens for each in told] == [512, None]


async def test_vectors_come_in_the_order_of_their_texts_whatever_their_number() -> None:
    texts = tuple("x" * length for length in range(150))
    async with serving() as (box, server, _):
        embeddings = await box.embed(EmbedRequest(model="minilm", inputs=texts))
        bodies = [call.body for call in server.calls if call.path == "/api/embed"]
    assert [vector[0] for vector in embeddings.vectors] == list(range(150))
    assert (embeddings.engine, embeddings.served_model) == ("box", "minilm")
    assert embeddings.usage.tokens_in == 149
    assert (len(bodies), bodies[0]["truncate"]) == (3, False)


async def test_without_texts_there_are_no_vectors_and_no_request() -> None:
    async with serving() as (box, server, _):
        assert (await box.embed(EmbedRequest(model="minilm", inputs=()))).vectors == ()
        assert not any(call.path == "/api/embed" for call in server.calls)


async def test_a_text_that_is_too_long_is_an_error_and_never_cut() -> None:
    async with serving(default_ctx=16) as (box, _, _):
        request = EmbedRequest(model="minilm", inputs=("word " * 17,))
        assert (await failure_of(box.embed(request))).kind == "context_overflow"


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"embeddings": []},
        {"embeddings": [[1.0], [1.0]]},
        {"embeddings": [[]]},
        {"embeddings": ["x"]},
        {"embeddings": [[1.0, None]]},
        "<html></html>",
        "{",
    ],
)
async def test_embeddings_that_make_no_sense_are_an_error(answer: Any) -> None:
    async with serving() as (box, server, _):
        server.routes["/api/embed"] = Route(content=answer)
        error = await failure_of(box.embed(EmbedRequest(model="minilm", inputs=("x",))))
    assert error.kind in ("bad_output", "unreachable")


async def test_a_text_that_is_no_unicode_is_refused() -> None:
    async with serving() as (box, _, _):
        request = EmbedRequest(model="minilm", inputs=("\ud800",))
        assert (await failure_of(box.embed(request))).kind == "bad_request"
