"""What a model takes: measured before computed, computed before guessed."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from rung.chat import ChatRequest, LoadOptions, Message, ModelInfo
from rung.config.settings import EmbeddedSettings, EngineSettings, MemorySettings, Settings
from rung.engines.embedded.engine import EmbeddedEngine
from rung.engines.openai_compatible import OpenAICompatibleEngine
from rung.models.fit import budget
from rung.models.footprint import (
    expectation,
    expected_bytes,
    footprints,
    guessed_bytes,
    room_bytes,
    weights_bytes,
)
from rung.models.gguf import read_gguf
from rung.models.measured import Measured, Measurements, options_key
from rung.models.memory import Gpu, Memory
from rung.models.store import ModelStore
from tests.models.test_fit import GEMMA3, SMOLLM2
from tests.starter import STARTER

GIB = 1 << 30
LISTED = ModelInfo(id="m", size_bytes=5_000_000_000)
OPTIONS = LoadOptions(context_tokens=4096, slots=1, kv_type="f16")


def seen(memory_bytes: int, options: LoadOptions = OPTIONS) -> Measured:
    return Measured(footprints={options_key(options): memory_bytes})


def test_a_measured_footprint_wins_over_every_estimate() -> None:
    found = expectation(seen(123), LISTED, SMOLLM2, OPTIONS)
    assert found is not None
    assert (found.memory_bytes, found.basis) == (123, "measured")


def test_a_footprint_of_other_options_says_nothing() -> None:
    larger = msgspec.structs.replace(OPTIONS, context_tokens=8192)
    found = expectation(seen(123), LISTED, SMOLLM2, larger)
    assert found is not None
    assert (found.memory_bytes, found.basis) == (budget(SMOLLM2, larger).total_bytes, "file")


def test_a_window_that_is_left_open_is_the_default_one() -> None:
    open_window = msgspec.structs.replace(OPTIONS, context_tokens=None)
    assert expected_bytes(seen(123), LISTED, SMOLLM2, open_window, 4096) == 123
    assert expected_bytes(Measured(), LISTED, SMOLLM2, open_window, 512) == (
        budget(SMOLLM2, msgspec.structs.replace(OPTIONS, context_tokens=512)).total_bytes
    )


def test_pages_of_the_file_that_are_not_read_again_are_not_counted() -> None:
    needed = budget(GEMMA3, OPTIONS)
    assert needed.reclaimable_bytes > 0
    above = needed.resident_bytes + 7
    assert expected_bytes(seen(above), LISTED, GEMMA3, OPTIONS) == needed.total_bytes + 7
    # The kernel had taken them back already when it was measured.
    assert expected_bytes(seen(needed.total_bytes), LISTED, GEMMA3, OPTIONS) == needed.total_bytes


@pytest.mark.parametrize(
    ("info", "basis"),
    [
        (msgspec.structs.replace(LISTED, memory_bytes=9, is_loaded=True), "loaded"),
        (LISTED, "size"),
        (ModelInfo(id="m", parameters=8e9), "parameters"),
    ],
)
def test_without_a_file_the_engines_own_words_count(info: ModelInfo, basis: str) -> None:
    found = expectation(Measured(), info, None, OPTIONS)
    assert found is not None
    assert found.basis == basis


def test_of_a_model_of_unknown_size_nothing_is_expected() -> None:
    assert expectation(Measured(), ModelInfo(id="m"), None, OPTIONS) is None
    assert expected_bytes(Measured(), ModelInfo(id="m"), None, OPTIONS) is None


@pytest.mark.parametrize(
    ("weights", "kv_bytes_per_token"),
    [(98e6, 23_040), (0.8e9, 32_768), (4.9e9, 131_072), (19.8e9, 262_144), (42e9, 327_680)],
)
def test_a_guess_by_size_is_within_a_third_of_models_that_people_run(
    weights: float, kv_bytes_per_token: int
) -> None:
    info = ModelInfo(id="m", size_bytes=int(weights))
    real = weights * 1.03 + 200e6 + kv_bytes_per_token * 8192
    wanted = msgspec.structs.replace(OPTIONS, context_tokens=8192)
    assert guessed_bytes(info, wanted) == pytest.approx(real, rel=0.33)


def test_weights_are_guessed_from_parameters_only_where_their_size_is_unknown() -> None:
    assert weights_bytes(ModelInfo(id="m", size_bytes=7, parameters=8e9)) == 7
    assert weights_bytes(ModelInfo(id="m", parameters=8e9)) == 4_500_000_000
    assert weights_bytes(ModelInfo(id="m")) == 0


def test_the_room_is_the_users_budget_else_what_is_free_less_the_reserve() -> None:
    gpu = Gpu(name="g", total_bytes=24 * GIB, free_bytes=20 * GIB)
    memory = Memory(total_bytes=32 * GIB, available_bytes=16 * GIB, gpus=(gpu,))
    reserved = MemorySettings(reserve_gib=2)
    assert room_bytes(memory, reserved, uses_gpu=False) == 14 * GIB
    assert room_bytes(memory, reserved, uses_gpu=True) == 34 * GIB
    assert room_bytes(memory, MemorySettings(reserve_gib=99), uses_gpu=False) == 0
    assert room_bytes(memory, MemorySettings(budget_gib=4), uses_gpu=True) == 4 * GIB


def test_whoever_plans_loads_gets_the_best_that_is_known_of_any_engines_model(
    tmp_path: Path, starter_model_dir: Path
) -> None:
    settings = Settings(data_dir=tmp_path)
    store, measured = ModelStore(starter_model_dir), Measurements(tmp_path)
    listed = {("mine", "big"): LISTED}
    footprint = footprints(store, measured, settings, listed=lambda e, m: listed.get((e, m)))
    embedded = EmbeddedEngine(settings.embedded, store.path, list)
    other = OpenAICompatibleEngine("mine", EngineSettings(base_url="http://127.0.0.1:9/v1"))
    computed = footprint(embedded, STARTER, OPTIONS)
    assert computed == budget(SMOLLM2, OPTIONS).total_bytes
    assert footprint(other, "big", OPTIONS) == guessed_bytes(LISTED, OPTIONS)
    assert footprint(embedded, "../absent", OPTIONS) is None
    measured.learn_footprint("embedded", STARTER, OPTIONS, 77)
    assert footprint(embedded, STARTER, OPTIONS) == 77


async def test_the_estimate_is_within_15_percent_of_a_real_process(starter_model_dir: Path) -> None:
    settings = EmbeddedSettings(cache_mib=0)
    store = ModelStore(starter_model_dir)
    async with EmbeddedEngine(settings, store.path, list) as engine:
        await engine.load(STARTER, OPTIONS)
        message = Message(role="user", content="water " * 100)
        asked = ChatRequest(model=STARTER, messages=(message,), temperature=0.0, max_tokens=8)
        await engine.complete(asked)
        (loaded,) = await engine.loaded()
    if loaded.memory_bytes is None:
        pytest.skip("this system does not tell what a process holds")
    shape = read_gguf(store.path(STARTER))
    estimate = budget(shape, OPTIONS, tokens_in_use=200).resident_bytes
    assert estimate == pytest.approx(loaded.memory_bytes, rel=0.15)
