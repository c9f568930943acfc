from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.chat import ChatRequest, Message, Tool, ToolCall
from rung.engines.failure import Origin
from rung.engines.limits import check_request, is_deep, is_deep_text
from rung.errors import EngineError

ORIGIN = Origin(engine="embedded", base_url="x")


def nested(levels: int) -> dict[str, object]:
    inner: dict[str, object] = {}
    for _ in range(levels - 1):
        inner = {"a": [inner]} if levels % 2 else {"a": inner}
    return inner


def request(content: str = "hi", **parts: object) -> ChatRequest:
    user = Message(role="user", content=content)
    return ChatRequest(model="m", messages=(user,), **parts)  # type: ignore[arg-type]


def kind_of(chat: ChatRequest) -> str:
    with pytest.raises(EngineError) as raised:
        check_request(chat, 4096, ORIGIN)
    return raised.value.kind


def test_an_ordinary_request_passes() -> None:
    check_request(request("x" * 10_000, schema={"type": "object"}), 4096, ORIGIN)


def test_a_prompt_that_cannot_fit_overflows_the_context() -> None:
    assert kind_of(request("x" * 2_000_000)) == "context_overflow"


def test_size_is_counted_in_bytes() -> None:
    assert kind_of(request("🙂" * 200_000)) == "context_overflow"


@pytest.mark.parametrize("levels", [100, 101, 30_000])
def test_deep_nesting_is_a_bad_request(levels: int) -> None:
    assert kind_of(request(schema=nested(levels))) == "bad_request"
    assert kind_of(request(tools=(Tool(name="t", parameters=nested(levels)),))) == "bad_request"


def test_deep_tool_arguments_are_a_bad_request() -> None:
    call = ToolCall(id="1", name="t", arguments="[" * 20_000 + "]" * 20_000)
    said = Message(role="assistant", tool_calls=(call,))
    assert kind_of(ChatRequest(model="m", messages=(said,))) == "bad_request"


_JSON = st.recursive(
    st.none() | st.text(alphabet='a[]{}"\\', max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(_JSON, st.integers(0, 6))
def test_depth_of_text_agrees_with_depth_of_its_value(value: object, limit: int) -> None:
    assert is_deep_text(json.dumps(value), limit) == is_deep(value, limit)
