from __future__ import annotations

import json
from typing import Any

import pytest

from rung.chat import ChatRequest, Tool, ToolCall, Usage
from rung.engines.answer import Answer, callable_tools, finish_reason


def event(delta: dict[str, Any], finish: str | None = None, **top: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **top}


def put_together(*events: dict[str, Any]) -> Answer:
    answer = Answer()
    for one in events:
        answer.add(one)
    answer.close()
    return answer


@pytest.mark.parametrize(
    "delta",
    [
        {"reasoning_content": "why"},
        {"reasoning": "why"},
        {"thinking": "why"},
        {"reasoning_content": "why", "reasoning": "why"},
        {"reasoning": "why", "reasoning_details": [{"type": "reasoning.text", "text": "why"}]},
        {"reasoning_details": [{"type": "reasoning.summary", "summary": "why"}]},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "why"}]}]},
        {"content": [{"type": "reasoning", "text": "why"}]},
        {"content": "<think>why</think>"},
    ],
)
def test_reasoning_is_read_wherever_an_engine_puts_it(delta: dict[str, Any]) -> None:
    answer = put_together(event(delta), event({"content": "yes"}, "stop"))
    assert (answer.text, answer.reasoning) == ("yes", "why")


def test_content_may_be_a_list_of_parts() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "output_text", "text": "b"}, "c"]
    assert put_together(event({"content": parts})).text == "abc"


def test_reasoning_found_in_the_text_is_a_repair() -> None:
    assert put_together(event({"content": "a\n</think>\nb"})).repairs == (
        "reasoning_taken_out_of_text",
    )
    assert put_together(event({"reasoning": "a", "content": "b"})).repairs == ()


def test_a_whole_message_reads_like_a_stream() -> None:
    message = {"role": "assistant", "content": "yes", "reasoning_content": "why"}
    answer = put_together({"choices": [{"message": message, "finish_reason": "stop"}]})
    assert (answer.text, answer.reasoning, answer.finish) == ("yes", "why", "stop")


def call(index: int | None, arguments: Any, call_id: str = "", name: str = "") -> dict[str, Any]:
    function: dict[str, Any] = {"arguments": arguments}
    if name:
        function["name"] = name
    delta: dict[str, Any] = {"function": function}
    if index is not None:
        delta["index"] = index
    if call_id:
        delta["id"] = call_id
    return event({"tool_calls": [delta]})


def test_tool_calls_are_joined_from_their_fragments() -> None:
    answer = put_together(
        call(0, "", "1", "read"),
        call(0, '{"path":'),
        call(1, "{}", "2", "list"),
        call(0, '"a"}'),
        event({}, "tool_calls"),
    )
    assert answer.tool_calls == (
        ToolCall(id="1", name="read", arguments='{"path":"a"}'),
        ToolCall(id="2", name="list", arguments="{}"),
    )
    assert answer.finish == "tool_calls"


def test_calls_that_share_an_index_are_told_apart_by_their_ids() -> None:
    answer = put_together(call(0, "{}", "1", "read"), call(0, '{"a":1}', "2", "list"))
    made = [(call.name, call.arguments) for call in answer.tool_calls]
    assert made == [("read", "{}"), ("list", '{"a":1}')]


def test_arguments_may_come_as_an_object_and_ids_not_at_all() -> None:
    answer = put_together(call(None, {"a": [1]}, name="read"), event({}, "stop"))
    (made,) = answer.tool_calls
    assert (made.id, json.loads(made.arguments)) == ("call_0", {"a": [1]})
    assert answer.finish == "tool_calls", "Ollama says stop when it calls a tool"


@pytest.mark.parametrize(
    ("raw", "ours"),
    [
        ("stop", "stop"),
        ("eosFound", "stop"),
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("contextLengthReached", "length"),
        ("function_call", "tool_calls"),
        ("content_filter", "content_filter"),
        ("refusal", "content_filter"),
        ("error", "error"),
        ("something new", "unknown"),
        (None, "unknown"),
        (7, "unknown"),
    ],
)
def test_finish_reasons_are_normalised(raw: object, ours: str) -> None:
    assert finish_reason(raw) == ours


def test_usage_has_what_openrouter_says() -> None:
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "cost": 0.0012,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    assert put_together({"choices": [], "usage": usage}).usage == Usage(
        tokens_in=10, tokens_cached=4, tokens_out=5, tokens_reasoning=3, cost_usd=0.0012
    )


def test_usage_is_completed_from_llama_cpps_timings() -> None:
    timings = {"cache_n": 4, "prompt_n": 6, "predicted_n": 5, "predicted_per_second": 50.5}
    answer = put_together({"choices": [], "timings": timings})
    assert answer.usage == Usage(tokens_in=10, tokens_cached=4, tokens_out=5)
    assert answer.tokens_per_s == 50.5


@pytest.mark.parametrize("junk", [None, "x", -1, True, [], {"a": 1}, float("inf")])
def test_a_count_that_is_none_is_unknown_rather_than_zero(junk: object) -> None:
    answer = put_together({"choices": [], "usage": {"prompt_tokens": junk, "cost": junk}})
    assert answer.usage == Usage()


@pytest.mark.parametrize(
    "junk",
    [
        {},
        {"choices": None},
        {"choices": ["x"]},
        {"choices": [{}]},
        {"choices": [{"delta": None}]},
        {"choices": [{"delta": {"content": 3, "tool_calls": "x", "reasoning": 1}}]},
        {"choices": [{"delta": {"tool_calls": [None, {"function": None}]}}]},
        {"model": 3, "usage": "none", "timings": []},
    ],
)
def test_fields_of_a_wrong_type_read_as_absent(junk: dict[str, Any]) -> None:
    answer = put_together(junk, event({"content": "fine"}, "stop", model="m"))
    assert (answer.text, answer.served_model) == ("fine", "m")


LOOK = Tool(name="look_up", parameters={"type": "object", "properties": {"at": {"type": "string"}}})
PRINTED = '<tool_call>{"name": "look_up", "arguments": {"at": "it"}}</tool_call>'


def with_tools(*events: dict[str, Any], tool: Tool = LOOK) -> tuple[Answer, str]:
    """The answer of a model that may call `tool`, and what of its text was shown."""
    answer = Answer([tool])
    chunks = [*map(answer.add, events), answer.close()]
    return answer, "".join(chunk.text for chunk in chunks if chunk is not None)


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_a_call_in_the_text_is_made_and_not_shown(size: int) -> None:
    text = f"<think>hm</think>So:\n{PRINTED}"
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    events = [event({"content": piece}) for piece in pieces]
    answer, shown = with_tools(*events, event({}, "stop"))
    assert answer.tool_calls == (ToolCall(id="call_0", name="look_up", arguments='{"at": "it"}'),)
    assert (answer.text, shown, answer.finish) == ("So:", "So:", "tool_calls")
    assert answer.repairs == ("reasoning_taken_out_of_text", "tool_calls_taken_out_of_text")


@pytest.mark.parametrize(
    "text", [f"{PRINTED} is how", PRINTED[:-20], f"Say {PRINTED}", '{"name": ']
)
def test_text_that_only_looked_like_a_call_is_shown_in_the_end(text: str) -> None:
    answer, shown = with_tools(event({"content": text}, "stop"))
    assert (answer.text, shown, answer.tool_calls, answer.repairs) == (text, text, (), ())
    assert answer.finish == "stop"


def test_an_answer_that_was_cut_off_is_no_call() -> None:
    answer, shown = with_tools(event({"content": PRINTED}, "length"))
    assert (answer.tool_calls, shown, answer.finish) == ((), PRINTED, "length")


def test_a_native_call_leaves_the_text_alone() -> None:
    native = {"id": "7", "function": {"name": "lookUp", "arguments": '"{\\"at\\": \\"it\\"}"'}}
    answer, shown = with_tools(event({"content": PRINTED, "tool_calls": [native]}, "stop"))
    assert answer.tool_calls == (ToolCall(id="7", name="look_up", arguments='{"at": "it"}'),)
    assert (answer.text, shown) == (PRINTED, PRINTED)
    assert answer.repairs == ("tool_name_restored", "tool_arguments_decoded")


def test_reasoning_about_a_call_makes_none() -> None:
    pieces = [event({"content": piece}) for piece in (f"{PRINTED}\n", "</think>\n\n", "No need.")]
    answer, shown = with_tools(*pieces, event({}, "stop"))
    assert (answer.text, answer.tool_calls, shown) == ("No need.", (), "No need.")
    assert "look_up" in answer.reasoning
    thinking, _ = with_tools(event({"reasoning_content": PRINTED, "content": "No."}, "stop"))
    assert (thinking.text, thinking.tool_calls) == ("No.", ())


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        (None, ["a", "b"]),
        ("auto", ["a", "b"]),
        ("required", ["a", "b"]),
        ("none", []),
        ("b", ["b"]),
    ],
)
def test_only_tools_that_the_request_allows_may_be_called(
    choice: str | None, names: list[str]
) -> None:
    request = ChatRequest(
        model="m", messages=(), tools=(Tool(name="a"), Tool(name="b")), tool_choice=choice
    )
    assert [tool.name for tool in callable_tools(request)] == names


def test_the_time_that_a_load_took_is_kept() -> None:
    stats = {"model_load_time_seconds": 2.5, "tokens_per_second": 8}
    answer = put_together({"stats": stats}, event({"content": "x"}, "stop"))
    assert (answer.load_ms, answer.tokens_per_s) == (2500.0, 8.0)
