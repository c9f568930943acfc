from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rung.chat import LoadOptions
from rung.config.settings import EmbeddedSettings
from rung.engines.embedded.spec import (
    MAX_ALL_SLOTS_TOKENS,
    MAX_CONTEXT_TOKENS,
    MIN_CONTEXT_TOKENS,
    load_spec,
    thread_count,
)


@given(
    context=st.integers(0, 10**9),
    slots=st.integers(1, 64),
    trained=st.none() | st.integers(256, 10**7),
)
def test_a_window_that_would_hang_the_process_is_bounded(
    context: int, slots: int, trained: int | None
) -> None:
    options = LoadOptions(context_tokens=context, slots=slots)
    spec = load_spec(EmbeddedSettings(), options, trained)
    assert MIN_CONTEXT_TOKENS <= spec.context_tokens <= MAX_CONTEXT_TOKENS
    assert spec.context_tokens * slots <= MAX_ALL_SLOTS_TOKENS
    assert trained is None or spec.context_tokens <= trained


def test_what_a_caller_leaves_open_the_settings_say() -> None:
    settings = EmbeddedSettings(context_tokens=1024, slots=3, kv_type="q8_0", gpu_layers=7)
    spec = load_spec(settings, LoadOptions(slots=2))
    assert (spec.context_tokens, spec.slots, spec.kv_type, spec.gpu_layers) == (1024, 2, "q8_0", 7)


def test_one_core_is_left_free_unless_the_user_says_otherwise() -> None:
    assert thread_count(EmbeddedSettings(threads=0)) >= 1
    assert thread_count(EmbeddedSettings(threads=3)) == 3
