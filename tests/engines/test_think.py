from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.chat import ChatRequest, Message, ToolCall
from rung.engines.think import ThinkSplitter, without_old_thinking


def split(*pieces: str) -> tuple[str, str]:
    """Text and reasoning after all pieces, as a reader of the stream ends up with them."""
    splitter = ThinkSplitter()
    text, reasoning = "", ""
    for part in [*map(splitter.feed, pieces), splitter.finish()]:
        if part.recant:
            text, reasoning = "", reasoning + text
        text, reasoning = text + part.text, reasoning + part.reasoning
    return text, reasoning


@pytest.mark.parametrize(
    ("answer", "text", "reasoning"),
    [
        ("plain", "plain", ""),
        ("<think>why</think>\n\nyes", "yes", "why"),
        ("\n <think>why</think>yes", "yes", "why"),
        ("<thinking>why</thinking>yes", "yes", "why"),
        ("[THINK]why[/THINK]yes", "yes", "why"),
        ("why\n</think>\n\nyes", "yes", "why\n"),
        ("why</think>\nyes", "yes", "why"),
        ("why\n</think>yes", "yes", "why\n"),
        ("</think>\n\nyes", "yes", ""),
        ("<think>never ends", "", "never ends"),
        ("why\n</think>", "", "why\n"),
        ("why</think>", "", "why"),
        ("<think></think>yes", "yes", ""),
        ("a < b and c </ d", "a < b and c </ d", ""),
        ("ends with <thi", "ends with <thi", ""),
        ("<thi", "<thi", ""),
        (" \n", " \n", ""),
        ("", "", ""),
    ],
)
def test_reasoning_is_told_apart_from_text(answer: str, text: str, reasoning: str) -> None:
    assert split(answer) == (text, reasoning)


@pytest.mark.parametrize(
    "answer",
    [
        "Models write <think> and </think> around their thoughts.\n</think>\nSee?",
        "The tag `</think>` closes a block.",
    ],
)
def test_a_text_about_the_tags_stays_whole(answer: str) -> None:
    assert split(answer) == (answer, "")


_PARTS = st.sampled_from(
    ["<think>", "</think>", "<thinking>", "[/THINK]", "a", "\n", " ", "<", "</", "word", "🙂"]
)


@given(st.lists(_PARTS, max_size=8).map("".join), st.data())
def test_how_the_network_cuts_an_answer_does_not_matter(answer: str, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(answer)), max_size=6).map(sorted))
    pieces = [answer[a:b] for a, b in zip([0, *cuts], [*cuts, len(answer)], strict=True)]
    assert split(*pieces) == split(answer)


@given(st.text(alphabet="ab <>/\n", max_size=60))
def test_an_answer_without_tags_passes_unchanged(answer: str) -> None:
    assert split(*answer) == (answer, "")


def sent(role: Any, content: str, **parts: Any) -> Message:
    """A message as an engine gets it."""
    message = Message(role=role, content=content, **parts)
    request = ChatRequest(model="m", messages=(message,))
    return without_old_thinking(request).messages[0]


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("<think>why</think>\n\nyes", "yes"),
        ("[THINK]why[/THINK]yes", "yes"),
        ("why\n</think>\n\nyes", "yes"),
        ("<think>never ended", ""),
        ("The tag <think> opens a block.", "The tag <think> opens a block."),
        ("no thought", "no thought"),
        ("", ""),
    ],
)
def test_what_a_model_thought_is_not_sent_to_it_again(said: str, left: str) -> None:
    call = ToolCall(id="1", name="look", arguments="{}")
    message = sent("assistant", said, tool_calls=(call,))
    assert (message.content, message.tool_calls) == (left, (call,))


@pytest.mark.parametrize("role", ["user", "system", "tool"])
def test_what_others_said_is_sent_as_it_is(role: str) -> None:
    assert sent(role, "<think>quoted</think> x").content == "<think>quoted</think> x"


def test_a_request_without_thoughts_is_not_copied() -> None:
    request = ChatRequest(model="m", messages=(Message(role="assistant", content="hi"),))
    assert without_old_thinking(request) is request
