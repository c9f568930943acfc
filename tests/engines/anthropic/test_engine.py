from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from rung.chat import Cancellation, Message, Tool, ToolCall, Usage
from rung.config.settings import EngineSettings, Secret
from rung.engines.anthropic.engine import AnthropicEngine
from rung.engines.build import build_engine
from rung.errors import EngineErrorKind
from tests.engines.calls import ask, failure_of, last_of, until
from tests.fakes.anthropic import refusal
from tests.fakes.profiles import Route
from tests.fakes.server import FakeServer, Reply, Script, failure, html, tool_call

OPUS, OLD = "claude-opus-5-5", "claude-haiku-4-5"
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
LOOK = Tool(name="look", description="Looks.", parameters={"properties": {"at": {}}})


@asynccontextmanager
async def talking(
    script: Script = (), **settings: Any
) -> AsyncIterator[tuple[AnthropicEngine, FakeServer]]:
    """An engine named `claude` and the stand-in that it talks to."""
    async with (
        FakeServer("anthropic", script) as server,
        AnthropicEngine("claude", server.settings(**settings)) as claude,
    ):
        yield claude, server


def body_of(server: FakeServer) -> dict[str, Any]:
    (call,) = server.chats
    return call.body


def blocks(*given: dict[str, Any], finish_reason: str = "stop", **parts: Any) -> Reply:
    """An answer of the API's own blocks."""
    return Reply(extra={"blocks": given, **parts}, finish_reason=finish_reason)


def test_the_kind_has_its_adapter_and_its_address() -> None:
    engine = build_engine("claude", EngineSettings(kind="anthropic"))
    assert isinstance(engine, AnthropicEngine)
    assert (engine.base_url, engine.locality) == ("https://api.anthropic.com/v1", "cloud")


# The answer.


@pytest.mark.parametrize("is_streamed", [True, False])
async def test_an_answer_arrives_in_pieces_and_whole(is_streamed: bool) -> None:
    reply = Reply(text="Hello big world", reasoning="let me see", is_streamed=is_streamed)
    async with talking([reply]) as (claude, _):
        text, reasoning, completion = await last_of(claude, ask(model=OPUS))
    assert (text, reasoning) == ("Hello big world", "let me see")
    assert (completion.text, completion.reasoning) == (text, reasoning)
    assert (completion.finish_reason, completion.served_model) == ("stop", OPUS)
    assert (completion.usage.tokens_in, completion.usage.tokens_out) == (7, 3)
    assert (completion.flags, completion.repairs) == ((), ())


async def test_blocks_are_told_apart_by_their_type_whatever_their_order() -> None:
    reply = blocks(
        {"type": "thinking", "thinking": "", "signature": "s"},
        {"type": "redacted_thinking", "data": "xxx"},
        {"type": "text", "text": "One"},
        {"type": "text", "text": " and two."},
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "something_new", "text": "not an answer"},
        {"type": "text", "text": "Three."},
    )
    async with talking([reply]) as (claude, _):
        completion = await claude.complete(ask(model=OPUS))
    assert completion.text == "One and two.\n\nThree."
    assert completion.reasoning == "hm"


@pytest.mark.parametrize("is_streamed", [True, False])
async def test_tool_calls_are_assembled(is_streamed: bool) -> None:
    calls = (tool_call("look", {"at": "a b"}, "toolu_1"), tool_call("look", {}, "toolu_2"))
    reply = Reply(
        text="I look.", tool_calls=calls, finish_reason="tool_calls", is_streamed=is_streamed
    )
    async with talking([reply]) as (claude, _):
        completion = await claude.complete(ask(model=OPUS, tools=(LOOK,)))
    assert [(call.id, call.name) for call in completion.tool_calls] == [
        ("toolu_1", "look"),
        ("toolu_2", "look"),
    ]
    assert [call.arguments.replace(" ", "") for call in completion.tool_calls] == [
        '{"at":"ab"}',
        "{}",
    ]
    assert (completion.text, completion.finish_reason) == ("I look.", "tool_calls")


@pytest.mark.parametrize(
    ("reason", "ours"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "length"),
        ("something_new", "unknown"),
    ],
)
async def test_every_reason_to_stop_is_ours(reason: str, ours: str) -> None:
    async with talking([Reply(text="Well", finish_reason=reason)]) as (claude, _):
        assert (await claude.complete(ask(model=OPUS))).finish_reason == ours


@pytest.mark.parametrize("is_streamed", [True, False])
async def test_a_refusal_in_a_200_is_refused_with_its_category(is_streamed: bool) -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "It may do harm."}
    reply = Reply(
        text="I would",
        finish_reason="refusal",
        extra={"stop_details": details},
        is_streamed=is_streamed,
    )
    async with talking([reply]) as (claude, _):
        error = await failure_of(claude.complete(ask(model=OPUS)))
    assert error.kind == "refused"
    assert "category cyber" in error.message
    assert "may do harm" in error.message


async def test_usage_counts_what_was_cached_among_the_prompt() -> None:
    usage = {
        "input_tokens": 10,
        "cache_read_input_tokens": 2000,
        "cache_creation_input_tokens": 300,
        "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 100},
        "output_tokens": 50,
        "output_tokens_details": {"thinking_tokens": 40},
    }
    async with talking([Reply(text="Hi", usage=usage)]) as (claude, _):
        completion = await claude.complete(ask(model=OPUS))
    assert completion.usage == Usage(
        tokens_in=2310,
        tokens_cached=2000,
        tokens_cache_write=300,
        tokens_cache_write_1h=100,
        tokens_out=50,
        tokens_reasoning=40,
    )


# The request.


async def test_system_text_stands_apart_and_neighbours_of_one_role_are_one_turn() -> None:
    messages = (
        Message(role="system", content="Be brief."),
        Message(role="user", content="Look at"),
        Message(role="user", content="this.", images=("data:image/png;base64,aGk=",)),
        Message(
            role="assistant",
            tool_calls=(
                ToolCall(id="functions.look:0", name="look", arguments='{"at":"x"}'),
                ToolCall(id="b", name="look", arguments="{broken"),
            ),
        ),
        Message(role="tool", content="seen", tool_call_id="functions.look:0"),
        Message(role="tool", content="not seen", tool_call_id="b"),
        Message(role="assistant", content="  "),
        Message(role="system", content="Still brief."),
        Message(role="user", content="And?"),
    )
    async with talking() as (claude, server):
        await claude.complete(ask(model=OPUS, messages=messages, tools=(LOOK,)))
        body = body_of(server)
    assert body["system"] == "Be brief.\n\nStill brief."
    image = {"type": "base64", "media_type": "image/png", "data": "aGk="}
    assert body["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look at"},
                {"type": "image", "source": image},
                {"type": "text", "text": "this."},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {
                    "type": "tool_use",
                    "id": "functions_look_0",
                    "name": "look",
                    "input": {"at": "x"},
                },
                {"type": "tool_use", "id": "b", "name": "look", "input": {"text": "{broken"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "functions_look_0", "content": "seen"},
                {"type": "tool_result", "tool_use_id": "b", "content": "not seen"},
                {"type": "text", "text": "And?"},
            ],
        },
    ]


async def test_the_key_and_the_version_go_into_their_own_headers() -> None:
    async with FakeServer("anthropic", ["hi"], api_key="right") as server:
        async with AnthropicEngine("claude", server.settings()) as claude:
            assert (await claude.complete(ask(model=OPUS))).text == "hi"
        wrong = server.settings(api_key=Secret("wr0ng-k3y"))
        async with AnthropicEngine("claude", wrong) as claude:
            error = await failure_of(claude.complete(ask(model=OPUS)))
            assert (await failure_of(claude.list_models())).kind == "unauthorized"
    headers = server.chats[0].headers
    assert (headers["x-api-key"], headers["anthropic-version"]) == ("right", "2023-06-01")
    assert "Authorization" not in headers
    assert error.kind == "unauthorized"
    assert "wr0ng-k3y" not in str(error)


async def test_without_a_key_nothing_is_asked() -> None:
    async with talking(api_key=Secret()) as (claude, server):
        assert (await failure_of(claude.complete(ask(model=OPUS)))).kind == "unconfigured"
        assert (await failure_of(claude.count_tokens(ask(model=OPUS)))).kind == "unconfigured"
        assert not server.calls


async def test_what_the_api_demands_and_the_caller_left_out_is_filled_in() -> None:
    async with talking() as (claude, server):
        await claude.complete(ask(model=OPUS, stop=("END",)))
        body = body_of(server)
    assert body["max_tokens"] > 4096
    assert body["stop_sequences"] == ["END"]
    assert body["stream"] is True


@pytest.mark.parametrize(
    ("model", "sent"),
    [
        ("claude-3-5-haiku-20241022", {"temperature": 1.0}),
        ("claude-haiku-4-5", {"temperature": 1.0}),
        ("claude-sonnet-4-6", {"temperature": 1.0}),
        ("claude-opus-4-7", {}),
        ("claude-opus-5", {}),
        ("claude-sonnet-5-5", {}),
        ("claude-opus-9", {}),
    ],
)
async def test_sampling_is_sent_only_to_models_that_take_it(
    model: str, sent: dict[str, Any]
) -> None:
    async with talking() as (claude, server):
        await claude.complete(ask(model=model, temperature=1.6, top_p=0.9))
        body = body_of(server)
    assert {name: body[name] for name in ("temperature", "top_p") if name in body} == sent


@pytest.mark.parametrize("choice", ["required", "look"])
@pytest.mark.parametrize(
    "model", ["claude-opus-5-5", "claude-sonnet-5-5", "claude-fable-5-1", "claude-new-7"]
)
async def test_a_forced_call_is_asked_for_where_it_cannot_be_forced(
    model: str, choice: str
) -> None:
    script = ["I would rather talk.", Reply(tool_calls=(tool_call("look", {"at": "x"}),))]
    request = ask(
        model=model,
        messages=(Message(role="system", content="Be."), Message(role="user", content="Do.")),
        tools=(LOOK,),
        tool_choice=choice,
    )
    async with talking(script) as (claude, server):
        talked, called = await claude.complete(request), await claude.complete(request)
    body = server.chats[0].body
    assert body["tool_choice"] == {"type": "auto"}
    assert body["system"].startswith("Be.\n\nAnswer with a call")
    assert ("`look`" in body["system"]) is (choice == "look")
    assert (talked.flags, called.flags) == (("tool_choice_not_enforced",), ())


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("required", {"type": "any"}),
        ("look", {"type": "tool", "name": "look"}),
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        (None, None),
    ],
)
async def test_a_choice_of_tool_is_said_in_the_apis_words(
    choice: str | None, sent: dict[str, Any] | None
) -> None:
    reply = Reply(tool_calls=(tool_call("look", {"at": "x"}),), finish_reason="tool_calls")
    async with talking([reply]) as (claude, server):
        completion = await claude.complete(ask(model=OLD, tools=(LOOK,), tool_choice=choice))
        body = body_of(server)
    assert body.get("tool_choice") == sent
    assert "system" not in body
    assert body["tools"][0]["input_schema"] == {"type": "object", "properties": {"at": {}}}
    assert "tool_choice_not_enforced" not in completion.flags


ADAPTIVE = {"type": "adaptive", "display": "summarized"}
IMPOSSIBLE = {"output_config": {"effort": "low"}}
# What a model is sent for thinking off and on.
THINKING: list[tuple[str, dict[str, Any], bool, dict[str, Any], bool]] = [
    ("claude-3-5-haiku-latest", {}, True, {}, False),
    ("claude-haiku-4-5", {}, True, {"thinking": {"type": "enabled", "budget_tokens": 8192}}, True),
    (
        "claude-opus-4-6",
        {"thinking": {"type": "disabled"}},
        True,
        {"thinking": {"type": "adaptive"}},
        True,
    ),
    ("claude-opus-4-8", {"thinking": {"type": "disabled"}}, True, {"thinking": ADAPTIVE}, True),
    ("claude-opus-5", {"thinking": {"type": "disabled"}}, True, {"thinking": ADAPTIVE}, True),
    ("claude-sonnet-5", {"thinking": {"type": "disabled"}}, True, {"thinking": ADAPTIVE}, True),
    (
        "claude-sonnet-5-5",
        {"thinking": {"type": "between_tools"}},
        True,
        {"thinking": ADAPTIVE},
        True,
    ),
    ("claude-haiku-5-5", {"thinking": {"type": "disabled"}}, True, {"thinking": ADAPTIVE}, True),
    ("claude-opus-5-5-20260922", IMPOSSIBLE, False, {"thinking": ADAPTIVE}, True),
    ("claude-fable-5", IMPOSSIBLE, False, {"thinking": ADAPTIVE}, True),
    ("claude-fable-5-2", IMPOSSIBLE, False, {"thinking": ADAPTIVE}, True),
    ("claude-unheard-of-8", IMPOSSIBLE, False, {"thinking": ADAPTIVE}, True),
]


@pytest.mark.parametrize(("model", "off", "can_stop", "on", "can_start"), THINKING)
async def test_thinking_is_switched_as_each_model_lets_it_be(
    model: str, off: dict[str, Any], can_stop: bool, on: dict[str, Any], can_start: bool
) -> None:
    for think, sent, is_obeyed in ((False, off, can_stop), (True, on, can_start)):
        async with talking() as (claude, server):
            completion = await claude.complete(ask(model=model, think=think, temperature=0.5))
            body = body_of(server)
        switches = {name: body[name] for name in ("thinking", "output_config") if name in body}
        assert switches == sent
        assert ("thinking_not_switched" in completion.flags) is not is_obeyed


async def test_a_model_that_thinks_unasked_is_asked_to_show_it() -> None:
    async with talking() as (claude, server):
        for model in (OPUS, "claude-opus-4-8", OLD):
            await claude.complete(ask(model=model))
    assert [call.body.get("thinking") for call in server.chats] == [ADAPTIVE, None, None]


async def test_thinking_gives_way_to_a_forced_call_a_short_answer_and_an_open_call() -> None:
    call = Reply(tool_calls=(tool_call("look", {"at": "x"}),))
    called = (
        Message(role="user", content="Look."),
        Message(role="assistant", tool_calls=(ToolCall(id="1", name="look", arguments="{}"),)),
        Message(role="tool", content="seen", tool_call_id="1"),
    )
    async with talking([call, "short", "seen"]) as (claude, server):
        forced = await claude.complete(
            ask(model=OLD, think=True, tools=(LOOK,), tool_choice="required")
        )
        short = await claude.complete(ask(model=OLD, think=True, max_tokens=1000))
        inside = await claude.complete(ask(model=OLD, think=True, tools=(LOOK,), messages=called))
    assert all("thinking" not in call.body for call in server.chats)
    assert forced.flags == short.flags == inside.flags == ("thinking_not_switched",)


async def test_reasoning_is_never_sent_back() -> None:
    async with talking([Reply(text="First", reasoning="SECRET")]) as (claude, server):
        first = await claude.complete(ask(model=OPUS))
        turns = (
            Message(role="user", content="hi"),
            Message(role="assistant", content=first.text),
            Message(role="user", content="more"),
        )
        await claude.complete(ask(model=OPUS, messages=turns))
    assert "SECRET" not in str(server.chats[1].body)


async def test_a_schema_is_enforced_in_the_form_that_the_api_takes() -> None:
    schema = {
        "type": "object",
        "properties": {
            "n": {"type": "integer", "minimum": 1, "maximum": 5},
            "when": {"type": "string", "format": "date"},
            "tags": {"type": "array", "items": {"type": "string", "maxLength": 9}, "maxItems": 3},
        },
        "required": ["n"],
    }
    async with talking(['{"n":1}']) as (claude, server):
        completion = await claude.complete(ask(model=OPUS, schema=schema, think=False))
        body = body_of(server)
    sent = body["output_config"]["format"]
    assert sent["type"] == "json_schema"
    assert sent["schema"]["additionalProperties"] is False
    assert sent["schema"]["required"] == ["n"]
    assert sent["schema"]["properties"]["when"]["format"] == "date"
    assert body["output_config"]["effort"] == "low"
    assert "schema_not_enforced" not in completion.flags


@pytest.mark.parametrize(
    ("model", "schema"),
    [
        ("claude-sonnet-4-20250514", SCHEMA),
        ("some-other-model", SCHEMA),
        (OPUS, {"type": "object", "additionalProperties": {"type": "string"}}),
        (OPUS, {"type": "array", "items": {"type": "string"}}),
    ],
)
async def test_a_schema_that_cannot_be_enforced_is_flagged(
    model: str, schema: dict[str, Any]
) -> None:
    async with talking(['{"a":"b"}']) as (claude, server):
        completion = await claude.complete(ask(model=model, schema=schema))
        assert "output_config" not in body_of(server)
    assert completion.flags == ("schema_not_enforced",)


@pytest.mark.parametrize(
    "message",
    ["Schema is too complex for compilation.", "output_config.format.schema: bad pattern"],
)
async def test_a_schema_that_the_api_refuses_goes_unenforced_and_is_flagged(message: str) -> None:
    refusal = failure(400, {"error": {"type": "invalid_request_error", "message": message}})
    async with talking([refusal, '{"a":"b"}']) as (claude, server):
        completion = await claude.complete(ask(model=OPUS, schema=SCHEMA))
        first, second = (call.body for call in server.chats)
    assert first["output_config"]["format"]["schema"]
    assert "format" not in second["output_config"]
    assert {**second, "output_config": first["output_config"]} == first
    assert completion.text == '{"a":"b"}'
    assert completion.flags == ("schema_not_enforced",)


async def test_a_refusal_that_is_not_about_the_schema_is_final() -> None:
    refusal = failure(400, {"error": {"type": "invalid_request_error", "message": "max_tokens"}})
    async with talking([refusal, '{"a":"b"}']) as (claude, server):
        error = await failure_of(claude.complete(ask(model=OPUS, schema=SCHEMA)))
        assert len(server.chats) == 1
    assert error.kind == "bad_request"


@pytest.mark.parametrize(
    "messages",
    [
        (),
        (Message(role="system", content="Be."),),
        (Message(role="user", content=" \n"),),
        (Message(role="user", content="hi \ud800"),),
        (Message(role="user", content="hi", images=("file:///etc/passwd",)),),
    ],
)
async def test_what_cannot_be_sent_is_a_bad_request_and_costs_nothing(
    messages: tuple[Message, ...],
) -> None:
    async with talking() as (claude, server):
        error = await failure_of(claude.complete(ask(model=OPUS, messages=messages)))
        assert not server.calls
    assert error.kind == "bad_request"


# Errors.


def api_error(status: int, kind: str, message: str = "no") -> Reply:
    return refusal(message, status, kind)


ERRORS: list[tuple[Reply, EngineErrorKind]] = [
    (api_error(400, "invalid_request_error", "max_tokens: too large"), "bad_request"),
    (
        api_error(
            400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"
        ),
        "context_overflow",
    ),
    (
        api_error(
            400,
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
        ),
        "context_overflow",
    ),
    (
        api_error(400, "invalid_request_error", "Your credit balance is too low to access the API"),
        "over_budget",
    ),
    (api_error(401, "authentication_error"), "unauthorized"),
    (api_error(402, "billing_error"), "over_budget"),
    (api_error(403, "permission_error"), "unauthorized"),
    (api_error(404, "not_found_error", "model: claude-opus-99"), "model_missing"),
    (api_error(413, "request_too_large", "Request exceeds the maximum size"), "context_overflow"),
    (api_error(429, "rate_limit_error"), "rate_limited"),
    (api_error(500, "api_error", "Internal server error"), "server_error"),
    (api_error(504, "timeout_error"), "timeout"),
    (api_error(529, "overloaded_error", "Overloaded"), "overloaded"),
    (failure(529, "upstream connect error"), "overloaded"),
    (html(), "unreachable"),
    (html(502), "server_error"),
    (failure(200, ""), "bad_output"),
    (failure(200, {"type": "message", "content": []}), "bad_output"),
    (failure(200, {"type": "error", "error": {"type": "overloaded_error"}}), "overloaded"),
    (failure(200, '{"type":"message","content":[{"ty'), "bad_output"),
    (Reply(text="a b", error_after=4, error={"type": "overloaded_error"}), "overloaded"),
    (Reply(text="a b", error_after=4, error={"type": "api_error"}), "server_error"),
    (Reply(text="a b", drop_after=4), "unreachable"),
    (Reply(text="a b", finish_reason=None, has_end_marker=False), "bad_output"),
    (Reply(text="", reasoning="hm", finish_reason="length"), "bad_output"),
    (Reply(text=""), "bad_output"),
    (Reply(raw_events=(b"event: content_block_delta\ndata: {half\n\n",)), "bad_output"),
]


@pytest.mark.parametrize(("misdeed", "kind"), ERRORS, ids=range(len(ERRORS)))
async def test_each_documented_error_and_each_lie_has_its_kind(
    misdeed: Reply, kind: EngineErrorKind
) -> None:
    async with talking([misdeed, "fine again"]) as (claude, server):
        error = await failure_of(claude.complete(ask(model=OPUS)))
        assert (error.kind, error.engine, error.model) == (kind, "claude", OPUS)
        assert (await claude.complete(ask(model=OPUS))).text == "fine again"
        assert len(server.chats) == 2, "an engine never retries"


async def test_an_error_tells_when_to_come_back_and_which_request_it_was() -> None:
    headers = {"retry-after": "7", "request-id": "req_011"}
    error = {"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}}
    script = [
        failure(429, error, headers=headers),
        Reply(text="a b", error_after=3, error={"type": "overloaded_error", "message": "busy"}),
    ]
    async with talking(script) as (claude, _):
        limited = await failure_of(claude.complete(ask(model=OPUS)))
        broken = await failure_of(claude.complete(ask(model=OPUS)))
    assert (limited.kind, limited.retry_after_s) == ("rate_limited", 7.0)
    assert "req_011" in limited.message
    assert "req_0" in broken.message


async def test_a_ping_is_no_progress() -> None:
    stalled = Reply(text="x y z", stall_after=4, ping_every_s=0.01)
    async with talking([stalled], stall_timeout_s=0.15, timeout_s=600.0) as (claude, server):
        assert (await failure_of(claude.complete(ask(model=OPUS)))).kind == "timeout"
        await until(lambda: server.chats[0].is_dropped.is_set())


async def test_a_model_that_thinks_unseen_is_not_stalled() -> None:
    hidden = [{"type": "thinking", "thinking": "", "signature": str(n)} for n in range(8)]
    reply = blocks({"type": "text", "text": "So"}, *hidden, {"type": "text", "text": "it is."})
    slow = Reply(extra=reply.extra, between_s=0.05)
    async with talking([slow], stall_timeout_s=0.4, timeout_s=600.0) as (claude, _):
        assert (await claude.complete(ask(model=OPUS))).text == "So\n\nit is."


async def test_a_cancellation_stops_the_engine() -> None:
    cancel = Cancellation()
    async with talking([Reply(text="x y z", stall_after=4)]) as (claude, server):
        task = asyncio.create_task(failure_of(claude.complete(ask(model=OPUS, cancel=cancel))))
        await until(lambda: bool(server.chats))
        cancel.cancel()
        assert (await task).kind == "cancelled"
        await until(lambda: server.chats[0].is_dropped.is_set())


# Tokens, models, health.


async def test_tokens_are_counted_by_the_api_and_no_answer_is_asked_for() -> None:
    request = ask(
        "How many?", model=OPUS, tools=(LOOK,), schema=SCHEMA, temperature=0.5, max_tokens=9
    )
    async with talking() as (claude, server):
        counted = await claude.count_tokens(request)
        assert not server.chats
    (call,) = server.calls
    assert counted is not None and counted > 0
    assert call.path == "/v1/messages/count_tokens"
    assert {"tools", "messages", "output_config"} <= call.body.keys()


async def test_a_count_that_is_refused_says_why() -> None:
    async with FakeServer("anthropic", api_key="right") as server:
        wrong = server.settings(api_key=Secret("wr0ng-k3y"))
        async with AnthropicEngine("claude", wrong) as claude:
            error = await failure_of(claude.count_tokens(ask(model=OPUS)))
    assert (error.kind, error.model) == ("unauthorized", OPUS)


async def test_every_page_of_the_models_is_read() -> None:
    async with talking() as (claude, server):
        server.page_limit = 1
        models = await claude.list_models()
    assert [model.id for model in models][1:] == ["claude-opus-5-5", "claude-haiku-4-5-20251001"]
    assert models[1].context_tokens == 1_000_000
    assert models[1].capabilities == {"tools", "vision", "thinking"}
    assert [call.query.get("after_id") for call in server.calls] == [
        None,
        models[0].id,
        "claude-opus-5-5",
    ]


@pytest.mark.parametrize("content", ["", "{", {"data": 3}, "<html><title>nginx</title></html>"])
async def test_a_list_that_makes_no_sense_is_an_error(content: Any) -> None:
    async with talking() as (claude, server):
        server.routes["/v1/models"] = Route(content=content)
        assert (await failure_of(claude.list_models())).kind in ("bad_output", "unreachable")


async def test_a_probe_of_the_paid_api_asks_for_no_token() -> None:
    async with talking(locality="cloud") as (claude, server):
        health = await claude.health(OPUS, probe=True)
        assert not server.chats
    assert (health.reachable.ok, health.listed.ok, health.probed.ok) == (True, True, None)
    assert "paid" in (health.probed.error or "")


async def test_a_wrong_key_is_reachable_but_lists_nothing() -> None:
    async with FakeServer("anthropic", api_key="right") as server:
        wrong = server.settings(api_key=Secret("wr0ng-k3y"))
        async with AnthropicEngine("claude", wrong) as claude:
            health = await claude.health()
    assert (health.reachable.ok, health.listed.ok) == (True, False)
    assert "unauthorized" in (health.listed.error or "")
