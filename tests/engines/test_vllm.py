from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from rung.chat import LoadedModel, LoadOptions, Message, Tool
from rung.config.settings import Secret
from rung.engines.metrics import EngineMetrics
from rung.engines.vllm import VllmEngine
from rung.errors import EngineErrorKind
from tests.engines.calls import ask, failure_of
from tests.fakes.profiles import Route
from tests.fakes.server import MODEL, FakeServer, Reply, failure
from tests.fakes.vllm import WINDOW, Vllm

LOADED = LoadedModel(model=MODEL, context_tokens=WINDOW)


@asynccontextmanager
async def vllm(script: Any = (), **behaviour: Any) -> AsyncIterator[tuple[VllmEngine, Vllm]]:
    async with FakeServer("vllm", script) as server:
        state = Vllm(server, **behaviour)
        async with VllmEngine("box", server.settings(timeout_s=5.0)) as engine:
            yield engine, state


async def test_sleep_is_unload_and_waking_is_load() -> None:
    async with vllm() as (engine, state):
        assert await engine.loaded() == [LOADED]
        await engine.unload(MODEL)
        assert state.is_sleeping
        assert await engine.loaded() == []
        (listed,) = await engine.list_models()
        assert (listed.is_loaded, listed.context_tokens) == (False, WINDOW)
        assert (await engine.health(MODEL)).loaded.ok is False

        woken = await engine.load(MODEL, LoadOptions(context_tokens=1024))
        assert not state.is_sleeping
        assert (woken.model, woken.context_tokens) == (MODEL, WINDOW)
        assert woken.load_ms is not None
        assert (await engine.health(MODEL)).loaded.ok is True


async def test_the_weights_stay_in_ram_and_running_requests_are_waited_for() -> None:
    async with vllm() as (engine, state):
        await engine.unload(MODEL)
        assert state.sleeps == [{"level": "1", "mode": "wait"}]


async def test_no_request_of_others_is_aborted_by_an_unload() -> None:
    async with vllm() as (engine, state):
        state.running = 3
        await engine.unload(MODEL)
        assert (state.is_sleeping, state.aborted) == (True, 0)


async def test_a_server_that_stays_busy_is_not_put_to_sleep() -> None:
    async with FakeServer("vllm") as server:
        state = Vllm(server)
        state.running = 1_000_000
        async with VllmEngine("box", server.settings(timeout_s=0.3)) as engine:
            error = await failure_of(engine.unload(MODEL))
    assert (error.kind, state.sleeps) == ("timeout", [])


async def test_loading_twice_and_unloading_twice_changes_nothing() -> None:
    async with vllm() as (engine, state):
        assert await engine.load(MODEL, LoadOptions()) == LOADED
        await engine.unload(MODEL)
        await engine.unload(MODEL)
        assert len(state.sleeps) == 1


async def test_another_model_is_missing_and_never_puts_the_server_to_sleep() -> None:
    async with vllm() as (engine, state):
        assert (await failure_of(engine.load("other", LoadOptions()))).kind == "model_missing"
        await engine.unload("other")
        assert state.sleeps == []


async def test_without_development_mode_it_is_always_loaded() -> None:
    async with vllm(is_dev=False) as (engine, _):
        assert await engine.loaded() == [LOADED]
        assert await engine.load(MODEL, LoadOptions()) == LOADED
        error = await failure_of(engine.unload(MODEL))
        assert (error.kind, "--enable-sleep-mode" in error.message) == ("bad_request", True)
        assert (await engine.health(MODEL)).loaded.ok is True


async def test_a_server_that_cannot_sleep_says_so_at_once_however_busy_it_is() -> None:
    async with vllm(is_dev=False) as (engine, state):
        state.running = 1_000_000
        assert (await failure_of(engine.unload(MODEL))).kind == "bad_request"


async def test_the_queue_is_part_of_health() -> None:
    async with vllm() as (engine, state):
        assert (await engine.health()).reachable.error is None
        state.waiting = 4
        reachable = (await engine.health()).reachable
        assert (reachable.ok, reachable.error) == (True, "busy: 4 requests waiting")
        assert await engine.metrics() == EngineMetrics(
            requests_running=0, requests_waiting=4, kv_cache_usage=0.25
        )


async def test_a_server_without_metrics_is_healthy_and_can_sleep() -> None:
    async with vllm(has_metrics=False) as (engine, state):
        assert await engine.metrics() is None
        assert (await engine.health()).reachable.error is None
        await engine.unload(MODEL)
        assert state.is_sleeping


async def test_a_closed_port_may_be_a_model_that_is_loading() -> None:
    async with FakeServer("vllm") as server:
        settings = server.settings()
    async with VllmEngine("box", settings) as engine:
        health = await engine.health(MODEL)
        assert "still be loading" in (health.reachable.error or "")
        assert (await failure_of(engine.load(MODEL, LoadOptions()))).kind == "unreachable"


async def test_a_dead_engine_core_is_not_healthy() -> None:
    broken = {path: Route(content="", status=503) for path in ("/health", "/v1/models")}
    async with (
        FakeServer("vllm", routes=broken) as server,
        VllmEngine("box", server.settings()) as engine,
    ):
        assert (await engine.health()).reachable.ok is False


async def test_the_prompt_is_counted_by_the_servers_template() -> None:
    async with vllm() as (engine, _):
        assert await engine.count_tokens(ask("one two three")) == 3
        assert await engine.count_tokens(ask("one", tools=(Tool(name="look"),))) == 11


async def test_what_cannot_be_counted_is_none() -> None:
    picture = Message(role="user", content="look", images=("data:image/png;base64,AA==",))
    async with vllm() as (engine, _):
        assert await engine.count_tokens(ask(messages=(picture,))) is None
    async with vllm(has_tokenizer=False) as (engine, _):
        assert await engine.count_tokens(ask()) is None


async def test_counting_a_prompt_beyond_the_window_is_an_overflow() -> None:
    async with vllm() as (engine, _):
        error = await failure_of(engine.count_tokens(ask("word " * (WINDOW + 1))))
        assert error.kind == "context_overflow"


async def test_reasoning_comes_in_its_field_or_inside_the_text() -> None:
    replies = [
        Reply(text="4", reasoning="two and two"),
        Reply(text="4", reasoning="two and two", reasoning_field="reasoning_content"),
        Reply(text="<think>two and two</think>4"),
    ]
    async with vllm(replies) as (engine, _):
        answers = [await engine.complete(ask()) for _ in replies]
    assert {(answer.text, answer.reasoning) for answer in answers} == {("4", "two and two")}


async def test_its_own_figures_are_kept() -> None:
    usage = {
        "prompt_tokens": 30,
        "completion_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 16},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }
    reply = Reply(text="hi", usage=usage, extra={"metrics": {"tokens_per_second": 77.0}})
    async with vllm([reply]) as (engine, _):
        completion = await engine.complete(ask())
    usage_read = completion.usage
    assert (usage_read.tokens_cached, usage_read.tokens_reasoning) == (16, 5)
    assert completion.timings.tokens_per_s == 77.0


async def test_free_text_in_place_of_the_object_is_flagged() -> None:
    async with vllm(["Sure, here you go!"]) as (engine, _):
        completion = await engine.complete(ask(schema={"type": "object"}))
    assert completion.flags == ("schema_not_enforced",)


# What vLLM documents, as its server writes it.
def refusal(status: int, message: str, error_type: str) -> Reply:
    error = {"message": message, "type": error_type, "param": None, "code": status}
    return failure(status, {"error": error})


TOO_LONG = (
    "You passed 20000 input tokens and requested 0 output tokens. However, the model's context "
    "length is only 16384 tokens, resulting in a maximum input length of 16384 tokens."
)
REFUSALS: list[tuple[Reply, EngineErrorKind]] = [
    (refusal(400, "temperature must be non-negative", "BadRequestError"), "bad_request"),
    (refusal(400, TOO_LONG, "BadRequestError"), "context_overflow"),
    (
        refusal(400, "This model's maximum context length is 4", "BadRequestError"),
        "context_overflow",
    ),
    (refusal(404, "The model `x` does not exist.", "NotFoundError"), "model_missing"),
    (refusal(422, "unprocessable", "UnprocessableEntityError"), "bad_request"),
    (refusal(500, "EngineCore encountered an issue", "InternalServerError"), "server_error"),
    (refusal(501, "not implemented", "NotImplementedError"), "bad_request"),
    (refusal(503, "too many requests", "ServiceUnavailableError"), "overloaded"),
    (failure(401, {"error": "Unauthorized"}), "unauthorized"),
    (failure(404, {"detail": "Not Found"}), "bad_request"),
]


@pytest.mark.parametrize(("reply", "kind"), REFUSALS, ids=range(len(REFUSALS)))
async def test_each_documented_error_has_its_kind(reply: Reply, kind: EngineErrorKind) -> None:
    async with vllm([reply]) as (engine, _):
        assert (await failure_of(engine.complete(ask()))).kind == kind


async def test_a_wrong_key_is_no_sleeping_server() -> None:
    async with FakeServer("vllm", api_key="right") as server:
        wrong = server.settings(api_key=Secret("wrong-key-1"))
        async with VllmEngine("box", wrong) as engine:
            asked = (engine.loaded(), engine.load(MODEL, LoadOptions()), engine.unload(MODEL))
            errors = await asyncio.gather(*map(failure_of, asked))
    assert {error.kind for error in errors} == {"unauthorized"}
