from __future__ import annotations

from typing import Any

import pytest

from rung.chat import Message, Tool, ToolCall
from rung.config.settings import EngineKind
from rung.engines.failure import Origin
from rung.engines.profiles import OPENAI_DIALECT, PROFILES, profile_for
from rung.engines.request import build_body, encode_body, prompt_fields
from rung.errors import EngineError
from tests.engines.calls import ask

SCHEMA = {
    "type": "object",
    "title": "A plan!",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
}


def body_for(
    kind: EngineKind = "openai", base_url: str = "http://127.0.0.1:1/v1", **parts: Any
) -> dict[str, Any]:
    return build_body(ask(**parts), profile_for(kind, base_url).dialect)


def test_an_answer_is_always_streamed_with_its_usage() -> None:
    body = body_for()
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}


def test_only_what_was_asked_for_is_sent() -> None:
    assert set(body_for()) == {"model", "messages", "stream", "stream_options"}
    body = body_for(temperature=0.0, top_p=0.9, seed=0, stop=("x",), max_tokens=5)
    wanted = {"temperature": 0.0, "top_p": 0.9, "seed": 0, "stop": ["x"], "max_tokens": 5}
    assert wanted.items() <= body.items()


@pytest.mark.parametrize(
    ("kind", "base_url"), [("openai", "https://api.openai.com/v1"), ("vllm", "")]
)
def test_whoever_calls_max_tokens_deprecated_gets_the_newer_field(
    kind: EngineKind, base_url: str
) -> None:
    body = body_for(kind, base_url, max_tokens=5)
    assert body["max_completion_tokens"] == 5
    assert "max_tokens" not in body


def test_vllm_is_never_asked_with_the_guided_fields_that_it_ignores() -> None:
    assert not [name for name in body_for("vllm", schema=SCHEMA) if name.startswith("guided")]


def test_what_is_counted_is_what_the_prompt_is_made_of() -> None:
    asked = {"tools": (Tool(name="look"),), "think": False, "schema": SCHEMA, "max_tokens": 5}
    body = body_for("vllm", **asked)
    counted = prompt_fields(ask(**asked), profile_for("vllm", "").dialect)
    assert counted.items() <= body.items()
    assert counted.keys() == {"model", "messages", "tools", "chat_template_kwargs"}


def test_a_server_that_refuses_stream_options_is_asked_without() -> None:
    dialect, origin = profile_for("llamacpp", "").dialect, Origin(engine="e", base_url="")
    assert b"stream_options" in encode_body(ask(), dialect, origin)
    assert b"stream_options" not in encode_body(ask(), dialect, origin, asks_usage=False)


@pytest.mark.parametrize(
    ("kind", "off"),
    [
        (
            "llamacpp",
            {"chat_template_kwargs": {"enable_thinking": False}, "reasoning_effort": "none"},
        ),
        ("vllm", {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}}),
        ("lmstudio", {"chat_template_kwargs": {"enable_thinking": False}}),
        ("openrouter", {"reasoning": {"enabled": False}}),
    ],
)
def test_thinking_is_switched_off_in_the_engines_own_way(
    kind: EngineKind, off: dict[str, Any]
) -> None:
    assert off.items() <= body_for(kind, think=False).items()
    assert not off.keys() & body_for(kind).keys()
    assert not off.items() <= body_for(kind, think=True).items()


@pytest.mark.parametrize("kind", list(PROFILES))
def test_a_schema_is_asked_for_in_the_one_form_that_all_engines_read(kind: EngineKind) -> None:
    asked = body_for(kind, schema=SCHEMA)["response_format"]
    assert asked["type"] == "json_schema"
    assert asked["json_schema"]["name"] == "A_plan_"
    assert asked["json_schema"]["schema"]["properties"]["a"]["type"] == "string"


def test_strict_mode_is_asked_for_only_where_the_schema_fits_it() -> None:
    any_object = {"type": "object", "additionalProperties": True}
    asked = {
        (kind, fits): body_for(kind, schema=schema)["response_format"]["json_schema"]["strict"]
        for kind in ("openrouter", "openai", "lmstudio")
        for fits, schema in ((True, SCHEMA), (False, any_object))
    }
    assert asked == {
        ("openrouter", True): True,
        ("openrouter", False): False,
        ("openai", True): False,
        ("openai", False): False,
        ("lmstudio", True): True,
        ("lmstudio", False): True,
    }


def test_openrouter_must_use_a_provider_that_knows_the_parameters() -> None:
    required = {"provider": {"require_parameters": True}}
    assert required.items() <= body_for("openrouter", schema=SCHEMA).items()
    assert required.items() <= body_for("openrouter", tools=(Tool(name="t"),)).items()
    assert "provider" not in body_for("openrouter")
    assert "provider" not in body_for("openai", schema=SCHEMA)


def test_a_conversation_with_tools_and_images_keeps_its_parts() -> None:
    messages = (
        Message(role="user", content="look", images=("data:image/png;base64,AA==",)),
        Message(role="assistant", tool_calls=(ToolCall(id="1", name="t", arguments="{}"),)),
        Message(role="tool", content="done", tool_call_id="1"),
    )
    user, assistant, tool = body_for(messages=messages)["messages"]
    assert [part["type"] for part in user["content"]] == ["text", "image_url"]
    assert assistant["content"] is None
    assert assistant["tool_calls"][0]["function"] == {"name": "t", "arguments": "{}"}
    assert tool == {"role": "tool", "content": "done", "tool_call_id": "1"}


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("required", "required"),
        ("none", "none"),
        ("look", {"type": "function", "function": {"name": "look"}}),
    ],
)
def test_a_tool_choice_is_a_mode_or_a_name(choice: str, sent: object) -> None:
    tools = (Tool(name="look", description="Looks.", parameters={"type": "object"}),)
    body = body_for(tools=tools, tool_choice=choice)
    assert body["tool_choice"] == sent
    assert body["tools"][0]["function"]["name"] == "look"


def test_a_lone_surrogate_is_a_bad_request() -> None:
    dialect, origin = profile_for("openai", "").dialect, Origin(engine="e", base_url="")
    with pytest.raises(EngineError) as raised:
        encode_body(ask("\ud800"), dialect, origin)
    assert raised.value.kind == "bad_request"


def test_every_kind_of_engine_is_sent_the_schema_that_it_enforces() -> None:
    assert {kind: profile.dialect.schema_target for kind, profile in PROFILES.items()} == {
        "lmstudio": "llamacpp",
        "ollama": "llamacpp",
        "vllm": "vllm",
        "llamacpp": "llamacpp",
        "openrouter": "openai",
        "anthropic": "generic",  # its adapter has a body of its own, and the target "anthropic"
        "openai": "generic",  # the many servers that imitate it
    }
    assert OPENAI_DIALECT.schema_target == "openai"


@pytest.mark.parametrize("kind", list(PROFILES))
def test_no_grammar_is_sent_which_an_engine_may_drop_without_a_word(kind: EngineKind) -> None:
    # A `%llguidance` grammar that llama.cpp cannot compile lets any text through, with status 200.
    assert "llguidance" not in str(body_for(kind, schema=SCHEMA))
    assert (
        not {"grammar", "json_schema", "structured_outputs"} & body_for(kind, schema=SCHEMA).keys()
    )
