"""The answer to `rung models fit`: what a model takes, what there is, and what would fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from rung.chat import LoadOptions, ModelInfo
from rung.config.settings import KvType
from rung.engines.embedded.spec import most_context_tokens
from rung.models.fit import (
    KV_VALUE_BYTES,
    Budget,
    FitLevel,
    alternatives,
    budget,
    completed,
    fit_level,
    largest_context,
)
from rung.models.footprint import Expectation, guessed_bytes
from rung.models.gguf import GgufMetadata

RoomBasis = Literal["budget", "declared", "free", "unknown"]


class FitReport(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers in bytes. `budget` is there where the model's file could be read.

    `room_bytes` is what models may take, `None` where nobody knows. It is the user's `budget`, or
    what was `declared` of the engine, or what would be `free` with every model unloaded:
    `held_models` hold `held_bytes` of that now.
    `largest_contexts` is per slot, by type of the KV cache; zero: the model does not fit at all.
    """

    model: str
    options: LoadOptions
    expectation: Expectation
    budget: Budget | None
    room_bytes: int | None
    room_basis: RoomBasis
    held_bytes: int
    held_models: tuple[str, ...]
    fit: FitLevel
    trained_context_tokens: int | None
    largest_contexts: Mapping[KvType, int]
    alternatives: tuple[LoadOptions, ...]


def fit_report(
    model: str,
    options: LoadOptions,
    info: ModelInfo,
    gguf: GgufMetadata | None,
    expected: Expectation,
    *,
    room_bytes: int | None,
    room_basis: RoomBasis,
    held_bytes: int = 0,
    held_models: Sequence[str] = (),
) -> FitReport:
    """Join what is known. `expected` decides; what would fit instead is computed from the shape."""
    trained = (gguf.context_tokens if gguf else None) or info.max_context_tokens
    most = trained
    if gguf is not None:  # only the embedded engine's files are read
        most = most_context_tokens(options.slots or 1)
        most = min(trained or most, most)
    wanted = completed(options, most)

    def computed(way: LoadOptions) -> int:
        return guessed_bytes(info, way) if gguf is None else budget(gguf, way).total_bytes

    # What was measured of the options that were asked for mends the estimate of all others.
    error = expected.memory_bytes - computed(wanted)

    def needed(way: LoadOptions) -> int:
        return computed(way) + error

    room = room_bytes
    level = fit_level(expected.memory_bytes, expected.growth_bytes, room)
    return FitReport(
        model=model,
        options=wanted,
        expectation=expected,
        budget=budget(gguf, wanted) if gguf else None,
        room_bytes=room,
        room_basis=room_basis,
        held_bytes=held_bytes,
        held_models=tuple(held_models),
        fit=level,
        trained_context_tokens=trained,
        largest_contexts={}
        if room is None
        else {
            kind: largest_context(needed, msgspec.structs.replace(wanted, kv_type=kind), most, room)
            for kind in KV_VALUE_BYTES
        },
        alternatives=tuple(alternatives(needed, wanted, most, room))
        if room is not None and level == "too large"
        else (),
    )
