"""The estimate of memory: what llama.cpp was seen to allocate, and what follows from it."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.chat import LoadOptions
from rung.config.settings import KvType
from rung.models.fit import (
    KV_VALUE_BYTES,
    Budget,
    alternatives,
    budget,
    completed,
    copied_bytes,
    fit_level,
    kv_bytes,
    largest_context,
)
from rung.models.gguf import GgufMetadata

MIB = 1 << 20
SMOLLM2 = GgufMetadata(
    architecture="llama",
    name="SmolLM2",
    quantization="Q4_1",
    parameters=134_515_008,
    size_bytes=98_362_432,
    context_tokens=8192,
    layers=30,
    kv_heads=(3,) * 30,
    key_length=64,
    value_length=64,
    heads=9,
    embedding_length=576,
    feed_forward_length=1536,
    vocabulary=49_152,
)
GEMMA3 = GgufMetadata(
    architecture="gemma3",
    name="Gemma 3 270M",
    quantization="Q4_K_M",
    parameters=268_098_176,
    size_bytes=253_113_024,
    context_tokens=32_768,
    layers=18,
    kv_heads=(1,) * 18,
    key_length=256,
    value_length=256,
    heads=4,
    embedding_length=640,
    feed_forward_length=2048,
    vocabulary=262_144,
    is_sliding=((True,) * 5 + (False,)) * 3,
    sliding_window=512,
    sliding_key_length=256,
    sliding_value_length=256,
    matrix_bytes={"Q4_K": 13_271_040, "Q6_K": 9_676_800},
)
MAMBA = msgspec.structs.replace(
    SMOLLM2, kv_heads=(0,) * 24, layers=24, heads=0, key_length=0, state_bytes=2_801_664
)
KV_TYPES = tuple(KV_VALUE_BYTES)

Options = st.builds(
    LoadOptions,
    context_tokens=st.integers(256, 40_000),
    slots=st.integers(1, 8),
    kv_type=st.sampled_from(KV_TYPES),
)
MODELS = st.sampled_from([SMOLLM2, GEMMA3, MAMBA])


def loaded(context: int, slots: int = 1, kv_type: KvType = "f16") -> LoadOptions:
    return LoadOptions(context_tokens=context, slots=slots, kv_type=kv_type)


@pytest.mark.parametrize(
    ("model", "options", "mib"),
    [
        (SMOLLM2, loaded(4096), 90.0),
        (SMOLLM2, loaded(4096, slots=4), 360.0),
        (SMOLLM2, loaded(8192, kv_type="q8_0"), 95.62),
        (GEMMA3, loaded(4096), 12.0 + 11.25),
        (GEMMA3, loaded(4096, slots=4), 48.0 + 45.0),
        (GEMMA3, loaded(4096, slots=4, kv_type="q8_0"), 25.5 + 23.91),
        (GEMMA3, loaded(512), 1.5 + 7.5),
        (MAMBA, loaded(4096), 0.0),
    ],
)
def test_the_kv_cache_is_what_llama_cpp_reports(
    model: GgufMetadata, options: LoadOptions, mib: float
) -> None:
    assert kv_bytes(model, options) / MIB == pytest.approx(mib, abs=0.01)


def test_a_recurrent_state_is_counted_once_a_slot() -> None:
    one, four = budget(MAMBA, loaded(4096)), budget(MAMBA, loaded(4096, slots=4))
    assert one.kv_bytes == MAMBA.state_bytes
    assert four.kv_bytes == 4 * MAMBA.state_bytes


@pytest.mark.parametrize(
    ("model", "options", "mib"),
    [
        (SMOLLM2, loaded(4096), 10.94),
        (SMOLLM2, loaded(8192), 20.94),
        (SMOLLM2, loaded(8192, kv_type="q8_0"), 2.86),
        (GEMMA3, loaded(4096), 6.72),
    ],
)
def test_the_buffers_are_near_what_llama_cpp_reports(
    model: GgufMetadata, options: LoadOptions, mib: float
) -> None:
    checkpoints = (
        2 * min(512, options.context_tokens or 0) * 15 * 512 * 2 if model.is_sliding else 0
    )
    sampling = 20 * model.vocabulary
    found = budget(model, options).buffers_bytes - checkpoints - sampling
    assert found / MIB == pytest.approx(mib, rel=0.05, abs=2.0)


def test_large_batches_and_whole_texts_take_larger_buffers() -> None:
    small = budget(SMOLLM2, loaded(8192))
    large = budget(SMOLLM2, loaded(8192), batch_tokens=512)
    embedding = msgspec.structs.replace(loaded(8192), is_embedding=True)
    assert large.buffers_bytes > 7 * small.buffers_bytes
    assert budget(SMOLLM2, embedding).buffers_bytes > large.buffers_bytes


def test_weights_that_are_laid_out_anew_are_resident_twice_but_needed_once() -> None:
    on_x86, on_riscv = (budget(GEMMA3, loaded(512), machine=m) for m in ("x86_64", "riscv64"))
    assert on_x86.total_bytes == on_riscv.total_bytes
    assert on_x86.resident_bytes - on_riscv.resident_bytes == 13_271_040
    assert copied_bytes(GEMMA3, "aarch64") == 13_271_040 + 9_676_800
    assert copied_bytes(GEMMA3, "AMD64") == copied_bytes(GEMMA3, "x86_64")


def test_saved_prompts_and_copies_of_states_come_on_top_with_use() -> None:
    assert budget(SMOLLM2, loaded(512), cache_bytes=MIB).growth_bytes == MIB
    one = budget(GEMMA3, loaded(512)).growth_bytes
    assert 10 * MIB < one < 100 * MIB  # two more copies of its windows
    assert budget(GEMMA3, loaded(512, slots=4)).growth_bytes == 4 * one


@given(model=MODELS, options=Options)
def test_more_of_anything_never_takes_less(model: GgufMetadata, options: LoadOptions) -> None:
    need = budget(model, options).total_bytes
    context, slots = options.context_tokens or 0, options.slots or 1
    for more in (
        msgspec.structs.replace(options, context_tokens=context + 256),
        msgspec.structs.replace(options, slots=slots + 1),
    ):
        assert budget(model, more).total_bytes >= need
    assert budget(model, options, tokens_in_use=1).total_bytes <= need


@given(model=MODELS, options=Options, room=st.integers(0, 4 << 30))
def test_the_largest_context_fits_and_the_next_does_not(
    model: GgufMetadata, options: LoadOptions, room: int
) -> None:
    def needed(way: LoadOptions) -> int:
        return budget(model, way).total_bytes

    trained = model.context_tokens or 0
    largest = largest_context(needed, options, trained, room)
    assert 0 <= largest <= trained
    if largest:
        assert needed(msgspec.structs.replace(options, context_tokens=largest)) <= room
    if largest < trained:
        following = min(trained, largest + 256)
        assert needed(msgspec.structs.replace(options, context_tokens=following)) > room


@given(model=MODELS, options=Options, room=st.integers(0, 4 << 30))
def test_every_alternative_fits_and_none_is_larger_than_what_was_asked_for(
    model: GgufMetadata, options: LoadOptions, room: int
) -> None:
    def needed(way: LoadOptions) -> int:
        return budget(model, way).total_bytes

    wanted = completed(options, model.context_tokens)
    for way in alternatives(needed, options, model.context_tokens, room):
        assert needed(way) <= room
        assert (way.context_tokens or 0) <= (wanted.context_tokens or 0)
        assert (way.slots or 1) <= (wanted.slots or 1)
        assert KV_TYPES.index(way.kv_type or "f16") >= KV_TYPES.index(wanted.kv_type or "f16")


def test_what_does_not_fit_names_each_single_change_that_would() -> None:
    wanted = loaded(8192, slots=4)
    room = budget(SMOLLM2, loaded(8192, slots=3)).total_bytes

    def needed(way: LoadOptions) -> int:
        return budget(SMOLLM2, way).total_bytes

    smaller_cache, fewer_slots, smaller_window = alternatives(needed, wanted, 8192, room)
    assert smaller_cache == loaded(8192, slots=4, kv_type="q8_0")
    assert fewer_slots == loaded(8192, slots=3)
    assert 256 <= (smaller_window.context_tokens or 0) < 8192


def test_where_no_single_change_is_enough_all_are_made() -> None:
    wanted, least = loaded(8192, slots=8), loaded(256, kv_type="q4_0")
    room = budget(SMOLLM2, least).total_bytes

    def needed(way: LoadOptions) -> int:
        return budget(SMOLLM2, way).total_bytes

    assert alternatives(needed, wanted, 8192, room) == [least]
    assert alternatives(needed, wanted, 8192, room - 1) == []


@pytest.mark.parametrize(
    ("needed", "room", "expected"),
    [
        (90, 100, "fits"),
        (91, 100, "tight"),
        (101, 100, "too large"),
        (None, 100, "unknown"),
        (1, None, "unknown"),
    ],
)
def test_the_level_of_a_fit(needed: int | None, room: int | None, expected: str) -> None:
    assert fit_level(needed, 10, room) == expected


def test_a_window_is_never_larger_than_the_trained_one() -> None:
    assert completed(loaded(100_000), 8192).context_tokens == 8192
    assert completed(LoadOptions(), None) == loaded(4096)


def test_the_parts_add_up() -> None:
    parts = Budget(weights_bytes=1, kv_bytes=2, buffers_bytes=4, runtime_bytes=8)
    assert parts.total_bytes == 15
