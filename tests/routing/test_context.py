"""What fits a window, what is in doubt, and what was cut off: by numbers alone."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rung.chat import ChatRequest, Message, ModelInfo, Tool, ToolCall
from rung.routing.context import (
    FIRST_WINDOW_TOKENS,
    LEAST_ANSWER_TOKENS,
    MAX_TOKEN_BYTES,
    PromptSize,
    answer_room,
    grown_window,
    is_truncated,
    judge,
    lowered_max_tokens,
    planned_window,
    prompt_size,
    seen_bytes_per_token,
    settle,
)

SIZES = st.builds(
    PromptSize,
    text_bytes=st.integers(0, 10_000_000),
    turns=st.integers(1, 200),
    images=st.integers(0, 5),
    bytes_per_token=st.none() | st.floats(1, 8),
)
WINDOWS = st.integers(256, 2_000_000)
ROOMS = st.none() | st.integers(1, 200_000)


def text(size_bytes: int, bytes_per_token: float | None = None) -> PromptSize:
    return PromptSize(text_bytes=size_bytes, turns=1, images=0, bytes_per_token=bytes_per_token)


def of(*messages: Message, **parts: object) -> PromptSize:
    request = ChatRequest(model="m", messages=messages, **parts)  # type: ignore[arg-type]
    return prompt_size(request, None)


def test_everything_that_becomes_prompt_is_counted_in_bytes() -> None:
    call = ToolCall(id="1", name="look", arguments='{"a": 1}')
    plain = of(Message(role="user", content="naïve"))
    with_call = of(Message(role="assistant", content="naïve", tool_calls=(call,)))
    with_tool = of(
        Message(role="user", content="naïve"), tools=(Tool(name="look", description="d" * 500),)
    )
    assert plain.text_bytes == 6
    assert with_call.text_bytes == 6 + len("look") + len('{"a": 1}')
    assert with_tool.text_bytes > 500
    assert of(Message(role="user", content="\ud83d")).text_bytes == 3


def test_an_image_counts_by_the_image_not_by_its_bytes() -> None:
    one = of(Message(role="user", content="what is it?", images=("data:" + "A" * 3_000_000,)))
    assert one.text_bytes < 100
    assert 500 < one.estimate < one.most < 10_000


@given(SIZES)
def test_the_bounds_are_in_their_order(size: PromptSize) -> None:
    assert 0 <= size.least <= size.low <= size.estimate <= size.high <= size.most


@given(SIZES, WINDOWS, ROOMS, st.integers(0, 10_000_000))
def test_a_verdict_agrees_with_every_count_that_is_possible(
    size: PromptSize, window: int, max_tokens: int | None, count: int
) -> None:
    assume(size.least <= count <= size.high)
    needed = count + answer_room(max_tokens)
    verdict = judge(size, window, max_tokens)
    if verdict == "fits":
        assert needed <= window
    if verdict == "too_long":
        assert needed > window


@given(SIZES, WINDOWS, ROOMS)
def test_an_exact_count_decides_by_itself(
    size: PromptSize, window: int, max_tokens: int | None
) -> None:
    room = answer_room(max_tokens)
    for truncates in (False, True):
        assert settle(size, window - room, window, max_tokens, truncates=truncates)
        assert not settle(size, window - room + 1, window, max_tokens, truncates=truncates)


@given(SIZES, WINDOWS, ROOMS)
def test_an_engine_that_truncates_is_sent_no_more_than_one_that_fails(
    size: PromptSize, window: int, max_tokens: int | None
) -> None:
    if settle(size, None, window, max_tokens, truncates=True):
        assert settle(size, None, window, max_tokens, truncates=False)


def test_english_near_the_window_has_the_benefit_of_the_doubt_but_not_where_it_would_be_cut() -> (
    None
):
    english = text(4 * 3_500)  # 3,500 tokens at 4 bytes each, 4,667 by the careful guess
    assert judge(english, 4_096, 256) == "doubt"
    assert settle(english, None, 4_096, 256, truncates=False)
    assert not settle(english, None, 4_096, 256, truncates=True)
    assert settle(text(4 * 3_500, 4.0), None, 4_096, 256, truncates=True)


def test_a_prompt_whose_bytes_cannot_fit_is_too_long_without_a_question() -> None:
    assert judge(text(4_096 * MAX_TOKEN_BYTES), 4_096, 16) == "too_long"


@given(SIZES, st.none() | st.integers(0, 100_000), WINDOWS, ROOMS)
def test_max_tokens_is_only_ever_lowered_and_never_below_the_room_that_was_kept(
    size: PromptSize, exact: int | None, window: int, max_tokens: int | None
) -> None:
    lowered = lowered_max_tokens(size, exact, window, max_tokens)
    if max_tokens is None:
        assert lowered is None
        return
    assert lowered is not None
    assert answer_room(max_tokens) <= lowered <= max_tokens
    if exact is not None and exact + answer_room(max_tokens) <= window:
        assert exact + lowered <= window


@pytest.mark.parametrize(
    ("engine_says", "trained", "declared", "is_loadable", "window"),
    [
        (8192, None, None, False, 8192),
        (8192, None, 4096, False, 4096),
        (8192, None, 32768, False, 8192),
        (None, None, 32768, False, 32768),
        (4096, 32768, 16384, True, 16384),
        (4096, 8192, 16384, True, 8192),
        (None, None, None, True, None),
    ],
)
def test_the_engine_knows_its_window_best(
    engine_says: int | None,
    trained: int | None,
    declared: int | None,
    is_loadable: bool,
    window: int | None,
) -> None:
    info = ModelInfo(id="m", context_tokens=engine_says, max_context_tokens=trained)
    planned = planned_window(info, declared, is_loadable=is_loadable)
    assert planned == window
    again = ModelInfo(id="m", context_tokens=planned, max_context_tokens=trained)
    assert planned_window(again, declared, is_loadable=is_loadable) == window


@pytest.mark.parametrize("is_loadable", [True, False])
def test_a_window_of_0_is_one_that_nobody_knows(is_loadable: bool) -> None:
    info = ModelInfo(id="m", context_tokens=0, max_context_tokens=0)
    assert planned_window(info, None, is_loadable=is_loadable) is None
    assert planned_window(info, 4096, is_loadable=is_loadable) == 4096


@given(
    st.none() | st.integers(512, 1_000_000),
    st.integers(1, 3_000_000),
    st.none() | st.integers(512, 2_000_000),
)
def test_a_window_stays_until_the_prompt_needs_more_and_then_holds_it(
    current: int | None, needed: int, longest: int | None
) -> None:
    window = grown_window(current, needed, longest)
    assert window >= (current or 0)
    if current and needed <= current:
        assert window == current
    elif longest is None or needed <= longest:
        assert window >= needed
    assert longest is None or window <= max(longest, current or 0)


def test_a_window_grows_by_powers_of_two() -> None:
    assert grown_window(None, 10, None) == FIRST_WINDOW_TOKENS
    assert grown_window(4096, 4097, None) == 8192
    assert grown_window(4096, 9000, 10_000) == 10_000


def test_an_answer_teaches_how_many_bytes_a_token_has() -> None:
    assert seen_bytes_per_token(text(4_000), 1_016) == 4.0
    short, odd = text(100), text(4_000)
    assert seen_bytes_per_token(short, 40) is None
    assert seen_bytes_per_token(odd, None) is None
    assert seen_bytes_per_token(odd, 17) is None  # the rest was cached, and not counted
    assert seen_bytes_per_token(odd, 9_000) is None
    image = PromptSize(text_bytes=4_000, turns=1, images=1, bytes_per_token=None)
    assert seen_bytes_per_token(image, 1_016) is None


@given(SIZES, st.integers(0, 10_000_000))
def test_no_ratio_is_learned_that_no_text_has(size: PromptSize, tokens_in: int) -> None:
    ratio = seen_bytes_per_token(size, tokens_in)
    assert ratio is None or 1 <= ratio <= 8


@pytest.mark.parametrize(
    ("size", "exact", "tokens_in", "window", "truncated"),
    [
        (text(40_000), 10_000, 10_000, 16_384, False),
        (text(40_000), 10_000, 4_096, 16_384, True),
        (text(40_000), 10_000, 9_950, 16_384, False),
        (text(1_000_000), None, 4_096, 4_096, True),  # no token has 244 bytes
        (text(1_000_000), None, 12, 4_096, False),  # what was cached is not counted
        (text(80_000, 4.0), None, 4_000, 4_096, True),
        (text(80_000), None, 4_000, 4_096, False),  # a guess is no proof
        (text(12_000, 4.0), None, 1_400, 8_192, False),  # it fits: another kind of text
        (text(80_000, 4.0), None, None, 4_096, False),
    ],
)
def test_only_what_cannot_be_otherwise_counts_as_truncated(
    size: PromptSize, exact: int | None, tokens_in: int | None, window: int, truncated: bool
) -> None:
    assert is_truncated(size, exact, tokens_in, window) is truncated


@given(SIZES, WINDOWS)
def test_an_engine_that_read_everything_is_never_accused(size: PromptSize, window: int) -> None:
    for tokens_in in (size.estimate, size.high, size.most):
        assert not is_truncated(size, None, tokens_in, window)
        assert not is_truncated(size, tokens_in, tokens_in, window)


def test_a_short_answer_needs_little_room_and_a_long_one_no_more_than_the_least() -> None:
    assert (answer_room(16), answer_room(None), answer_room(100_000)) == (
        16,
        LEAST_ANSWER_TOKENS,
        LEAST_ANSWER_TOKENS,
    )
