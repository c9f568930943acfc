from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.chat import Message
from rung.engines.ollama.window import counts_whole_prompts, fewest_tokens, is_truncated


def user(text: str) -> Message:
    return Message(role="user", content=text)


@given(st.lists(st.text()))
def test_the_bound_is_never_above_what_a_tokenizer_of_words_counts(texts: list[str]) -> None:
    assert fewest_tokens([user(text) for text in texts]) <= sum(len(text.split()) for text in texts)


def test_a_tokenizer_that_joins_some_words_is_not_accused() -> None:
    assert fewest_tokens([user("one two three four")]) == 3


@given(st.text())
def test_the_models_own_turns_are_not_counted(text: str) -> None:
    assert fewest_tokens([Message(role="assistant", content=text)]) == 0


def test_text_without_spaces_is_bounded_by_its_bytes() -> None:
    assert fewest_tokens([user("長" * 1280)]) == 30


@pytest.mark.parametrize(
    ("version", "counts"),
    [
        ("0.1.48", False),
        ("0.2.0", True),
        ("0.12.5", True),
        ("0.30.1", False),
        ("0.33.0-rc1", True),
        ("1.0", True),
        ("0.0.0", False),
        ("", False),
        ("unknown", False),
    ],
)
def test_whether_cached_tokens_are_counted_goes_by_the_version(version: str, counts: bool) -> None:
    assert counts_whole_prompts(version) is counts


@pytest.mark.parametrize(
    ("fewest", "tokens_in", "window", "counts_whole", "truncated"),
    [
        (10, 12, 4096, True, False),
        (10, None, None, True, False),
        (10, 4096, 4096, True, True),
        (5000, 2050, 4096, False, True),
        (5000, None, 4096, False, True),
        (3000, 2050, 4096, True, True),
        (3000, 2050, None, True, True),
        (3000, 2050, 4096, False, False),
        (3000, None, 4096, True, False),
    ],
)
def test_only_a_certain_truncation_is_called_one(
    fewest: int, tokens_in: int | None, window: int | None, counts_whole: bool, truncated: bool
) -> None:
    assert (
        is_truncated(fewest=fewest, tokens_in=tokens_in, window=window, counts_whole=counts_whole)
        is truncated
    )
