from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.engines.think import ThinkSplitter


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
