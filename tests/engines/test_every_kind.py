"""What every kind of engine behind HTTP promises, whatever it does wrong: kinds x misdeeds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from rung.chat import Cancellation, EmbedRequest, Message
from rung.config.settings import EngineSettings
from rung.engines.build import build_engine
from rung.engines.http_engine import HttpEngine
from rung.errors import ConfigError, EngineErrorKind
from tests.engines.calls import ask, failure_of, until
from tests.fakes.server import MODEL, Call, FakeServer, Reply, Script, failure, html

# A kind, and the chat route where it is not the only one.
KINDS: dict[str, dict[str, Any]] = {
    "lmstudio": {},
    "lmstudio at its own route": {"endpoint": "/api/v1/chat"},
    "ollama": {},
    "vllm": {},
    "llamacpp": {},
    "openrouter": {},
    "openai": {},
    "anthropic": {},
}
every_kind = pytest.mark.parametrize("kind", KINDS)
FOREVER_S = 600.0


@asynccontextmanager
async def talking(
    kind: str, script: Script = ("fine",), **settings: Any
) -> AsyncIterator[tuple[HttpEngine, FakeServer]]:
    """An engine named `box`, with the adapter of its kind, and the stand-in that it talks to."""
    patient = {"stall_timeout_s": FOREVER_S, "timeout_s": FOREVER_S}
    async with FakeServer(kind.partition(" ")[0], script) as server:
        changed = server.settings(**{**KINDS[kind], **patient, **settings})
        async with build_engine("box", changed) as box:
            yield box, server


def said(text: str, **fields: Any) -> dict[str, Any]:
    return {"error": {"message": text, **fields}}


# What the engine does, and what it must be called.
MISDEEDS: list[tuple[Reply, EngineErrorKind]] = [
    # Lies in a 200.
    (html(), "unreachable"),
    (failure(200, ""), "bad_output"),
    (failure(200, '{"choices":[{"message":{"cont'), "bad_output"),
    (failure(200, "it works", content_type="text/plain"), "bad_output"),
    (failure(200, "null"), "bad_output"),
    (failure(200, "[]"), "bad_output"),
    (failure(200, {"detail": "hm"}), "bad_output"),
    (failure(200, {"error": "Unexpected endpoint or method. (POST /x)"}), "bad_request"),
    (failure(200, said("no credit", code=402)), "over_budget"),
    (failure(200, said("Model is unloaded.")), "model_not_loaded"),
    # Lies in a stream.
    (Reply(text="hello there", error_after=2), "server_error"),
    (Reply(text="hello", error_after=1, error={"code": 429, "message": "x"}), "rate_limited"),
    (Reply(text="hello", error_after=0, error={"message": "Loading model"}), "model_not_loaded"),
    (Reply(text="hello", error_after=1, error="CUDA error: out of memory"), "out_of_memory"),
    (Reply(text="hello there", drop_after=2), "unreachable"),
    (Reply(text="hello", drop_after=0), "unreachable"),
    (Reply(text="hello", finish_reason=None, has_end_marker=False), "bad_output"),
    (Reply(raw_events=(b'data: {"a":"\xff"}\n\n',)), "bad_output"),
    (Reply(raw_events=(b"data: " + b"x" * 17_000_000,)), "bad_output"),
    # Nothing to show.
    (Reply(text=None), "bad_output"),
    (Reply(text=" \n"), "bad_output"),
    (Reply(text="", finish_reason="length"), "bad_output"),
    (Reply(text="", reasoning="on and on"), "bad_output"),
    # Statuses.
    (failure(301, "", headers={"Location": "http://127.0.0.1:1/"}), "bad_request"),
    (failure(400, said("no such field")), "bad_request"),
    (failure(400, said("maximum context length is 4096 tokens")), "context_overflow"),
    (failure(401, said("who are you?")), "unauthorized"),
    (failure(402, said("pay first")), "over_budget"),
    (failure(403, said("not yours")), "unauthorized"),
    (failure(403, said("Your input was flagged")), "refused"),
    (failure(404, said("model 'tiny-1b' not found")), "model_missing"),
    (failure(404, said("No models loaded. Please load a model")), "model_not_loaded"),
    (failure(404, {"detail": "Not Found"}), "bad_request"),
    (html(404), "unreachable"),
    (failure(408, said("too slow")), "timeout"),
    (failure(413, "too large"), "context_overflow"),
    (failure(422, {"detail": [{"msg": "field required"}]}), "bad_request"),
    (failure(429, said("slow down"), headers={"Retry-After": "7"}), "rate_limited"),
    (failure(499, said("context canceled")), "cancelled"),
    (failure(500, said("it broke")), "server_error"),
    (failure(500, '{"error":{"mess'), "server_error"),
    (failure(500, said("insufficient system resources")), "out_of_memory"),
    (failure(501, said("cannot", type="not_supported_error")), "bad_request"),
    (failure(502, said("upstream is away")), "server_error"),
    (html(502), "server_error"),
    (failure(503, said("Loading model", type="unavailable_error")), "model_not_loaded"),
    (failure(503, said("busy")), "overloaded"),
    (failure(504, said("upstream is slow")), "timeout"),
    (failure(529, said("busy", type="overloaded_error")), "overloaded"),
]


@every_kind
@pytest.mark.parametrize(("misdeed", "error_kind"), MISDEEDS, ids=range(len(MISDEEDS)))
async def test_each_misdeed_has_its_kind_and_the_next_call_is_served(
    misdeed: Reply, error_kind: EngineErrorKind, kind: str
) -> None:
    async with talking(kind, [misdeed, "fine again"]) as (box, server):
        error = await failure_of(box.complete(ask()))
        assert (error.kind, error.engine, error.model) == (error_kind, "box", MODEL)
        assert "<" not in error.message
        assert error.retry_after_s == (7 if misdeed.status == 429 else error.retry_after_s)
        assert (await box.complete(ask())).text == "fine again"
        assert len(server.chats) == 2, "an engine never retries"


@every_kind
async def test_a_missing_route_says_what_the_address_of_this_kind_looks_like(kind: str) -> None:
    async with talking(kind, [failure(404, "404 page not found")]) as (box, _):
        error = await failure_of(box.complete(ask()))
    assert error.kind == "bad_request"
    assert box.profile.base_url in error.message


@every_kind
async def test_a_dead_engine_is_unreachable_with_advice_and_serves_once_it_is_back(
    kind: str,
) -> None:
    async with talking(kind) as (box, server):
        await server.stop()
        error = await failure_of(box.complete(ask()))
        assert (error.kind, box.profile.advice in error.message) == ("unreachable", True)
        async with server:
            assert (await box.complete(ask())).text == "fine"


@every_kind
async def test_figures_that_no_number_can_hold_are_left_out(kind: str) -> None:
    endless = "1" + "0" * 400
    body = (
        f'data: {{"choices":[{{"delta":{{"content":"hi"}},"finish_reason":"stop"}}],'
        f'"usage":{{"prompt_tokens":{endless},"completion_tokens":1e300}}}}\n\n'
    )
    if kind == "ollama":
        body = (
            '{"message":{"content":"hi"},"done":true,"done_reason":"stop",'
            f'"prompt_eval_count":{endless},"eval_count":1e300}}\n'
        )
    elif kind == "anthropic":
        body = (
            '{"type":"message","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn",'
            f'"usage":{{"input_tokens":{endless},"output_tokens":1e300}}}}'
        )
    elif KINDS[kind]:
        body = (
            '{"output":[{"type":"message","content":"hi"}],'
            f'"stats":{{"input_tokens":{endless},"total_output_tokens":1e300}}}}'
        )
    async with talking(kind, [Reply(raw_events=(body.encode(),))]) as (box, _):
        completion = await box.complete(ask())
    assert completion.text == "hi"
    assert (completion.usage.tokens_in, completion.usage.tokens_out) == (None, None)


@pytest.mark.parametrize("kind", ["ollama", "anthropic"])
def test_an_endpoint_that_would_be_passed_over_is_refused(kind: Any) -> None:
    with pytest.raises(ConfigError, match=r"engines\.box\.endpoint"):
        build_engine("box", EngineSettings(kind=kind, endpoint="/api/v1/chat"))


@pytest.mark.parametrize("kind", ["vllm", "llamacpp", "anthropic"])
async def test_what_is_counted_is_what_is_sent_without_the_thoughts_of_earlier_turns(
    kind: str,
) -> None:
    turns = (
        Message(role="user", content="hi"),
        Message(role="assistant", content="<think>SECRET THOUGHT</think>ho"),
        Message(role="user", content="and?"),
    )
    async with talking(kind) as (box, server):
        assert await box.count_tokens(ask(messages=turns))
        counted = [call for call in server.calls if "messages" in call.body]
    assert counted
    assert all("THOUGHT" not in str(call.body) and "ho" in str(call.body) for call in counted)


@pytest.mark.parametrize("kind", ["lmstudio", "ollama", "vllm", "openai"])
async def test_vectors_that_do_not_come_are_given_up_in_the_callers_time(kind: str) -> None:
    async def silent(*_: object) -> Any:
        await asyncio.Event().wait()

    async with talking(kind) as (box, server):
        for route in ("/v1/embeddings", "/api/embed"):
            server.handlers["POST", route] = silent
        request = EmbedRequest(model=MODEL, inputs=("x",), timeout_s=0.2)
        error = await failure_of(box.embed(request))
        assert (error.kind, error.model) == ("timeout", MODEL)
        await until(lambda: server.calls[-1].is_dropped.is_set())


# Silence, in its forms, against a server that would never end.
SILENCES = {
    "no head": Reply(text="x", first_after_s=FOREVER_S),
    "no event": Reply(text="x", stall_after=0),
    "stall": Reply(text="x y z", stall_after=2),
    "drip": Reply(text="slow " * 1000, between_s=0.02),
}
# Far enough for a first word to have come in every kind's stream.
BEGUN = Reply(text="w x y z a b c d e f", stall_after=7)


@every_kind
@pytest.mark.parametrize("silence", SILENCES)
async def test_the_callers_time_bounds_the_whole_call(silence: str, kind: str) -> None:
    async with talking(kind, [SILENCES[silence]]) as (box, server):
        started_at = time.perf_counter()
        assert (await failure_of(box.complete(ask(timeout_s=0.2)))).kind == "timeout"
        assert time.perf_counter() - started_at >= 0.2
        await until(lambda: all(call.is_over.is_set() for call in server.chats))


@every_kind
@pytest.mark.parametrize("silence", ["no head", "no event"])
async def test_a_first_token_that_does_not_come_is_given_up_after_timeout_s(
    silence: str, kind: str
) -> None:
    async with talking(kind, [SILENCES[silence]], timeout_s=0.2) as (box, server):
        error = await failure_of(box.complete(ask()))
        assert (error.kind, "0.2 s" in error.message) == ("timeout", True)
        await until(lambda: server.chats[0].is_dropped.is_set())


@every_kind
async def test_a_stalled_answer_is_given_up_after_stall_timeout_s(kind: str) -> None:
    async with talking(kind, [BEGUN], stall_timeout_s=0.2) as (box, server):
        error = await failure_of(box.complete(ask()))
        assert (error.kind, "0.2 s" in error.message) == ("timeout", True)
        await until(lambda: server.chats[0].is_dropped.is_set())


@every_kind
async def test_an_error_whose_words_never_come_is_not_waited_for_for_ever(kind: str) -> None:
    async def head_only(_: FakeServer, request: web.Request, __: Call) -> web.StreamResponse:
        response = web.StreamResponse(status=500)
        await response.prepare(request)
        await asyncio.Event().wait()
        return response

    async with talking(kind, stall_timeout_s=0.2) as (box, server):
        for route in server.formats:
            server.handlers["POST", route] = head_only
        assert (await failure_of(box.complete(ask()))).kind == "timeout"


# Somebody leaves.


@every_kind
@pytest.mark.parametrize("silence", ["no head", "no event", "stall"])
async def test_a_cancellation_stops_the_engine(silence: str, kind: str) -> None:
    cancel = Cancellation()
    async with talking(kind, [SILENCES[silence]]) as (box, server):
        task = asyncio.create_task(failure_of(box.complete(ask(cancel=cancel))))
        await until(lambda: bool(server.chats))
        cancel.cancel()
        assert (await task).kind == "cancelled"
        await until(lambda: server.chats[0].is_dropped.is_set())


@every_kind
async def test_a_call_that_was_cancelled_before_it_began_asks_nothing(kind: str) -> None:
    cancel = Cancellation()
    cancel.cancel()
    async with talking(kind) as (box, server):
        assert (await failure_of(box.complete(ask(cancel=cancel)))).kind == "cancelled"
        assert not server.chats


@every_kind
@pytest.mark.parametrize("silence", ["no head", "no event", "stall"])
async def test_a_task_that_is_cancelled_stops_the_engine(silence: str, kind: str) -> None:
    async with talking(kind, [SILENCES[silence]]) as (box, server):
        task = asyncio.create_task(box.complete(ask()))
        await until(lambda: bool(server.chats))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: server.chats[0].is_dropped.is_set())


@every_kind
async def test_a_reader_who_leaves_stops_the_engine(kind: str) -> None:
    async with talking(kind, [BEGUN]) as (box, server):
        chunks = box.stream(ask())
        assert (await anext(chunks)).text == "w"
        await chunks.aclose()
        await until(lambda: server.chats[0].is_dropped.is_set())
