"""`rung models fit`: a report promises no window that the engine would not give."""

from __future__ import annotations

import msgspec
import pytest

from rung.chat import LoadOptions, ModelInfo
from rung.config.settings import EmbeddedSettings
from rung.engines.embedded.spec import load_spec
from rung.models.fit import budget
from rung.models.footprint import Expectation
from rung.models.gguf import GgufMetadata
from rung.routing.fitting import FitReport, fit_report

SHAPE = GgufMetadata(
    architecture="llama",
    name="Small",
    quantization="Q4_0",
    parameters=100_000_000,
    size_bytes=60_000_000,
    context_tokens=32_768,
    layers=12,
    kv_heads=(2,) * 12,
    key_length=64,
    value_length=64,
    heads=8,
    embedding_length=512,
    feed_forward_length=1536,
    vocabulary=32_000,
)


def reported(shape: GgufMetadata, options: LoadOptions) -> FitReport:
    expected = Expectation(memory_bytes=budget(shape, options).total_bytes, basis="file")
    return fit_report(
        "embedded/small",
        options,
        ModelInfo(id="small"),
        shape,
        expected,
        room_bytes=1 << 60,
        room_basis="budget",
    )


@pytest.mark.parametrize("slots", [1, 8, 64])
@pytest.mark.parametrize("trained", [32_768, 1 << 20, None])
def test_a_window_is_what_the_engine_would_load(slots: int, trained: int | None) -> None:
    shape = msgspec.structs.replace(SHAPE, context_tokens=trained)
    wanted = LoadOptions(context_tokens=(1 << 31) - 1, slots=slots)
    report = reported(shape, wanted)
    loaded = load_spec(EmbeddedSettings(), wanted, trained)
    assert report.options.context_tokens == loaded.context_tokens
    assert set(report.largest_contexts.values()) == {loaded.context_tokens}
    assert report.trained_context_tokens == trained
