"""Will a model fit into memory? An estimate before anything is loaded.

What llama.cpp allocates, by its own rules, for the settings of `engines/embedded/child.py`. The
rules are those of its sources (llama-kv-cache*.cpp, llama-memory-recurrent.cpp, repack.cpp); the
constants without a rule were measured on build b11549. `benchmarks/bench_fit.py` compares the sum
with the resident memory of real processes.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from rung.chat import LoadOptions
from rung.config.settings import KvType
from rung.models.gguf import GgufMetadata
from rung.models.gguf_shape import MOST_BYTES

FitLevel = Literal["fits", "tight", "too large", "unknown"]
Need = Callable[[LoadOptions], int]  # bytes that a model takes, loaded so

# Tokens that are computed at once, as engines/embedded/child.py sets it: on a CPU, or a Mac's GPU.
BATCH_TOKENS = 512 if sys.platform == "darwin" else 64
KV_VALUE_BYTES: Mapping[KvType, float] = {"f16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32}
CONTEXT_STEP = 256
DEFAULT_CONTEXT_TOKENS = 4096

# Python, the libraries and what they keep; and the tokenizer's tables, by vocabulary.
_RUNTIME_BYTES = 49 << 20
_RUNTIME_BYTES_PER_WORD = 127
_SAMPLER_BYTES_PER_WORD = 16 + 4  # a slot's candidates, and its logits
_FLOAT_BYTES = 4
_MASK_BYTES = 4
_FLASH_MASK_BYTES = 4 + 2
_ATTENTION_WIDTHS = 6.5  # rows as wide as the model that are alive beside the attention scores
# Where an old state cannot be had by cutting the cache, copies of it are kept: two of each prompt,
# MAX_CHECKPOINTS of each slot at the most, as engines/embedded/child.py sets it.
_CHECKPOINTS_OF_A_PROMPT = 2
MAX_CHECKPOINTS = 4
_REPACKED_ON: Mapping[str, frozenset[str]] = {
    "x86_64": frozenset({"Q4_0", "Q4_K", "IQ4_NL", "MXFP4"}),
    "arm64": frozenset({"Q4_0", "Q4_K", "Q5_K", "Q6_K", "Q8_0", "IQ4_NL", "MXFP4"}),
}
_MACHINES: Mapping[str, str] = {"AMD64": "x86_64", "aarch64": "arm64"}


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """Where the memory goes, in bytes.

    `kv_bytes` includes the state of recurrent layers. `growth_bytes` comes on top with use, and not
    beyond: saved prompts, and copies of states. `reclaimable_bytes` is seen in the process's
    resident memory as well, but is not needed: pages of the file that were copied into another
    layout and are not read again, which the kernel takes back when it wants them.
    """

    weights_bytes: int
    kv_bytes: int
    buffers_bytes: int
    runtime_bytes: int
    growth_bytes: int = 0
    reclaimable_bytes: int = 0

    @property
    def total_bytes(self) -> int:
        """What is needed from the first long answer on."""
        return self.weights_bytes + self.kv_bytes + self.buffers_bytes + self.runtime_bytes

    @property
    def resident_bytes(self) -> int:
        """What the system shows for the process."""
        return self.total_bytes + self.reclaimable_bytes


def budget(
    model: GgufMetadata,
    options: LoadOptions,
    *,
    batch_tokens: int = BATCH_TOKENS,
    cache_bytes: int = 0,
    tokens_in_use: int | None = None,
    machine: str | None = None,
) -> Budget:
    """The memory of `model` loaded with `options`; slots have a window of their own each.

    `batch_tokens` is how many tokens are computed at once, `cache_bytes` the bound of the cache of
    saved prompts, `tokens_in_use` how far the windows are filled (wholly, by default), `machine`
    the CPU's architecture (this one's by default).
    """
    slots = options.slots or 1
    cells = _cells(model, options)
    in_use = cells if tokens_in_use is None else min(cells, _padded(tokens_in_use))
    if options.is_embedding:
        batch_tokens = context_of(model, options)  # a text is read in one batch
    checkpoint = _checkpoint_bytes(model, options, tokens_in_use) * slots
    kv = kv_bytes(model, options, batch_tokens) + model.state_bytes * slots
    buffers = (
        _compute_bytes(model, options, in_use) * batch_tokens
        + model.vocabulary * _SAMPLER_BYTES_PER_WORD * slots
        + checkpoint * _CHECKPOINTS_OF_A_PROMPT
    )
    growth = cache_bytes + checkpoint * (MAX_CHECKPOINTS - _CHECKPOINTS_OF_A_PROMPT)
    return Budget(
        weights_bytes=model.size_bytes,
        kv_bytes=min(kv, MOST_BYTES),
        buffers_bytes=min(buffers, MOST_BYTES),
        runtime_bytes=_RUNTIME_BYTES + _RUNTIME_BYTES_PER_WORD * model.vocabulary,
        growth_bytes=min(growth, MOST_BYTES),
        reclaimable_bytes=copied_bytes(model, machine),
    )


def kv_bytes(model: GgufMetadata, options: LoadOptions, batch_tokens: int = BATCH_TOKENS) -> int:
    """The KV cache of all slots. Layers with a sliding window keep that, and room for one batch."""
    slots, per_value = options.slots or 1, KV_VALUE_BYTES[options.kv_type or "f16"]
    cells = _cells(model, options)
    sliding_cells = _padded(min(cells, model.sliding_window + batch_tokens))
    full_heads, sliding_heads = _heads_by_window(model)
    full = cells * full_heads * (model.key_length + model.value_length)
    sliding = sliding_cells * sliding_heads * _sliding_length(model)
    return round((full + sliding) * per_value) * slots


def copied_bytes(model: GgufMetadata, machine: str | None = None) -> int:
    """Weights that llama.cpp lays out anew for this CPU, so that the file's own are read once.

    Measured on x86 with AVX2; by the sources on ARM with dot products.
    """
    name = machine or platform.machine()
    types = _REPACKED_ON.get(_MACHINES.get(name, name), frozenset())
    return sum(size for kind, size in model.matrix_bytes.items() if kind in types)


def context_of(model: GgufMetadata, options: LoadOptions) -> int:
    """The window that `options` ask for, else the usual one: never beyond the trained one."""
    return completed(options, model.context_tokens).context_tokens or DEFAULT_CONTEXT_TOKENS


def completed(options: LoadOptions, trained_tokens: int | None) -> LoadOptions:
    """`options` with every number that decides about memory; the window within the trained one."""
    context = options.context_tokens or DEFAULT_CONTEXT_TOKENS
    return msgspec.structs.replace(
        options,
        context_tokens=min(context, trained_tokens or context),
        slots=options.slots or 1,
        kv_type=options.kv_type or "f16",
    )


def fit_level(needed_bytes: int | None, growth_bytes: int, room_bytes: int | None) -> FitLevel:
    """Whether a need fits; `tight` where it does, but may not with what comes on top with use."""
    if needed_bytes is None or room_bytes is None:
        return "unknown"
    if needed_bytes > room_bytes:
        return "too large"
    return "fits" if needed_bytes + growth_bytes <= room_bytes else "tight"


def largest_context(
    needed: Need, options: LoadOptions, trained_tokens: int | None, room_bytes: int
) -> int:
    """The largest window of each slot, up to the trained one, that fits; zero: not even one.

    Where it is not the trained one, in steps of 256 tokens, as llama.cpp allocates them.
    """

    def does_fit(context_tokens: int) -> bool:
        return needed(msgspec.structs.replace(options, context_tokens=context_tokens)) <= room_bytes

    most = trained_tokens or options.context_tokens or DEFAULT_CONTEXT_TOKENS
    if does_fit(most):
        return most
    fitting, steps = 0, (most - 1) // CONTEXT_STEP
    while fitting < steps:  # the need grows with the window, so halving finds the last that fits
        middle = (fitting + steps + 1) // 2
        if does_fit(middle * CONTEXT_STEP):
            fitting = middle
        else:
            steps = middle - 1
    return fitting * CONTEXT_STEP


def alternatives(
    needed: Need, options: LoadOptions, trained_tokens: int | None, room_bytes: int
) -> list[LoadOptions]:
    """How a model would fit where `options` do not: with one thing changed, else with all.

    A smaller type of the KV cache, fewer slots, or a smaller window.
    """
    wanted = completed(options, trained_tokens)
    context, slots, kv_type = wanted.context_tokens or 0, wanted.slots or 1, wanted.kv_type or "f16"

    def with_largest_context(way: LoadOptions) -> LoadOptions:
        largest = largest_context(needed, way, trained_tokens, room_bytes)
        return msgspec.structs.replace(way, context_tokens=min(largest, context))

    def does_fit(way: LoadOptions) -> bool:
        return bool(way.context_tokens) and needed(way) <= room_bytes

    kinds = list(KV_VALUE_BYTES)
    ways = (
        [msgspec.structs.replace(wanted, kv_type=k) for k in kinds[kinds.index(kv_type) + 1 :]],
        [msgspec.structs.replace(wanted, slots=fewer) for fewer in range(slots - 1, 0, -1)],
        [with_largest_context(wanted)],
    )
    found = [next(filter(does_fit, of_a_kind), None) for of_a_kind in ways]
    smallest = with_largest_context(msgspec.structs.replace(wanted, kv_type="q4_0", slots=1))
    return [way for way in found if way] or list(filter(does_fit, [smallest]))


def _cells(model: GgufMetadata, options: LoadOptions) -> int:
    """Tokens that the KV cache of one slot has room for."""
    return _padded(context_of(model, options))


def _padded(tokens: int) -> int:
    return -(-tokens // CONTEXT_STEP) * CONTEXT_STEP


def _heads_by_window(model: GgufMetadata) -> tuple[int, int]:
    """KV heads of all layers that keep the whole context, and of those with a window."""
    flags = model.is_sliding or (False,) * len(model.kv_heads)
    sliding = sum(heads for heads, flag in zip(model.kv_heads, flags, strict=False) if flag)
    return sum(model.kv_heads) - sliding, sliding


def _sliding_length(model: GgufMetadata) -> int:
    return model.sliding_key_length + model.sliding_value_length


def _checkpoint_bytes(model: GgufMetadata, options: LoadOptions, tokens_in_use: int | None) -> int:
    """A copy of what cannot be cut back to an earlier token: windows, and recurrent states."""
    _, sliding_heads = _heads_by_window(model)
    context = context_of(model, options)
    tokens = min(model.sliding_window, context if tokens_in_use is None else tokens_in_use)
    per_value = KV_VALUE_BYTES[options.kv_type or "f16"]
    return round(tokens * sliding_heads * _sliding_length(model) * per_value) + model.state_bytes


def _compute_bytes(model: GgufMetadata, options: LoadOptions, cells: int) -> int:
    """A batch's working memory per token: its mask, and the larger of attention and feed-forward.

    Without flash attention every head's scores over the whole cache are alive at once. The types
    of a quantised cache need flash attention, which keeps none.
    """
    width = max(model.embedding_length, model.heads * model.key_length)
    inner = model.feed_forward_length * max(1, model.experts_used)
    scores, mask = cells * model.heads, _MASK_BYTES
    if (options.kv_type or "f16") != "f16":
        scores, mask = 0, _FLASH_MASK_BYTES
    values = max(scores + _ATTENTION_WIDTHS * width, model.embedding_length + 3 * inner)
    return round(cells * mask + values * _FLOAT_BYTES)
