from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from rung.chat import Cancellation, Message, Tool, ToolCall
from rung.engines.build import build_engine
from rung.engines.ollama.engine import OllamaEngine
from rung.errors import EngineErrorKind
from tests.engines.calls import ask, failure_of, last_of, until
from tests.fakes.ollama import Ollama, OnDisk
from tests.fakes.profiles import Route
from tests.fakes.server import MODEL, FakeServer, Reply, Script, failure, html, tool_call

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
LOOK = Tool(name="look", description="Looks.", parameters={"type": "object", "properties": {}})
FOREVER_S = 600.0


@asynccontextmanager
async def talking(
    script: Script = (), *, stall_timeout_s: float = FOREVER_S, state: Any = None, **settings: Any
) -> AsyncIterator[tuple[OllamaEngine, FakeServer, Ollama]]:
    """An engine named `box`, the stand-in that it talks to, and the stand-in's state."""
    async with FakeServer("ollama", script) as server:
        ollama = Ollama(server, **(state or {}))
        changed = server.settings(stall_timeout_s=stall_timeout_s, **settings)
        async with OllamaEngine("box", changed) as box:
            yield box, server, ollama


async def sent(script: Script = ("fine",), **parts: Any) -> dict[str, Any]:
    """The body that a request becomes."""
    async with talking(script) as (box, server, _):
        await box.complete(ask(**parts))
        return server.chats[0].body


def said(count: int) -> str:
    """A prompt of so many words, each of which the stand-in counts as a token."""
    return " ".join(["word"] * count)


async def test_an_answer_arrives_in_pieces_and_whole_with_its_figures() -> None:
    durations = {
        "load_duration": 2_000_000_000,
        "prompt_eval_duration": 500_000_000,
        "eval_duration": 100_000_000,
        "prompt_eval_cached_count": 3,
    }
    usage = {"prompt_tokens": 7, "completion_tokens": 4}
    reply = Reply(text="Hello big world", reasoning="let me see", usage=usage, extra=durations)
    async with talking([reply]) as (box, _, _):
        text, reasoning, completion = await last_of(box, ask())
    assert (text, reasoning) == ("Hello big world", "let me see")
    assert (completion.text, completion.reasoning) == (text, reasoning)
    assert (completion.finish_reason, completion.served_model) == ("stop", MODEL)
    assert (completion.engine, completion.locality) == ("box", "local")
    usage_seen = completion.usage
    assert (usage_seen.tokens_in, usage_seen.tokens_cached, usage_seen.tokens_out) == (7, 3, 4)
    timings = completion.timings
    assert (timings.load_ms, timings.first_token_ms, timings.tokens_per_s) == (2000, 2500, 40)
    assert (completion.flags, completion.repairs) == ((), ())


async def test_an_answer_without_figures_has_measured_times() -> None:
    reply = Reply(text="hi", extra={"load_duration": None, "prompt_eval_duration": None})
    async with talking([reply]) as (box, _, _):
        timings = (await box.complete(ask())).timings
    assert timings.load_ms is None
    assert timings.first_token_ms is not None
    assert timings.first_token_ms <= timings.total_ms


async def test_a_server_that_does_not_stream_is_understood() -> None:
    reply = Reply(text="Hello", reasoning="hm", tool_calls=(tool_call("look", {}),))
    async with talking([Reply(**{**_fields(reply), "is_streamed": False})]) as (box, _, _):
        completion = await box.complete(ask(tools=(LOOK,)))
    assert (completion.text, completion.reasoning) == ("Hello", "hm")
    assert completion.tool_calls[0].name == "look"


def _fields(reply: Reply) -> dict[str, Any]:
    return {name: getattr(reply, name) for name in reply.__dataclass_fields__}


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/"])
async def test_the_address_may_end_in_v1_or_not(ending: str) -> None:
    async with FakeServer("ollama", ["hi"]) as server:
        base_url = server.base_url.removesuffix("/v1") + ending
        async with build_engine("box", server.settings(base_url=base_url)) as box:
            assert isinstance(box, OllamaEngine)
            assert (await box.complete(ask())).text == "hi"
            assert server.chats[0].path == "/api/chat"
            assert await box.list_models()


async def test_only_what_was_asked_for_is_sent_and_never_may_a_prompt_be_cut() -> None:
    assert await sent() == {
        "model": MODEL,
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "truncate": False,
        "shift": False,
        "options": {"num_ctx": 4096},
    }
    options = {"temperature": 0.0, "top_p": 0.9, "seed": 0, "stop": ("x",), "max_tokens": 5}
    wanted = {"temperature": 0.0, "top_p": 0.9, "seed": 0, "stop": ["x"], "num_predict": 5}
    assert (await sent(**options))["options"] == {"num_ctx": 4096, **wanted}


async def test_a_conversation_with_tools_and_images_keeps_its_parts() -> None:
    image = base64.b64encode(b"PNG").decode()
    messages = (
        Message(role="user", content="look", images=(f"data:image/png;base64,{image}",)),
        Message(
            role="assistant",
            tool_calls=(
                ToolCall(id="1", name="look", arguments='{"at":"a"}'),
                ToolCall(id="2", name="look", arguments="{}"),
                ToolCall(id="3", name="look", arguments='{"at'),
            ),
        ),
        Message(role="tool", content="done", tool_call_id="1"),
    )
    user, assistant, tool = (await sent(messages=messages))["messages"]
    assert user["images"] == [image]
    arguments = [call["function"]["arguments"] for call in assistant["tool_calls"]]
    assert arguments == [{"at": "a"}, {}, {"arguments": '{"at'}]
    assert (tool["tool_name"], tool["tool_call_id"], tool["content"]) == ("look", "1", "done")


async def test_the_result_of_a_call_names_the_latest_one_of_its_id() -> None:
    messages = [Message(role="user", content="go")]
    for name in ("look", "jump"):
        call = ToolCall(id="call_0", name=name, arguments="{}")
        messages += [
            Message(role="assistant", tool_calls=(call,)),
            Message(role="tool", content="done", tool_call_id="call_0"),
        ]
    sent_messages = (await sent(messages=tuple(messages)))["messages"]
    assert [sent_messages[place]["tool_name"] for place in (2, 4)] == ["look", "jump"]


@pytest.mark.parametrize("image", ["https://example.com/a.png", "data:image/svg+xml,<svg/>", ""])
async def test_an_image_that_is_not_base64_is_refused_before_anything_is_sent(image: str) -> None:
    async with talking() as (box, server, _):
        request = ask(messages=(Message(role="user", content="x", images=(image,)),))
        error = await failure_of(box.complete(request))
        assert (error.kind, "base64" in error.message) == ("bad_request", True)
        assert server.chats == []


async def test_what_no_json_can_say_is_a_bad_request() -> None:
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"items": deep}
    tools = (Tool(name="look", parameters=deep),)
    async with talking() as (box, server, _):
        for request in (ask("\ud800"), ask(model="\ud800"), ask(tools=tools)):
            assert (await failure_of(box.complete(request))).kind == "bad_request"
        assert server.chats == []


async def test_a_schema_is_sent_as_format_and_enforced_by_ollama() -> None:
    body = await sent(['{"a":"b"}'], schema=SCHEMA)
    assert body["format"]["properties"]["a"]["type"] == "string"
    assert body["format"]["required"] == ["a"]


@pytest.mark.parametrize(
    ("text", "finish", "flags"),
    [
        ('{"a":"b"}', "stop", ()),
        ("Sure! a is b.", "stop", ("schema_not_enforced",)),
        ('{"a":"b', "length", ()),
        ("Sure! Let", "length", ("schema_not_enforced",)),
    ],
)
async def test_an_ignored_format_is_flagged(text: str, finish: str, flags: Any) -> None:
    async with talking([Reply(text=text, finish_reason=finish)]) as (box, _, _):
        completion = await box.complete(ask(schema=SCHEMA, think=False))
    assert completion.flags == flags


@pytest.mark.parametrize("think", [True, False])
async def test_thinking_is_switched_where_the_model_can(think: bool) -> None:
    assert (await sent(think=think))["think"] is think
    assert "think" not in await sent()


async def test_a_model_that_cannot_think_is_not_asked_to_and_that_is_told() -> None:
    models = {f"{MODEL}:latest": OnDisk(capabilities=("completion",))}
    async with talking(["hi"] * 2, state={"models": models}) as (box, server, _):
        assert (await box.complete(ask(think=True))).flags == ("thinking_not_switched",)
        assert (await box.complete(ask(think=False))).flags == ()
        assert all("think" not in call.body for call in server.chats)


async def test_a_model_that_thinks_on_is_flagged() -> None:
    async with talking([Reply(text="hi", reasoning="hm")]) as (box, _, _):
        assert (await box.complete(ask(think=False))).flags == ("thinking_not_switched",)


async def test_several_tool_calls_come_whole_and_stay_apart() -> None:
    calls = tuple(
        {"function": {"name": "look", "arguments": {"at": place}}} for place in ("a", "b")
    )
    async with talking([Reply(text="", tool_calls=calls)]) as (box, server, _):
        completion = await box.complete(ask(tools=(LOOK,)))
        assert server.chats[0].body["tools"][0]["function"]["name"] == "look"
    assert [call.arguments for call in completion.tool_calls] == ['{"at":"a"}', '{"at":"b"}']
    assert len({call.id for call in completion.tool_calls}) == 2
    assert completion.finish_reason == "tool_calls"


async def test_a_tool_choice_is_kept_by_what_is_offered_and_flagged_where_it_was_not() -> None:
    tools = (LOOK, Tool(name="jump"))
    script = ["no", "no", Reply(text="", tool_calls=(tool_call("jump", {}),))]
    async with talking(script) as (box, server, _):
        assert (await box.complete(ask(tools=tools, tool_choice="none"))).flags == ()
        required = await box.complete(ask(tools=tools, tool_choice="required"))
        assert required.flags == ("tool_choice_not_enforced",)
        assert (await box.complete(ask(tools=tools, tool_choice="jump"))).flags == ()
        offered = [
            [tool["function"]["name"] for tool in call.body.get("tools", [])]
            for call in server.chats
        ]
    assert offered == [[], ["look", "jump"], ["jump"]]


async def test_the_window_of_a_loaded_model_is_kept_so_that_it_is_never_loaded_anew() -> None:
    async with talking() as (box, server, ollama):
        for tokens in (None, 4096, None):
            await box.complete(ask(context_tokens=tokens))
        assert [call.body["options"]["num_ctx"] for call in server.chats] == [4096] * 3
        assert ollama.loads == 0
        await box.complete(ask(context_tokens=8192))
        assert ollama.loads == 1


async def test_a_window_is_not_asked_for_where_nobody_knows_it() -> None:
    async with talking(state={"loaded": {}}) as (box, server, _):
        await box.complete(ask())
        assert server.chats[0].body["options"] == {}


async def test_the_window_of_a_modelfile_is_that_of_its_model() -> None:
    models = {f"{MODEL}:latest": OnDisk(num_ctx=16_384)}
    async with talking(state={"loaded": {}, "models": models}) as (box, server, _):
        await box.complete(ask())
        assert server.chats[0].body["options"]["num_ctx"] == 16_384
        assert (await box.list_models())[0].context_tokens == 16_384


async def test_no_more_window_is_asked_for_than_the_model_was_trained_on() -> None:
    async with talking() as (box, server, _):
        await box.complete(ask(context_tokens=1_000_000))
        assert server.chats[0].body["options"]["num_ctx"] == 32_768


async def test_a_model_is_looked_up_once_and_a_chat_then_is_one_request() -> None:
    async with talking() as (box, server, _):
        for _ in range(3):
            await box.complete(ask(context_tokens=4096))
        paths = [call.path for call in server.calls]
    assert sorted(paths) == ["/api/chat"] * 3 + ["/api/show", "/api/version"]


@pytest.mark.parametrize("version", ["0.12.6", "0.33.0"])
async def test_a_prompt_that_is_too_long_is_an_error_and_never_cut(version: str) -> None:
    async with talking(state={"version": version}) as (box, _, _):
        error = await failure_of(box.complete(ask(said(5000))))
    assert (error.kind, error.status) == ("context_overflow", 400)
    assert "{" not in error.message, "the error inside the error is the one to show"


@pytest.mark.parametrize(("words", "flags"), [(3000, ()), (5000, ("prompt_truncated",))])
async def test_an_old_server_that_cuts_prompts_is_caught(words: int, flags: Any) -> None:
    async with talking(state={"version": "0.12.5"}) as (box, _, _):
        completion = await box.complete(ask(said(words)))
    assert completion.flags == flags


async def test_fewer_tokens_than_words_are_caught_without_knowing_the_window() -> None:
    script = [Reply(text="hi", usage={"prompt_tokens": 2050})]
    async with talking(script, state={"loaded": {}}) as (box, _, _):
        assert (await box.complete(ask(said(3500)))).flags == ("prompt_truncated",)


async def test_a_prompt_that_was_cached_is_no_sign_of_truncation_where_the_cache_is_left_out() -> (
    None
):
    script = [Reply(text="hi", usage={"prompt_tokens": 12})]
    async with talking(script, state={"version": "0.1.48"}) as (box, _, _):
        assert (await box.complete(ask(said(3500)))).flags == ()


@pytest.mark.parametrize("name", ["giant:cloud", "gpt-oss:120b-cloud", "acme/giant:CLOUD"])
async def test_a_cloud_model_is_refused_by_its_name_before_anything_is_sent(name: str) -> None:
    async with talking() as (box, server, _):
        error = await failure_of(box.complete(ask(model=name)))
        assert server.calls == []
    assert (error.kind, "cloud" in error.message) == ("bad_request", True)


async def test_a_cloud_model_under_a_harmless_name_gets_no_prompt() -> None:
    models = {"mine:latest": OnDisk(remote_host="https://ollama.com:443")}
    async with talking(state={"models": models}) as (box, server, _):
        error = await failure_of(box.complete(ask(model="mine")))
        assert server.chats == []
        assert await box.list_models() == []
    assert (error.kind, "cloud" in error.message) == ("bad_request", True)


async def test_an_answer_that_comes_from_the_cloud_after_all_is_not_shown() -> None:
    reply = Reply(raw_events=(b'{"message":{"content":"x"},"remote_host":"https://ollama.com"}\n',))
    async with talking([reply]) as (box, server, _):
        server.routes["/api/show"] = Route(content="404 page not found", status=404)
        error = await failure_of(box.complete(ask()))
    assert "cloud" in error.message


async def test_an_engine_that_is_declared_to_be_in_the_cloud_serves_cloud_models() -> None:
    async with talking(["hi"], locality="cloud") as (box, _, _):
        completion = await box.complete(ask(model="giant:cloud"))
    assert (completion.text, completion.locality) == ("hi", "cloud")


async def test_a_proxy_that_hides_all_but_chat_does_no_harm() -> None:
    async with talking(["hi"]) as (box, server, _):
        for path in ("/api/show", "/api/ps", "/api/version"):
            server.routes[path] = Route(content="<html>no</html>", status=403)
        assert (await box.complete(ask())).text == "hi"


MISSING = {"error": "model 'tiny-1b' not found"}
DONE = b'{"message":{"content":"hi"},"done":true,"done_reason":"stop"}\n'

# What Ollama does, and what it must be called.
MISDEEDS: list[tuple[Reply, EngineErrorKind]] = [
    (html(), "unreachable"),
    (html(502), "server_error"),
    (failure(200, ""), "bad_output"),
    (failure(200, '{"message":{"cont'), "bad_output"),
    (failure(200, "it works", content_type="text/plain"), "bad_output"),
    (failure(200, {"error": "no"}), "server_error"),
    (failure(200, "[]"), "bad_output"),
    (failure(301, "", headers={"Location": "http://127.0.0.1:1/"}), "bad_request"),
    (failure(404, "404 page not found"), "bad_request"),
    (failure(404, MISSING), "model_missing"),
    (failure(400, {"error": '"tiny-1b" does not support chat'}), "bad_request"),
    (failure(400, {"error": "missing request body"}), "bad_request"),
    (failure(401, {"error": "unauthorized", "signin_url": "https://x"}), "unauthorized"),
    (failure(403, {"error": "ollama cloud is disabled"}), "unauthorized"),
    (failure(499, {"error": "request canceled"}), "cancelled"),
    (failure(500, {"error": "llama runner process has terminated"}), "server_error"),
    (
        failure(500, {"error": "model requires more system memory (8.1 GiB) than is available"}),
        "out_of_memory",
    ),
    (
        failure(400, {"error": "the prompt is longer than the context length currently available"}),
        "context_overflow",
    ),
    (failure(502, {"error": "cloud unreachable"}), "server_error"),
    (failure(503, {"error": "server busy, please try again.  maximum pending"}), "overloaded"),
    (Reply(text="hello there", error_after=1), "server_error"),
    (Reply(text="hello", error_after=0, error="maximum pending requests exceeded"), "overloaded"),
    (Reply(text="hello", error_after=1, error="CUDA error: out of memory"), "out_of_memory"),
    (Reply(text="hello there", drop_after=1), "unreachable"),
    (Reply(text="hello", drop_after=0), "unreachable"),
    (Reply(text="hello", has_end_marker=False), "bad_output"),
    (Reply(text="", finish_reason="load"), "model_not_loaded"),
    (Reply(text=None), "bad_output"),
    (Reply(text="", finish_reason="length"), "bad_output"),
    (Reply(text="", reasoning="on and on"), "bad_output"),
    (Reply(raw_events=(b'{"message":{"content":"\xff"}}\n',)), "bad_output"),
    (Reply(raw_events=(b'{"message":{"content":"hi"},"done":false}\n{"mess',)), "bad_output"),
    (Reply(raw_events=(b'{"message":' + b"x" * 17_000_000,)), "bad_output"),
]


@pytest.mark.parametrize(("misdeed", "kind"), MISDEEDS, ids=range(len(MISDEEDS)))
async def test_each_misdeed_has_its_kind(misdeed: Reply, kind: EngineErrorKind) -> None:
    async with talking([misdeed, "fine again"]) as (box, server, _):
        error = await failure_of(box.complete(ask()))
        assert (error.kind, error.engine, error.model) == (kind, "box", MODEL)
        assert "<" not in error.message
        assert (await box.complete(ask())).text == "fine again"
        assert len(server.chats) == 2, "an engine never retries"


async def test_a_full_queue_is_overload_and_a_model_that_is_gone_is_missing() -> None:
    async with talking() as (box, _, ollama):
        ollama.is_full = True
        assert (await failure_of(box.complete(ask()))).kind == "overloaded"
        ollama.is_full = False
        assert (await failure_of(box.complete(ask(model="other")))).kind == "model_missing"


async def test_lines_in_any_pieces_and_blank_ones_are_read() -> None:
    pieces = (b'\n{"message":{"con', b'tent":"hi"},"done":false}\r\n\n', DONE[:9], DONE[9:-1])
    async with talking([Reply(raw_events=pieces, between_s=0.001)]) as (box, _, _):
        assert (await box.complete(ask())).text == "hihi"


async def test_a_dead_engine_is_unreachable_with_advice() -> None:
    async with talking(["hi"]) as (box, server, _):
        await server.stop()
        error = await failure_of(box.complete(ask()))
        assert (error.kind, "ollama serve" in error.message) == ("unreachable", True)
        async with server:
            assert (await box.complete(ask())).text == "hi"


@pytest.mark.parametrize(
    "silence",
    [Reply(text="x", first_after_s=FOREVER_S), Reply(text="x y z", stall_after=1)],
    ids=["no head", "stall"],
)
async def test_the_timeout_bounds_the_whole_call(silence: Reply) -> None:
    async with talking([silence]) as (box, server, _):
        assert (await failure_of(box.complete(ask(timeout_s=0.2)))).kind == "timeout"
        await until(lambda: server.chats[0].is_dropped.is_set())


async def test_questions_before_the_call_count_towards_its_timeout() -> None:
    async with talking() as (box, server, _):

        async def silent(*_: object) -> Any:
            await asyncio.Event().wait()

        server.handlers["POST", "/api/show"] = silent
        assert (await failure_of(box.complete(ask(timeout_s=0.2)))).kind == "timeout"
        assert server.chats == []


async def test_a_stalled_answer_is_given_up() -> None:
    stalled = Reply(text="x y z", stall_after=1)
    async with talking([stalled], stall_timeout_s=0.15, timeout_s=FOREVER_S) as (box, server, _):
        assert (await failure_of(box.complete(ask()))).kind == "timeout"
        await until(lambda: server.chats[0].is_dropped.is_set())


@pytest.mark.parametrize("stall_after", [0, 2])
async def test_a_cancellation_stops_the_engine(stall_after: int) -> None:
    cancel = Cancellation()
    async with talking([Reply(text="x y z", stall_after=stall_after)]) as (box, server, _):
        task = asyncio.create_task(failure_of(box.complete(ask(cancel=cancel))))
        await until(lambda: bool(server.chats))
        cancel.cancel()
        assert (await task).kind == "cancelled"
        await until(lambda: server.chats[0].is_dropped.is_set())


async def test_a_call_that_was_cancelled_before_it_began_asks_nothing() -> None:
    cancel = Cancellation()
    cancel.cancel()
    async with talking() as (box, server, _):
        assert (await failure_of(box.complete(ask(cancel=cancel)))).kind == "cancelled"
        assert server.calls == []


async def test_a_client_that_leaves_stops_the_engine() -> None:
    async with talking([Reply(text="x y z", stall_after=1)]) as (box, server, _):
        chunks = box.stream(ask())
        assert (await anext(chunks)).text == "x"
        await chunks.aclose()
        await until(lambda: server.chats[0].is_dropped.is_set())


async def test_a_key_is_sent_and_a_wrong_one_is_unauthorized() -> None:
    async with FakeServer("ollama", ["hi"], api_key="right") as server:
        async with OllamaEngine("box", server.settings()) as box:
            assert (await box.complete(ask())).text == "hi"
        async with OllamaEngine("box", server.settings(api_key="wr0ng-k3y")) as box:
            error = await failure_of(box.complete(ask()))
    assert (error.kind, "wr0ng-k3y" in str(error)) == ("unauthorized", False)


async def test_what_a_model_was_trained_on_is_listed_once_it_is_known() -> None:
    async with talking() as (box, server, _):
        assert (await box.list_models())[0].max_context_tokens is None
        assert [call.path for call in server.calls] == ["/api/tags", "/api/ps"]
        await box.complete(ask())
        assert (await box.list_models())[0].max_context_tokens == 32_768


@pytest.mark.parametrize("probe", [False, True])
async def test_every_level_of_health_is_told(probe: bool) -> None:
    async with talking() as (box, server, _):
        health = await box.health(MODEL, probe=probe)
        assert len(server.chats) == probe
    assert (health.reachable.ok, health.listed.ok, health.loaded.ok) == (True, True, True)
    assert health.probed.ok is (True if probe else None)


async def test_many_calls_at_once_do_not_wait_for_each_other() -> None:
    async with talking([Reply(text="x y", between_s=0.02)]) as (box, server, _):
        done = await asyncio.gather(*(box.complete(ask()) for _ in range(40)))
        assert {completion.text for completion in done} == {"x y"}
        assert server.most_at_once > 20
