from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from rung.chat import Cancellation, Tool, ToolCall
from rung.config.settings import EngineSettings, Secret
from rung.engines.build import build_engine
from rung.engines.http_engine import HttpEngine
from rung.engines.openai_compatible import OpenAICompatibleEngine
from rung.errors import EngineErrorKind
from tests.engines.calls import ask, failure_of, last_of, until
from tests.fakes.server import (
    MODEL,
    Call,
    FakeServer,
    Reply,
    Script,
    failure,
    tool_call,
)

KINDS = ["lmstudio", "vllm", "llamacpp", "openrouter", "openai"]
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
FOREVER_S = 600.0


@asynccontextmanager
async def talking(
    script: Script, kind: str = "openai", *, stall_timeout_s: float = FOREVER_S, **settings: Any
) -> AsyncIterator[tuple[HttpEngine, FakeServer]]:
    """An engine named `box`, with the adapter of its kind, and the stand-in that it talks to."""
    async with FakeServer(kind, script) as server:
        changed = server.settings(stall_timeout_s=stall_timeout_s, **settings)
        async with build_engine("box", changed) as box:
            yield box, server


@pytest.mark.parametrize("kind", KINDS)
async def test_an_answer_arrives_in_pieces_and_whole(kind: str) -> None:
    reply = Reply(text="Hello big world", reasoning="let me see", usage={"prompt_tokens": 7})
    async with talking([reply], kind) as (box, _):
        text, reasoning, completion = await last_of(box, ask())
    assert (text, reasoning) == ("Hello big world", "let me see")
    assert (completion.text, completion.reasoning) == (text, reasoning)
    assert (completion.engine, completion.locality) == ("box", "local")
    assert (completion.finish_reason, completion.usage.tokens_in) == ("stop", 7)
    assert completion.timings.first_token_ms is not None
    assert completion.timings.first_token_ms <= completion.timings.total_ms
    assert completion.repairs == ()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_server_that_does_not_stream_is_understood(kind: str) -> None:
    reply = Reply(text="Hello", reasoning="hm", is_streamed=False)
    async with talking([reply], kind) as (box, _):
        completion = await box.complete(ask())
    assert (completion.text, completion.reasoning) == ("Hello", "hm")


@pytest.mark.parametrize("kind", KINDS)
async def test_the_key_is_sent_and_a_wrong_one_is_unauthorized(kind: str) -> None:
    async with FakeServer(kind, ["hi"], api_key="right") as server:
        async with build_engine("box", server.settings()) as box:
            assert (await box.complete(ask())).text == "hi"
        wrong = server.settings(api_key=Secret("wr0ng-k3y"))
        async with build_engine("box", wrong) as box:
            error = await failure_of(box.complete(ask()))
            assert (await failure_of(box.list_models())).kind == "unauthorized"
    assert error.kind == "unauthorized"
    assert "wr0ng-k3y" not in str(error)


@pytest.mark.parametrize(
    ("kind", "base_url"),
    [("openrouter", ""), ("openai", ""), ("openai", "https://api.openai.com/v1/")],
)
async def test_a_cloud_engine_without_a_key_is_not_called(kind: Any, base_url: str) -> None:
    async with OpenAICompatibleEngine("c", EngineSettings(kind=kind, base_url=base_url)) as cloud:
        assert cloud.locality == "cloud"
        error = await failure_of(cloud.complete(ask()))
    assert (error.kind, "api_key" in error.message) == ("unconfigured", True)


@pytest.mark.parametrize("kind", KINDS)
async def test_tool_calls_are_assembled(kind: str) -> None:
    calls = (tool_call("look", '{"at":'), {"index": 0, "function": {"arguments": '"a"}'}})
    reply = Reply(text=None, tool_calls=calls, finish_reason="tool_calls")
    async with talking([reply], kind) as (box, _):
        completion = await box.complete(ask(tools=(Tool(name="look"),)))
    assert completion.tool_calls == (ToolCall(id="call_1", name="look", arguments='{"at":"a"}'),)
    assert (completion.text, completion.finish_reason) == ("", "tool_calls")


@pytest.mark.parametrize("kind", KINDS)
async def test_the_model_that_answered_is_told(kind: str) -> None:
    async with talking([Reply(text="hi", model="another")], kind) as (box, _):
        completion = await box.complete(ask())
    assert (completion.model, completion.served_model) == (MODEL, "another")


async def test_the_engines_own_speed_and_cost_are_kept() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "cost": 0.5}
    reply = Reply(text="hi", usage=usage, extra={"timings": {"predicted_per_second": 42.0}})
    async with talking([reply]) as (box, _):
        completion = await box.complete(ask())
    assert (completion.timings.tokens_per_s, completion.usage.cost_usd) == (42.0, 0.5)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_stream_may_forget_its_end_marker_but_not_its_finish_reason(
    kind: str,
) -> None:
    forgetful = [
        Reply(text="hi", has_end_marker=False),
        Reply(text="hi", finish_reason=None),
        Reply(text="hi", finish_reason=None, has_end_marker=False),
    ]
    async with talking(forgetful, kind) as (box, _):
        assert (await box.complete(ask())).finish_reason == "stop"
        assert (await box.complete(ask())).finish_reason == "unknown"
        error = await failure_of(box.complete(ask()))
    assert (error.kind, "cut off" in error.message) == ("bad_output", True)


# What only this API can do; `test_every_kind` has what all can.
MISDEEDS: list[tuple[Reply, EngineErrorKind]] = [
    (Reply(text="hello", finish_reason="error", usage={}), "server_error"),
    (Reply(text="", finish_reason="content_filter"), "refused"),
]


@pytest.mark.parametrize("engine_kind", KINDS)
@pytest.mark.parametrize(("misdeed", "kind"), MISDEEDS, ids=range(len(MISDEEDS)))
async def test_each_misdeed_of_an_engine_has_its_kind(
    misdeed: Reply, kind: EngineErrorKind, engine_kind: str
) -> None:
    async with talking([misdeed, "fine again"], engine_kind) as (box, server):
        error = await failure_of(box.complete(ask()))
        assert (error.kind, error.engine, error.model) == (kind, "box", MODEL)
        assert "<" not in error.message
        assert (await box.complete(ask())).text == "fine again"
        assert len(server.chats) == 2, "an engine never retries"


async def test_an_answer_lost_in_reasoning_names_the_remedy_and_hides_the_reasoning() -> None:
    reply = Reply(text="", reasoning="SECRET THOUGHT", finish_reason="length")
    async with talking([reply]) as (box, _):
        error = await failure_of(box.complete(ask()))
    assert "max_tokens" in error.message
    assert "THOUGHT" not in error.message


async def test_reasoning_alone_is_let_through_where_a_schema_may_find_its_object_in_it() -> None:
    reply = Reply(text="", reasoning='{"a":"b"}')
    async with talking([reply], "lmstudio") as (box, _):
        completion = await box.complete(ask(schema=SCHEMA))
    assert (completion.text, completion.reasoning) == ("", '{"a":"b"}')


async def test_a_dead_engine_is_unreachable_with_advice() -> None:
    async with talking(["hi"], "vllm") as (box, server):
        await server.stop()
        error = await failure_of(box.complete(ask()))
        assert (error.kind, "still be loading" in error.message) == ("unreachable", True)
        async with server:
            assert (await box.complete(ask())).text == "hi"


@pytest.mark.parametrize(
    ("base_url", "kind"),
    [
        ("http://no-such-host.invalid/v1", "unreachable"),
        ("localhost:1234/v1", "unconfigured"),
        ("nonsense", "unconfigured"),
    ],
)
async def test_an_address_that_leads_nowhere_says_so(base_url: str, kind: str) -> None:
    async with OpenAICompatibleEngine("x", EngineSettings(base_url=base_url)) as engine:
        error = await failure_of(engine.complete(ask()))
    assert (error.kind, "base_url" in error.message) == (kind, True)


async def test_a_key_that_no_header_can_carry_is_a_matter_of_configuration() -> None:
    async with talking(["hi"], api_key=Secret("a\nb")) as (box, server):
        assert (await failure_of(box.complete(ask()))).kind == "unconfigured"
        assert not server.calls


async def test_something_that_does_not_speak_http_is_unreachable() -> None:
    async def mumble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(mumble, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        settings = EngineSettings(base_url=f"http://127.0.0.1:{port}/v1")
        async with OpenAICompatibleEngine("x", settings) as engine:
            assert (await failure_of(engine.complete(ask()))).kind == "unreachable"


async def test_localhost_is_always_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    async def elsewhere(*_: object, **__: object) -> Any:
        raise AssertionError("a name server was asked for localhost")

    monkeypatch.setattr("aiohttp.ThreadedResolver.resolve", elsewhere)
    async with FakeServer(script=["hi"]) as server:
        url = server.base_url.replace("127.0.0.1", "localhost")
        async with OpenAICompatibleEngine("x", server.settings(base_url=url)) as engine:
            assert (await engine.complete(ask())).text == "hi"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ping_every_s", [0.0, 0.01])
async def test_a_stalled_stream_is_given_up_and_pings_are_no_progress(
    ping_every_s: float, kind: str
) -> None:
    stalled = Reply(text="x y z", stall_after=2, ping_every_s=ping_every_s)
    async with talking([stalled], kind, stall_timeout_s=0.15, timeout_s=FOREVER_S) as (box, server):
        assert (await failure_of(box.complete(ask()))).kind == "timeout"
        await until(lambda: server.chats[0].is_dropped.is_set())


async def test_a_slow_first_token_is_not_a_stall() -> None:
    slow = Reply(text="x", first_after_s=0.3, ping_every_s=0.05)
    async with talking([slow], stall_timeout_s=0.1) as (box, _):
        assert (await box.complete(ask())).text == "x"


async def test_a_cancellation_between_two_chunks_is_seen() -> None:
    cancel = Cancellation()
    async with talking([Reply(text="a b c d", between_s=0.02)]) as (box, _):
        seen: list[str] = []

        async def read() -> None:
            async for chunk in box.stream(ask(cancel=cancel)):
                seen.append(chunk.text)
                cancel.cancel()

        assert (await failure_of(read())).kind == "cancelled"
        assert seen == ["a"]


@pytest.mark.parametrize("kind", ["openai", "llamacpp"])
async def test_many_calls_at_once_do_not_wait_for_each_other(kind: str) -> None:
    async with talking([Reply(text="x y", between_s=0.02)], kind) as (box, server):
        done = await asyncio.gather(*(box.complete(ask()) for _ in range(40)))
        assert {completion.text for completion in done} == {"x y"}
        assert server.most_at_once > 20


async def test_an_engine_can_be_closed_twice_and_used_again() -> None:
    async with talking(["hi"]) as (box, _):
        await box.complete(ask())
        await box.close()
        await box.close()
        assert (await box.complete(ask())).text == "hi"


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_server_that_refuses_stream_options_is_asked_once_more_without(
    kind: str, status: int
) -> None:
    def reply(call: Call) -> Reply:
        if "stream_options" in call.body:
            detail = [{"loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted"}]
            return failure(status, {"detail": detail})
        return Reply(text="hi")

    async with talking(reply, kind) as (box, server):
        assert (await box.complete(ask())).text == "hi"
        assert (await box.complete(ask())).text == "hi"
        assert ["stream_options" in call.body for call in server.chats] == [True, False, False]


async def test_a_refusal_of_another_field_is_not_repeated() -> None:
    async with talking([failure(400, {"error": {"message": "unknown field: seed"}})]) as (
        box,
        server,
    ):
        assert (await failure_of(box.complete(ask(seed=1)))).kind == "bad_request"
        assert len(server.chats) == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_whatever_was_not_enforced_is_flagged(kind: str) -> None:
    thoughtful = Reply(text="Sure, here it is.", reasoning="hm")
    async with talking([thoughtful], kind) as (box, _):
        request = ask(schema=SCHEMA, tools=(Tool(name="look"),), tool_choice="look", think=False)
        completion = await box.complete(request)
    assert set(completion.flags) == {
        "schema_not_enforced",
        "tool_choice_not_enforced",
        "thinking_not_switched",
    }


async def test_the_systems_proxy_leads_to_the_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeServer(script=["hi"]) as proxy:
        monkeypatch.setenv("http_proxy", proxy.base_url.removesuffix("/v1"))
        monkeypatch.setenv("no_proxy", "")
        cloud = proxy.settings(base_url="http://api.example/v1")
        async with OpenAICompatibleEngine("c", cloud) as engine:
            assert (await engine.complete(ask())).text == "hi"
        assert proxy.calls[0].headers["Host"] == "api.example"


async def test_no_proxy_ever_sees_what_stays_near(monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeServer() as proxy, FakeServer(script=["hi"]) as server:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.base_url)
        monkeypatch.setenv("no_proxy", "")
        for near in ({}, {"locality": "lan"}, {"locality": "cloud"}):
            async with OpenAICompatibleEngine("n", server.settings(**near)) as engine:
                assert (await engine.complete(ask())).text == "hi"
        assert proxy.calls == []


@pytest.mark.parametrize("is_there", [True, False])
async def test_a_proxy_that_leads_nowhere_is_named_without_its_password(
    is_there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FakeServer() as proxy:
        address = f"127.0.0.1:{proxy.port}"
        if not is_there:
            await proxy.stop()
        monkeypatch.setenv("https_proxy", f"http://user:pa55w0rd@{address}")
        monkeypatch.setenv("no_proxy", "")
        cloud = EngineSettings(base_url="https://api.example/v1")
        async with OpenAICompatibleEngine("c", cloud) as engine:
            error = await failure_of(engine.complete(ask()))
    assert (error.kind, "https_proxy" in error.message) == ("unreachable", True)
    assert "pa55w0rd" not in str(error)
