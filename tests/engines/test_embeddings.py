from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.chat import EmbedRequest
from rung.engines.build import build_engine
from rung.engines.embeddings import BATCH, embedding_bodies, read_vectors
from tests.engines.calls import failure_of, until
from tests.fakes.embeddings import Embedder
from tests.fakes.server import MODEL, FakeServer

KINDS = ["lmstudio", "vllm", "llamacpp", "openrouter", "openai"]


def request(*inputs: str, **parts: Any) -> EmbedRequest:
    return EmbedRequest(model=MODEL, inputs=inputs, **parts)


@pytest.mark.parametrize("is_base64", [False, True])
@pytest.mark.parametrize("kind", KINDS)
async def test_every_text_gets_its_vector(kind: str, is_base64: bool) -> None:
    async with FakeServer(kind) as server:
        Embedder(server, is_base64=is_base64)
        async with build_engine("box", server.settings()) as box:
            assert box.can_embed
            found = await box.embed(request("four", "a"))
    assert found.vectors == ((4.0, 0.0), (1.0, 1.0))
    assert (found.engine, found.model, found.served_model) == ("box", MODEL, MODEL)
    assert found.usage.tokens_in == 2


async def test_many_texts_go_in_batches_and_come_back_in_order() -> None:
    texts = ["x" * number for number in range(2 * BATCH + 3)]
    async with FakeServer() as server:
        embedder = Embedder(server)
        async with build_engine("box", server.settings()) as box:
            found = await box.embed(request(*texts))
    assert embedder.batches == [BATCH, BATCH, 3]
    assert [int(vector[0]) for vector in found.vectors] == list(range(len(texts)))
    assert found.usage.tokens_in == len(texts)


async def test_no_text_needs_no_engine() -> None:
    async with FakeServer() as server, build_engine("box", server.settings()) as box:
        assert (await box.embed(request())).vectors == ()
        assert server.calls == []


def drop_last(answer: dict[str, Any]) -> dict[str, Any]:
    return {**answer, "data": answer["data"][:-1]}


def repeat_index(answer: dict[str, Any]) -> dict[str, Any]:
    return {**answer, "data": [{**entry, "index": 0} for entry in answer["data"]]}


def with_vectors(*vectors: object) -> Callable[[dict[str, Any]], dict[str, Any]]:
    entries = [{"index": n, "embedding": vector} for n, vector in enumerate(vectors)]
    return lambda answer: {**answer, "data": entries}


@pytest.mark.parametrize(
    "spoil",
    [
        drop_last,
        repeat_index,
        with_vectors([1.0], [1.0, 2.0]),
        with_vectors([], []),
        with_vectors([1.0], [None]),
        with_vectors([1.0], ["1.0"]),
        with_vectors([1.0], None),
        with_vectors("AAAA", "AAAA"),
        with_vectors("no base64!", "AAAAAA=="),
        with_vectors("AADAfw==", "AADAfw=="),
        lambda _: {"unexpected": True},
        lambda _: {},
    ],
)
async def test_vectors_that_are_not_one_for_each_text_are_bad_output(
    spoil: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    async with FakeServer() as server:
        Embedder(server, spoil=spoil)
        async with build_engine("box", server.settings()) as box:
            assert (await failure_of(box.embed(request("a", "b")))).kind == "bad_output"


async def test_usage_is_unknown_where_the_engine_does_not_say() -> None:
    async with FakeServer() as server:
        Embedder(server, spoil=lambda answer: {**answer, "usage": None})
        async with build_engine("box", server.settings()) as box:
            assert (await box.embed(request("a"))).usage.tokens_in is None


@pytest.mark.parametrize("kind", KINDS)
async def test_an_error_of_the_embedding_route_has_its_kind(kind: str) -> None:
    def refuse(_: dict[str, Any]) -> dict[str, Any]:
        return {"error": {"message": "The model `x` does not exist.", "code": 404}}

    async with FakeServer(kind) as server:
        Embedder(server, spoil=refuse)
        async with build_engine("box", server.settings()) as box:
            assert (await failure_of(box.embed(request("a")))).kind == "model_missing"


async def test_a_rate_limit_says_how_long_to_wait() -> None:
    async def refuse(*_: object) -> web.Response:
        return web.json_response({"error": "slow down"}, status=429, headers={"Retry-After": "7"})

    async with FakeServer() as server:
        server.handlers["POST", "/v1/embeddings"] = refuse
        async with build_engine("box", server.settings()) as box:
            error = await failure_of(box.embed(request("a")))
    assert (error.kind, error.retry_after_s) == ("rate_limited", 7.0)


async def test_an_engine_that_never_answers_is_given_up() -> None:
    async def wait(*_: object) -> web.Response:
        await asyncio.Event().wait()
        return web.Response()

    async with FakeServer() as server:
        server.handlers["POST", "/v1/embeddings"] = wait
        async with build_engine("box", server.settings()) as box:
            error = await failure_of(box.embed(request("a", timeout_s=0.05)))
        await until(lambda: server.calls[0].is_dropped.is_set())
    assert error.kind == "timeout"


async def test_text_that_is_not_unicode_is_a_bad_request() -> None:
    async with FakeServer() as server, build_engine("box", server.settings()) as box:
        assert (await failure_of(box.embed(request("\ud800")))).kind == "bad_request"


@settings(deadline=None)
@given(st.lists(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1)))
def test_vectors_are_ordered_by_their_index(vectors: list[list[float]]) -> None:
    data = [{"index": n, "embedding": vector} for n, vector in enumerate(vectors)]
    assert read_vectors({"data": data[::-1]}, len(vectors)) == [tuple(v) for v in vectors]


@settings(deadline=None)
@given(st.integers(0, 5 * BATCH))
def test_batches_hold_every_input_once(count: int) -> None:
    bodies = embedding_bodies(request(*map(str, range(count))))
    assert [text for body in bodies for text in body["input"]] == [*map(str, range(count))]
    assert len(bodies) == math.ceil(count / BATCH)
