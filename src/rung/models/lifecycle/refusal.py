"""Why a model cannot be loaded at all, and what would fit instead."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from rung.chat import LoadOptions
from rung.errors import EngineError
from rung.models.lifecycle.state import Key, Pool, Resident, Waiter

_SMALLEST_CONTEXT = 512


def no_room(
    waiter: Waiter,
    options: LoadOptions,
    pool: Pool,
    footprint: Callable[[LoadOptions], int | None],
) -> EngineError:
    """The error of a load that cannot fit, even with all gone that may go."""
    key = waiter.key
    others = [r for r in pool.residents.values() if r.key != key]
    fixed = [r for r in others if not r.is_evictable]
    room = max(0, (pool.budget_bytes or 0) - sum(r.memory_bytes or 0 for r in fixed))
    message = f"it needs {_gb(waiter.needs_bytes)}, and {_gb(room)} is there for it"
    if fixed:
        names = "; ".join(f"{resident.key}, {_why_fixed(resident)}" for resident in fixed)
        message += f" beside what Rung may not unload ({names})"
    smaller = _what_fits(options, room, footprint)
    advice = f"it would fit with {smaller}" if smaller else "choose a smaller model"
    return EngineError(
        "out_of_memory",
        f"{message}; {advice}, or raise memory.budget_gib, or free memory",
        engine=key.engine,
        model=key.model,
    )


def _why_fixed(resident: Resident) -> str:
    if resident.is_pinned:
        return "pinned"
    if resident.is_stuck:
        return "which its engine did not unload"
    if resident.claimed_by is not None:
        return f"of Rung's process {resident.claimed_by}"
    return "which another program loaded"


def not_unloaded(key: Key) -> EngineError:
    """The error of a load with other options of what its engine would not unload."""
    return EngineError(
        "model_not_loaded",
        "it is loaded with other options, and its engine would not unload it; unload it there, "
        "or use it as it is loaded",
        engine=key.engine,
        model=key.model,
    )


def _what_fits(
    options: LoadOptions, room: int, footprint: Callable[[LoadOptions], int | None]
) -> str | None:
    """Fewer slots, then ever smaller contexts: the first that fits, in words."""
    context, slots = options.context_tokens, options.slots or 1
    if slots > 1 and _fits(msgspec.structs.replace(options, slots=1), room, footprint):
        return "one slot (--slots 1)"
    while context is not None and (context := context // 2) >= _SMALLEST_CONTEXT:
        less = msgspec.structs.replace(options, slots=1, context_tokens=context)
        if _fits(less, room, footprint):
            one_slot = " and one slot (--slots 1)" if slots > 1 else ""
            return f"a context of {context} tokens (--ctx {context}){one_slot}"
    return None


def _fits(options: LoadOptions, room: int, footprint: Callable[[LoadOptions], int | None]) -> bool:
    needed = footprint(options)
    return needed is not None and needed <= room


def _gb(size_bytes: int | None) -> str:
    return "an unknown size" if size_bytes is None else f"{size_bytes / 1e9:.2f} GB"
