from __future__ import annotations

import sys

import xllamacpp
from hypothesis import given
from hypothesis import strategies as st

from rung.chat import LoadOptions
from rung.config.settings import EmbeddedSettings
from rung.engines.embedded import child
from rung.engines.embedded.spec import (
    MAX_ALL_SLOTS_TOKENS,
    MAX_CONTEXT_TOKENS,
    MIN_CONTEXT_TOKENS,
    load_spec,
    thread_count,
)
from rung.models.fit import BATCH_TOKENS, MAX_CHECKPOINTS


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


def test_what_the_fit_reckons_with_is_what_the_child_sets() -> None:
    spec = {
        **{"model_path": "x.gguf", "model": "x", "context_tokens": 512, "slots": 1, "threads": 1},
        **{"gpu_layers": -1, "kv_type": "f16", "cache_mib": 0, "api_key": "k"},
        "is_embedding": False,
    }
    params = child._parameters(xllamacpp, spec)
    assert params.n_ctx_checkpoints == MAX_CHECKPOINTS
    if sys.platform != "darwin":
        assert params.n_ubatch == BATCH_TOKENS
