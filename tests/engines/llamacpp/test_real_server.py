"""The adapter against llama.cpp's own server, with a real model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from rung.chat import Cancellation, ChatRequest, EmbedRequest, LoadOptions, Message, Tool
from rung.config.settings import EngineSettings, Secret
from rung.engines.embeddings import BATCH
from rung.engines.llamacpp.engine import LlamaServerEngine
from rung.engines.openai_compatible import OpenAICompatibleEngine
from rung.structured.validate import violations
from tests.engines.calls import failure_of, last_of
from tests.engines.llamacpp.server_process import MODEL, SLOTS, WINDOW, llama_server

SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 20},
        "population": {"type": "integer", "minimum": 0, "maximum": 99_999_999},
        "continent": {"enum": ["Europe", "Asia", "Africa"]},
    },
    "required": ["city", "population", "continent"],
    "additionalProperties": False,
}
TOOL = Tool(name="look", description="Looks at a place.", parameters={"type": "object"})


def ask(prompt: str = "Say hello.", **parts: Any) -> ChatRequest:
    fields = {"max_tokens": 8, "temperature": 0.0, "timeout_s": 60.0, **parts}
    messages = fields.pop("messages", (Message(role="user", content=prompt),))
    return ChatRequest(model=MODEL, messages=messages, **fields)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(starter_model_dir: Path) -> AsyncIterator[LlamaServerEngine]:
    async with (
        llama_server(starter_model_dir) as settings,
        LlamaServerEngine("real", settings) as engine,
    ):
        yield engine


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def embedder(starter_model_dir: Path) -> AsyncIterator[LlamaServerEngine]:
    async with (
        llama_server(starter_model_dir, embedding=True) as settings,
        LlamaServerEngine("embedder", settings) as engine,
    ):
        yield engine


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_an_answer_streams_with_usage_timings_and_the_served_model(
    server: LlamaServerEngine,
) -> None:
    text, _, completion = await last_of(server, ask())
    assert text == completion.text != ""
    assert completion.served_model == MODEL
    assert completion.finish_reason == "length"
    assert completion.usage.tokens_out == 8
    assert completion.timings.tokens_per_s
    assert completion.flags == completion.repairs == ()


async def test_a_prompt_that_was_read_before_is_taken_from_the_cache(
    server: LlamaServerEngine,
) -> None:
    long = ask("The quick brown fox jumps over the lazy dog. " * 10)
    first = (await server.complete(long)).usage
    again = (await server.complete(long)).usage
    assert first.tokens_in == again.tokens_in
    assert first.tokens_cached is not None
    assert again.tokens_cached is not None
    assert again.tokens_cached > first.tokens_cached


@pytest.mark.parametrize(
    "request_",
    [
        ask(),
        ask("Zürich, 北京 and 🙂 <|im_end|> \n\t end"),
        ask(tools=(TOOL,), tool_choice="auto"),
        ask(think=False),
        ask(schema=SCHEMA, max_tokens=60),
        ask(
            messages=(
                Message(role="system", content="Be brief."),
                Message(role="user", content="One?"),
                Message(role="assistant", content="1"),
                Message(role="user", content="Two?"),
            )
        ),
    ],
    ids=["plain", "unicode", "tools", "no thinking", "schema", "turns"],
)
async def test_the_count_is_exactly_what_the_server_then_reads(
    server: LlamaServerEngine, request_: ChatRequest
) -> None:
    counted = await server.count_tokens(request_)
    assert counted == (await server.complete(request_)).usage.tokens_in


async def test_a_schema_is_enforced_whatever_the_prompt_says(server: LlamaServerEngine) -> None:
    request = ask("Write a poem. Never write JSON.", schema=SCHEMA, max_tokens=120)
    completion = await server.complete(request)
    assert not violations(json.loads(completion.text), SCHEMA)
    assert completion.flags == ()


async def test_the_general_adapter_speaks_to_it_too(server: LlamaServerEngine) -> None:
    settings = EngineSettings(base_url=server.base_url, api_key=server.settings.api_key)
    async with OpenAICompatibleEngine("any", settings) as engine:
        text, _, completion = await last_of(engine, ask(schema=SCHEMA, max_tokens=120))
        assert not violations(json.loads(text), SCHEMA)
        assert completion.usage.tokens_in
        (listed,) = await engine.list_models()
        assert (listed.id, listed.context_tokens) == (MODEL, WINDOW)
        assert (await engine.health(MODEL, probe=True)).probed.ok


async def test_a_demanded_tool_that_the_template_cannot_call_is_flagged(
    server: LlamaServerEngine,
) -> None:
    completion = await server.complete(ask(tools=(TOOL,), tool_choice="required"))
    assert completion.flags == ("tool_choice_not_enforced",)


async def test_whoever_leaves_frees_all_slots(server: LlamaServerEngine) -> None:
    long = ask("Count to a thousand.", max_tokens=400)
    for _ in range(SLOTS):
        async with aclosing(server.stream(long)) as chunks:
            await anext(chunks)
    assert await free_slots(server) == SLOTS


async def test_a_cancelled_call_frees_its_slot(server: LlamaServerEngine) -> None:
    cancel = Cancellation()
    long = ask("Count to a thousand.", max_tokens=400, cancel=cancel)
    async with aclosing(server.stream(long)) as chunks:
        await anext(chunks)
        cancel.cancel()
        assert (await failure_of(anext(chunks))).kind == "cancelled"
    assert await free_slots(server) == SLOTS


async def test_a_prompt_beyond_the_window_is_an_overflow_with_its_numbers(
    server: LlamaServerEngine,
) -> None:
    long = ask("word " * 2 * WINDOW)
    error = await failure_of(server.complete(long))
    assert (error.kind, error.status) == ("context_overflow", 400)
    assert str(WINDOW) in error.message
    assert (await server.count_tokens(long) or 0) > WINDOW


async def test_an_answer_that_fills_the_window_is_cut_off_and_says_so(
    server: LlamaServerEngine,
) -> None:
    longer_than_the_rest = {"type": "string", "minLength": 450, "maxLength": 500}
    request = ask("word " * (WINDOW - 70), max_tokens=None, schema=longer_than_the_rest)
    completion = await server.complete(request)
    assert completion.finish_reason == "length"
    assert (completion.usage.tokens_in or 0) + (completion.usage.tokens_out or 0) == WINDOW
    assert completion.flags == ()


async def test_a_wrong_key_is_unauthorized_everywhere(server: LlamaServerEngine) -> None:
    key = Secret("another-key")
    wrong = EngineSettings(kind="llamacpp", base_url=server.base_url, api_key=key)
    async with LlamaServerEngine("wrong", wrong) as engine:
        asked = (
            engine.complete(ask()),
            engine.list_models(),
            engine.loaded(),
            engine.metrics(),
            engine.count_tokens(ask()),
            engine.embed(EmbedRequest(model=MODEL, inputs=("a",))),
        )
        errors = await asyncio.gather(*(failure_of(work) for work in asked))
        health = await engine.health(MODEL)
    assert {error.kind for error in errors} == {"unauthorized"}
    assert not any("another-key" in str(error) for error in errors)
    assert (health.reachable.ok, health.listed.ok) == (True, False)


async def test_the_window_and_the_slots_are_the_servers_own(server: LlamaServerEngine) -> None:
    (listed,) = await server.list_models()
    (loaded,) = await server.loaded()
    assert (listed.context_tokens, listed.max_context_tokens) == (WINDOW, 8192)
    assert (loaded.model, loaded.context_tokens, loaded.slots) == (MODEL, WINDOW, SLOTS)
    assert listed.is_loaded


async def test_one_model_is_always_loaded_and_cannot_be_unloaded(
    server: LlamaServerEngine,
) -> None:
    assert (await server.load(MODEL, LoadOptions())).model == MODEL
    assert (await failure_of(server.unload(MODEL))).kind == "bad_request"
    assert (await failure_of(anext(server.download("org/repo:Q4")))).kind == "bad_request"
    assert (await failure_of(server.load("other", LoadOptions()))).kind == "model_missing"
    await server.unload("other")
    assert (await server.health(MODEL)).loaded.ok


async def test_metrics_tell_how_busy_it_is(server: LlamaServerEngine) -> None:
    async with aclosing(server.stream(ask("Count to a thousand.", max_tokens=400))) as chunks:
        await anext(chunks)
        busy = await server.metrics()
    assert busy is not None
    assert (busy.requests_running, busy.requests_waiting) == (1, 0)


async def test_vectors_are_of_one_length_and_near_for_what_is_alike(
    embedder: LlamaServerEngine,
) -> None:
    inputs = ("The cat sat on the mat.", "A cat was sitting on a mat.", "def f(x): return x * 2")
    found = await embedder.embed(EmbedRequest(model=MODEL, inputs=inputs))
    cat, also_cat, code = found.vectors
    assert {len(vector) for vector in found.vectors} == {576}
    assert cosine(cat, also_cat) > cosine(cat, code)
    assert found.usage.tokens_in
    assert found.served_model == MODEL


async def test_more_texts_than_one_batch_keep_their_order(embedder: LlamaServerEngine) -> None:
    texts = tuple(f"{number}" for number in range(BATCH + 2))
    together = await embedder.embed(EmbedRequest(model=MODEL, inputs=texts))
    last = await embedder.embed(EmbedRequest(model=MODEL, inputs=texts[-1:]))
    assert len(together.vectors) == len(texts)
    assert cosine(together.vectors[-1], last.vectors[0]) > 0.999


async def test_a_chat_server_refuses_to_embed_and_says_why(server: LlamaServerEngine) -> None:
    error = await failure_of(server.embed(EmbedRequest(model=MODEL, inputs=("a",))))
    assert (error.kind, "--embeddings" in error.message) == ("bad_request", True)


def cosine(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    def dot(a: tuple[float, ...], b: tuple[float, ...]) -> float:
        return sum(x * y for x, y in zip(a, b, strict=True))

    return dot(one, other) / (dot(one, one) * dot(other, other)) ** 0.5


async def free_slots(engine: LlamaServerEngine) -> int:
    """How many slots are free, once that many have been seen as it takes for all calls to end."""
    async with asyncio.timeout(20):
        while True:
            slots: Any = (await engine._connection.get("/slots", 5.0)).body
            free = slots.count(b'"is_processing":false')
            if free == SLOTS:
                return free
            await asyncio.sleep(0.01)
