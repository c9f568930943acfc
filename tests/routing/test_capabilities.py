"""What an answer teaches about its model, and what is asked differently because of it."""

from __future__ import annotations

from typing import Any

import pytest

from rung.chat import (
    ChatRequest,
    Completion,
    Message,
    ModelInfo,
    Timings,
    Tool,
    ToolCall,
    Usage,
)
from rung.models.measured import Measured
from rung.routing.capabilities import (
    THINK_OMITTED,
    TOOLS_FROM_TEXT,
    adapted,
    is_unfit,
    lessons,
    speeds,
)

SCHEMA = {"type": "object"}
TOOL = Tool(name="look")
CALL = ToolCall(id="1", name="look", arguments="{}")


def request(**parts: Any) -> ChatRequest:
    return ChatRequest(model="m", messages=(Message(role="user", content="hi"),), **parts)


def said(text: str = "", **parts: Any) -> Completion:
    return Completion(
        **{"text": text, "engine": "e", "model": "m", "finish_reason": "stop"} | parts
    )


def test_prose_where_a_schema_was_asked_shows_that_it_is_not_enforced() -> None:
    assert lessons(request(schema=SCHEMA), said("Sure! Here you are")) == {"enforces_schema": False}
    assert (
        lessons(request(schema=SCHEMA), said('```json\n{"a": 1}\n```'))["enforces_schema"] is False
    )
    flagged = said('{"a": 1}', flags=("schema_not_enforced",))
    assert lessons(request(schema=SCHEMA), flagged) == {"enforces_schema": False}


@pytest.mark.parametrize(
    "answer",
    [
        said('{"a": 1}'),  # any model may write JSON by itself
        said('{"a": ', finish_reason="length"),
        said("", reasoning='{"a": 1}'),
        said("", tool_calls=(CALL,), finish_reason="tool_calls"),
    ],
)
def test_json_or_a_cut_off_answer_proves_nothing_about_schemas(answer: Completion) -> None:
    assert "enforces_schema" not in lessons(request(schema=SCHEMA), answer)


def test_a_tool_call_shows_that_tools_work_and_in_which_form() -> None:
    native = said(tool_calls=(CALL,))
    salvaged = said(tool_calls=(CALL,), repairs=(TOOLS_FROM_TEXT,))
    assert lessons(request(tools=(TOOL,)), native) == {"calls_tools": True, "tools_as_text": False}
    assert lessons(request(tools=(TOOL,)), salvaged)["tools_as_text"] is True
    assert lessons(request(tools=(TOOL,)), said("I need no tool")) == {}


def test_an_engine_that_cut_a_prompt_off_is_remembered() -> None:
    assert lessons(request(), said("x", flags=("prompt_truncated",))) == {"truncates": True}


def test_a_model_that_dropped_the_schema_is_asked_without_the_thinking_switch() -> None:
    asked = request(schema=SCHEMA, think=False)
    caught = Measured(enforces_schema=False)
    sent, repairs = adapted(asked, "ollama", caught)
    assert (sent.think, repairs) == (None, (THINK_OMITTED,))
    for kind, known in (("ollama", Measured()), ("vllm", caught)):
        assert adapted(asked, kind, known) == (asked, ())
    assert adapted(request(think=False), "ollama", caught)[0].think is False


@pytest.mark.parametrize(
    ("labels", "calls_tools", "unfit"),
    [
        (None, None, False),
        (frozenset(), None, True),
        (frozenset({"tools"}), None, False),
        (frozenset({"tools"}), False, True),  # what it did, not what it says
        (frozenset(), True, False),
    ],
)
def test_a_model_that_calls_no_tools_is_unfit_for_tools(
    labels: frozenset[Any] | None, calls_tools: bool | None, unfit: bool
) -> None:
    info = ModelInfo(id="m", capabilities=labels)
    assert is_unfit(request(tools=(TOOL,)), info, Measured(calls_tools=calls_tools)) is unfit
    assert not is_unfit(request(), info, Measured(calls_tools=calls_tools))


def test_a_model_without_eyes_is_unfit_for_images() -> None:
    seen = ChatRequest(model="m", messages=(Message(role="user", images=("data:",)),))
    assert is_unfit(seen, ModelInfo(id="m", capabilities=frozenset({"tools"})), Measured())
    assert not is_unfit(seen, ModelInfo(id="m", capabilities=frozenset({"vision"})), Measured())


def test_speed_is_learned_from_answers_that_are_long_enough_and_waited_for_no_load() -> None:
    timings = Timings(first_token_ms=40.0, tokens_per_s=30.0)
    long = said("x", timings=timings, usage=Usage(tokens_out=20))
    assert speeds(long) == {"tokens_per_s": 30.0, "first_token_ms": 40.0}
    short = said("x", timings=timings, usage=Usage(tokens_out=2))
    assert speeds(short) == {"first_token_ms": 40.0}
    loading = Timings(first_token_ms=4000.0, tokens_per_s=30.0, load_ms=3900.0)
    assert "first_token_ms" not in speeds(said("x", timings=loading))
