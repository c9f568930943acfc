from __future__ import annotations

from typing import Any

import pytest

from rung.chat import Completion, Tool
from rung.engines.answer import Answer
from rung.engines.completion import conclude
from rung.engines.failure import Origin
from rung.errors import EngineError
from tests.engines.calls import ask

ORIGIN = Origin(engine="e", base_url="http://127.0.0.1:1/v1", model="tiny-1b")


def concluded(*events: dict[str, Any], **request: Any) -> Completion:
    """The completion of an answer that came in these events."""
    tools: tuple[Tool, ...] = request.get("tools", ())
    answer = Answer(tools)
    for one in events:
        answer.add(one)
    answer.close()
    return conclude(answer, ask(**request), ORIGIN, locality="local", total_ms=20.0)


def said(text: str, finish: str = "stop", **top: Any) -> dict[str, Any]:
    return {"choices": [{"delta": {"content": text}, "finish_reason": finish}], **top}


@pytest.mark.parametrize(
    ("asked", "served"),
    [
        ("tiny-1b", "tiny-1b"),
        ("gpt-5-mini", "gpt-5-mini-2025-08-07"),
        ("gpt-4", "gpt-4-0613"),
        ("anthropic/claude-sonnet-4.5", "claude-sonnet-4-5-20250929"),
        ("llama3.2", "llama3.2:latest"),
        ("llama3.2:latest", "llama3.2"),
        ("llama3.2:3b", "llama3.2:3b"),
        ("qwen/qwen3.5-9b@q4_k_m", "qwen/qwen3.5-9b"),
        ("qwen/qwen3.5-9b", "qwen3.5-9b:2"),
        ("smollm2-135m", "/models/SmolLM2-135M-Instruct-Q4_K_M.gguf"),
        ("smollm2-135m", "C:\\models\\smollm2-135m.gguf"),
        ("openai/gpt-4o:free", "openai/gpt-4o"),
        ("mistral-large-latest", "mistral-large-2411"),
        ("gemini-flash-latest", "gemini-3-flash-preview"),
        ("openrouter/auto", "acme/anything"),
        ("llama-3.2-1b", "meta-llama-3.2-1b-instruct-fp8"),
    ],
)
def test_names_of_the_same_model_are_not_flagged(asked: str, served: str) -> None:
    assert concluded(said("hi", model=served), model=asked).flags == ()


@pytest.mark.parametrize(
    ("asked", "served"),
    [
        ("tiny-1b", "another"),
        ("gpt-4o", "gpt-4o-mini"),
        ("gpt-4o-mini", "gpt-4o"),
        ("llama3.2:1b", "llama3.2:3b"),
        ("qwen3-8b", "qwen3-14b"),
        ("claude-sonnet-4-5", "claude-haiku-4-5"),
        ("claude-sonnet-4-5", "claude-sonnet-4"),
        ("deepseek-chat", "deepseek-reasoner"),
    ],
)
def test_a_name_that_cannot_be_the_one_asked_for_is_flagged(asked: str, served: str) -> None:
    completion = concluded(said("hi", model=served), model=asked)
    assert completion.flags == ("served_other_model",)
    assert (completion.model, completion.served_model) == (asked, served)


def test_an_engine_that_names_no_model_is_believed() -> None:
    completion = concluded(said("hi"))
    assert (completion.flags, completion.served_model) == ((), None)


def test_a_call_that_was_printed_is_an_answer() -> None:
    printed = '{"name": "look", "arguments": {}}'
    completion = concluded(said(printed), tools=(Tool(name="look"),))
    assert (completion.text, completion.finish_reason) == ("", "tool_calls")
    assert [call.name for call in completion.tool_calls] == ["look"]
    assert completion.repairs == ("tool_calls_taken_out_of_text",)


def test_no_tool_is_called_against_the_callers_will() -> None:
    printed = '{"name": "look", "arguments": {}}'
    assert concluded(said(printed)).text == printed


@pytest.mark.parametrize(
    ("events", "kind"),
    [
        ([said("", "error")], "server_error"),
        ([said("")], "bad_output"),
        ([said(" \n", "length")], "bad_output"),
        ([said("", "content_filter")], "refused"),
        ([], "bad_output"),
    ],
)
def test_what_is_no_answer_is_an_error(events: list[dict[str, Any]], kind: str) -> None:
    with pytest.raises(EngineError) as raised:
        concluded(*events)
    assert raised.value.kind == kind
