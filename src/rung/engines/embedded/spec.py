"""How an embedded model is loaded: the settings and the wishes of a caller, made safe."""

from __future__ import annotations

import os
import sys

import msgspec

from rung.chat import LoadOptions
from rung.config.settings import EmbeddedSettings, KvType

# A context of 1e9 tokens makes llama.cpp hang rather than fail.
MAX_CONTEXT_TOKENS = 131_072
MIN_CONTEXT_TOKENS = 256
MAX_ALL_SLOTS_TOKENS = 1_048_576


class LoadSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What the child is started with. `context_tokens` is the window of each slot."""

    context_tokens: int
    slots: int
    kv_type: KvType
    gpu_layers: int
    threads: int
    cache_mib: int
    load_timeout_s: float
    timeout_s: float
    is_embedding: bool = False


def load_spec(
    settings: EmbeddedSettings, options: LoadOptions, trained_tokens: int | None = None
) -> LoadSpec:
    """The options, and the settings for those that are `None`.

    The window is no larger than what the model was trained on, where that is known.
    """
    slots = options.slots or settings.slots
    gpu_layers = settings.gpu_layers if options.gpu_layers is None else options.gpu_layers
    return LoadSpec(
        context_tokens=_window(
            options.context_tokens or settings.context_tokens, slots, trained_tokens
        ),
        slots=slots,
        kv_type=options.kv_type or settings.kv_type,
        gpu_layers=gpu_layers,
        threads=thread_count(settings),
        cache_mib=settings.cache_mib,
        load_timeout_s=settings.load_timeout_s,
        timeout_s=settings.timeout_s,
        is_embedding=options.is_embedding,
    )


def _window(wanted: int, slots: int, trained_tokens: int | None) -> int:
    most = min(most_context_tokens(slots), trained_tokens or wanted)
    return max(MIN_CONTEXT_TOKENS, min(wanted, most))


def most_context_tokens(slots: int) -> int:
    """The largest window that each of the slots may have."""
    return min(MAX_CONTEXT_TOKENS, MAX_ALL_SLOTS_TOKENS // slots)


def thread_count(settings: EmbeddedSettings) -> int:
    """Threads for the model; by default one core stays free, or its spinning stalls on Rung."""
    if settings.threads > 0:
        return settings.threads
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    return max(1, (cores or 1) - 1)
