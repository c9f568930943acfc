from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from rung.chat import Message, Tool, ToolCall
from rung.engines.lmstudio.chat import ROUTE, can_carry, reasoning_option
from rung.engines.lmstudio.engine import LMStudioEngine
from rung.errors import EngineErrorKind
from tests.engines.calls import ask, failure_of, last_of, until
from tests.engines.lmstudio.test_engine import running
from tests.fakes.formats import sse
from tests.fakes.lmstudio import LMStudio
from tests.fakes.profiles import LMSTUDIO_MODEL
from tests.fakes.server import MODEL, FakeServer, Reply, failure, html

USER = Message(role="user", content="hi")
PIXEL = "data:image/png;base64,QUJD"
THINKER = {
    **LMSTUDIO_MODEL,
    "capabilities": {"reasoning": {"allowed_options": ["off", "on"], "default": "on"}},
}


def sent(studio: LMStudio) -> dict[str, Any]:
    """The body of the only chat, which must have come to the native route."""
    (call,) = studio.server.chats
    assert call.path == ROUTE
    return call.body


async def test_an_answer_of_the_native_route_is_whole() -> None:
    reply = Reply(
        text="Hello big world",
        reasoning="let me see",
        usage={"input_tokens": 24, "total_output_tokens": 53, "reasoning_output_tokens": 3},
        extra={"model_load_time_seconds": 1.5},
    )
    async with running([reply], endpoint=ROUTE) as (engine, studio):
        text, reasoning, completion = await last_of(engine, ask(max_tokens=100))
        assert sent(studio)["store"] is False
    assert (text, reasoning) == ("Hello big world", "let me see")
    assert (completion.text, completion.reasoning) == (text, reasoning)
    assert (completion.served_model, completion.finish_reason) == (MODEL, "stop")
    usage = completion.usage
    assert (usage.tokens_in, usage.tokens_out, usage.tokens_reasoning) == (24, 53, 3)
    assert (completion.timings.tokens_per_s, completion.timings.load_ms) == (51.4, 1500.0)
    assert completion.timings.first_token_ms is not None
    assert (completion.repairs, completion.flags) == ((), ())


async def test_everything_that_the_route_knows_is_sent_in_its_words() -> None:
    request = ask(
        messages=(
            Message(role="system", content="be brief"),
            Message(role="system", content="be kind"),
            Message(role="user", content="what is this?", images=(PIXEL,)),
        ),
        temperature=0.5,
        top_p=0.9,
        max_tokens=7,
        context_tokens=2048,
    )
    async with running(endpoint=ROUTE) as (engine, studio):
        await engine.complete(request)
        assert sent(studio) == {
            "model": MODEL,
            "input": [
                {"type": "text", "content": "what is this?"},
                {"type": "image", "data_url": PIXEL},
            ],
            "system_prompt": "be brief\n\nbe kind",
            "temperature": 0.5,
            "top_p": 0.9,
            "max_output_tokens": 7,
            "context_length": 2048,
            "stream": True,
            "store": False,
        }


async def test_a_plain_prompt_is_sent_as_plain_text() -> None:
    async with running(endpoint="api/v1/chat/") as (engine, studio):
        await engine.complete(ask("hi"))
        assert sent(studio)["input"] == "hi"


CANNOT: list[dict[str, Any]] = [
    {"tools": (Tool(name="look"),)},
    {"schema": {"type": "object"}},
    {"stop": ("end",)},
    {"seed": 0},
    {"messages": ()},
    {"messages": (USER, Message(role="assistant", content="ho"), USER)},
    {"messages": (USER, USER)},
    {"messages": (USER, Message(role="system", content="late"))},
    {"messages": (Message(role="user", content="x", images=(PIXEL, PIXEL)),)},
    {"messages": (USER, Message(role="tool", content="x", tool_call_id="1"))},
    {
        "messages": (
            Message(role="assistant", tool_calls=(ToolCall(id="1", name="a", arguments=""),)),
        )
    },
]


@pytest.mark.parametrize("parts", CANNOT, ids=range(len(CANNOT)))
def test_what_the_route_does_not_know_it_cannot_carry(parts: dict[str, Any]) -> None:
    assert can_carry(ask())
    assert not can_carry(replace(ask(), **parts))


async def test_what_it_cannot_carry_goes_to_the_other_route_and_is_flagged() -> None:
    async with running(endpoint=ROUTE) as (engine, studio):
        completion = await engine.complete(ask(seed=3))
        assert (completion.text, completion.flags) == ("hi", ("endpoint_not_used",))
        assert [call.path for call in studio.server.calls] == ["/v1/chat/completions"]


async def test_another_endpoint_speaks_openais_form() -> None:
    async with FakeServer("lmstudio", ["hi"]) as server:
        server.formats["/v2/talk"] = server.formats["/v1/chat/completions"]
        async with LMStudioEngine("lm", server.settings(endpoint="/v2/talk")) as engine:
            assert (await engine.complete(ask())).text == "hi"
        assert [call.path for call in server.calls] == ["/v2/talk"]


@pytest.mark.parametrize(
    ("think", "allowed", "option"),
    [
        (None, ("off", "on"), None),
        (False, ("off", "on"), "off"),
        (True, ("off", "on"), "on"),
        (True, ("low", "medium", "high"), "medium"),
        (True, ("off", "low"), "low"),
        (False, ("low", "high"), None),
        (True, (), None),
        (True, ("deep",), None),
    ],
)
def test_reasoning_is_asked_for_in_a_way_that_the_model_takes(
    think: bool | None, allowed: tuple[str, ...], option: str | None
) -> None:
    assert reasoning_option(think, allowed) == option


@pytest.mark.parametrize(("think", "reasoning"), [(True, "hm"), (False, "")])
async def test_thinking_is_switched_on_the_native_route(think: bool, reasoning: str) -> None:
    reply = Reply(text="hi", reasoning=reasoning)
    async with running([reply], endpoint=ROUTE, models=[THINKER]) as (engine, studio):
        for _ in range(2):
            completion = await engine.complete(ask(think=think, model=f"{MODEL}@q4_k_m"))
            assert completion.flags == ()
        assert [call.body["reasoning"] for call in studio.server.chats] == [
            "on" if think else "off"
        ] * 2
        assert [call.path for call in studio.server.calls].count("/api/v1/models") == 1


async def test_a_model_that_cannot_switch_is_not_asked_to() -> None:
    async with running(endpoint=ROUTE) as (engine, studio):
        completion = await engine.complete(ask(think=True))
        assert "reasoning" not in sent(studio)
    assert completion.flags == ("thinking_not_switched",)


@pytest.mark.parametrize(
    ("max_tokens", "extra", "finish"),
    [
        (None, {}, "stop"),
        (3, {}, "stop"),
        (2, {}, "length"),
        (None, {"stop_reason": "contextLengthReached"}, "length"),
        (2, {"stop_reason": "eosFound"}, "stop"),
    ],
)
async def test_the_end_of_an_answer_has_its_reason(
    max_tokens: int | None, extra: dict[str, Any], finish: str
) -> None:
    async with running([Reply(text="a b", extra=extra)], endpoint=ROUTE) as (engine, _):
        assert (await engine.complete(ask(max_tokens=max_tokens))).finish_reason == finish


async def test_a_server_that_does_not_stream_is_understood() -> None:
    reply = Reply(text="Hello", reasoning="hm", is_streamed=False)
    async with running([reply], endpoint=ROUTE) as (engine, _):
        completion = await engine.complete(ask())
    assert (completion.text, completion.reasoning) == ("Hello", "hm")
    assert (completion.finish_reason, completion.served_model) == ("stop", MODEL)


async def test_an_answer_that_comes_only_with_the_last_event_is_not_lost() -> None:
    result = {"output": [{"type": "message", "content": "all"}]}
    end = sse({"type": "chat.end", "result": result}, "chat.end")
    async with running([Reply(raw_events=(end,))], endpoint=ROUTE) as (engine, _):
        assert (await engine.complete(ask())).text == "all"


# What it does, and what that must be called; beside the errors in test_lmstudio.
MISDEEDS: list[tuple[Reply, EngineErrorKind]] = [
    (html(), "unreachable"),
    (html(404), "unreachable"),
    (html(502), "server_error"),
    (failure(200, ""), "bad_output"),
    (failure(200, '{"output":[{"type":"mess'), "bad_output"),
    (failure(200, {"fine": True}), "bad_output"),
    (failure(200, {"error": {"message": "x", "type": "model_not_found"}}), "model_missing"),
    (failure(503, {"error": {"message": "Loading model"}}), "model_not_loaded"),
    (failure(429, {"error": {"message": "slow down"}}), "rate_limited"),
    (Reply(text="a b", has_end_marker=False), "bad_output"),
    (Reply(text="a b", drop_after=5), "unreachable"),
    (Reply(text="a b", error_after=6), "server_error"),
    (
        Reply(text="a b", error_after=0, error={"type": "model_not_found", "message": "x"}),
        "model_missing",
    ),
    (Reply(text=None), "bad_output"),
    (Reply(text="", reasoning="on and on"), "bad_output"),
    (Reply(raw_events=(b"event: message.delta\ndata: {oops\n\n",)), "bad_output"),
]


@pytest.mark.parametrize(("misdeed", "kind"), MISDEEDS, ids=range(len(MISDEEDS)))
async def test_each_misdeed_on_the_native_route_has_its_kind(
    misdeed: Reply, kind: EngineErrorKind
) -> None:
    async with running([misdeed, "fine again"], endpoint=ROUTE) as (engine, studio):
        error = await failure_of(engine.complete(ask()))
        assert (error.kind, error.model) == (kind, MODEL)
        assert (await engine.complete(ask())).text == "fine again"
        assert len(studio.server.chats) == 2, "an engine never retries"


async def test_a_silent_stream_is_given_up_and_the_engine_stopped() -> None:
    async with FakeServer("lmstudio", [Reply(text="a b c", stall_after=6)]) as server:
        settings = server.settings(endpoint=ROUTE, stall_timeout_s=0.15)
        async with LMStudioEngine("lm", settings) as engine:
            assert (await failure_of(engine.complete(ask()))).kind == "timeout"
            await until(lambda: server.chats[0].is_dropped.is_set())


async def test_a_wrong_model_is_refused_on_the_native_route_too() -> None:
    async with running(endpoint=ROUTE, answers_any=True) as (engine, _):
        assert (await failure_of(engine.complete(ask(model="big-70b")))).kind == "model_not_loaded"


async def test_an_older_lm_studio_names_the_setting_that_asks_too_much() -> None:
    async with running(endpoint=ROUTE, version="0.3") as (engine, _):
        error = await failure_of(engine.complete(ask()))
    assert (error.kind, "endpoint" in error.message) == ("bad_request", True)


async def test_text_that_is_not_unicode_is_refused() -> None:
    async with running(endpoint=ROUTE) as (engine, studio):
        assert (await failure_of(engine.complete(ask("\ud800")))).kind == "bad_request"
        assert studio.server.chats == []
