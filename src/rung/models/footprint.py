"""How much memory a model takes, by the best that is known of it, and what it may take.

What was measured at an earlier load comes first; then the gguf's own shape; then the sizes that an
engine lists. Nothing here contacts an engine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from rung.chat import LoadOptions, ModelInfo
from rung.config.settings import MemorySettings, Settings
from rung.engines.base import Engine
from rung.models.catalogue import is_valid_id
from rung.models.fit import DEFAULT_CONTEXT_TOKENS, KV_VALUE_BYTES, Budget, budget
from rung.models.gguf import GgufMetadata
from rung.models.measured import Measured, Measurements, options_key
from rung.models.memory import Memory
from rung.models.shapes import Shapes
from rung.models.store import ModelStore

Footprint = Callable[[Engine, str, LoadOptions], int | None]
Basis = Literal["measured", "loaded", "file", "size", "parameters"]

_GIB = 1 << 30
# Of a model known by its size alone: buffers and runtime, and what a token of context takes. The
# latter grows with layers times width, about the square root of the weights: 24 KB at 0.1 GB of
# weights, 128 KB at 5 GB (with grouped queries, as models of the last years have).
_RUNTIME_BYTES = 150_000_000
_BUFFERS_SHARE = 0.05
_KV_BYTES_PER_TOKEN_AT_1_GB = 60_000
_BYTES_PER_PARAMETER = 4.5 / 8
_GUESS_MARGIN = 0.1


class Expectation(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of memory, what may come on top with use, and how they are known.

    `measured` at an earlier load of the same options; told by the engine while `loaded`; computed
    from the gguf `file`; guessed from the `size` of the weights, or from the `parameters`.
    """

    memory_bytes: int
    basis: Basis
    growth_bytes: int = 0


def expectation(
    measured: Measured,
    info: ModelInfo,
    gguf: GgufMetadata | None,
    options: LoadOptions,
    default_context: int | None = None,
    *,
    cache_bytes: int = 0,
) -> Expectation | None:
    """What the model takes with `options`; `None` where nothing is known of it.

    A window that the options leave open is `default_context`, else the model's own, else 4096.
    `cache_bytes` bounds the engine's cache of saved prompts.
    """
    context = options.context_tokens or default_context or info.context_tokens
    wanted = msgspec.structs.replace(options, context_tokens=context)
    computed = budget(gguf, wanted, cache_bytes=cache_bytes) if gguf is not None else None
    growth = computed.growth_bytes if computed else cache_bytes
    for asked in (options, wanted):
        if seen := measured.footprints.get(options_key(asked)):
            needed = _without_copies(seen, computed)
            return Expectation(memory_bytes=needed, basis="measured", growth_bytes=growth)
    if computed is not None:
        return Expectation(memory_bytes=computed.total_bytes, basis="file", growth_bytes=growth)
    if info.memory_bytes and info.is_loaded is not False:
        return Expectation(memory_bytes=info.memory_bytes, basis="loaded", growth_bytes=growth)
    if not weights_bytes(info):
        return None
    guess = guessed_bytes(info, wanted)
    return Expectation(
        memory_bytes=guess,
        basis="size" if info.size_bytes else "parameters",
        growth_bytes=growth or round(guess * _GUESS_MARGIN),
    )


def expected_bytes(
    measured: Measured,
    info: ModelInfo,
    gguf: GgufMetadata | None,
    options: LoadOptions,
    default_context: int | None = None,
) -> int | None:
    """As `expectation`: the bytes alone."""
    found = expectation(measured, info, gguf, options, default_context)
    return found.memory_bytes if found else None


def weights_bytes(info: ModelInfo) -> int:
    """The size of the weights: as listed, else by their number at the usual 4 to 5 bits each."""
    return info.size_bytes or round((info.parameters or 0) * _BYTES_PER_PARAMETER)


def guessed_bytes(info: ModelInfo, options: LoadOptions) -> int:
    """Memory of a model of which only the size is known: within a third or so."""
    weights = weights_bytes(info)
    tokens = (options.context_tokens or DEFAULT_CONTEXT_TOKENS) * (options.slots or 1)
    per_value = KV_VALUE_BYTES[options.kv_type or "f16"] / KV_VALUE_BYTES["f16"]
    kv = tokens * _KV_BYTES_PER_TOKEN_AT_1_GB * (weights / 1e9) ** 0.5 * per_value
    return round(weights * (1 + _BUFFERS_SHARE) + _RUNTIME_BYTES + kv)


def footprints(
    store: ModelStore,
    measured: Measurements,
    settings: Settings,
    *,
    shapes: Shapes | None = None,
    listed: Callable[[str, str], ModelInfo | None] = lambda _engine, _model: None,
) -> Footprint:
    """The expected memory of any engine's model, for who plans loads.

    `listed` gives what an engine last listed of a model, by the names of both.
    """
    read = shapes or Shapes(settings.data_dir)

    def footprint(engine: Engine, model: str, options: LoadOptions) -> int | None:
        gguf = installed_shape(store, read, model) if engine.kind == "embedded" else None
        return expected_bytes(
            measured.of(engine.name, model),
            listed(engine.name, model) or ModelInfo(id=model),
            gguf,
            options,
            settings.embedded.context_tokens if engine.kind == "embedded" else None,
        )

    return footprint


def installed_shape(store: ModelStore, shapes: Shapes, model_id: str) -> GgufMetadata | None:
    """The shape of a model of the store; `None` where it is not there, or damaged."""
    if not is_valid_id(model_id):
        return None
    found = store.find(model_id)
    return shapes.find(found.path) if found and not found.problem else None


def room_bytes(memory: Memory, settings: MemorySettings, *, uses_gpu: bool) -> int:
    """What models may take now: the user's budget, else what is free less the reserve.

    GPUs with memory of their own are added for an engine that uses them.
    """
    if settings.budget_gib:
        return round(settings.budget_gib * _GIB)
    free = memory.available_bytes + (memory.vram_free_bytes if uses_gpu else 0)
    return max(0, free - round(settings.reserve_gib * _GIB))


def _without_copies(seen_bytes: int, computed: Budget | None) -> int:
    """A measured resident size, less the pages of the file that are not read again.

    Never below the estimate: under pressure the kernel had taken some of them back already.
    """
    if computed is None or not computed.reclaimable_bytes:
        return seen_bytes
    return max(seen_bytes - computed.reclaimable_bytes, computed.total_bytes)
