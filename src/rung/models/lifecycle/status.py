"""What is in memory, as `rung models ps` shows it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from rung.models.lifecycle.state import Key, Resident


class ModelStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is in memory, moves, or is waited for. `unloads_in_s`: if nobody uses it.

    `is_ours`: Rung loaded it, here or in a process that has ended; `claimed_by` is the id of
    another living process of Rung's that did. Else the user or another program did.
    """

    engine: str
    model: str
    state: Literal["waiting", "loading", "ready", "unloading"]
    leases: int = 0
    waiting: int = 0
    memory_bytes: int | None = None
    context_tokens: int | None = None
    slots: int | None = None
    is_pinned: bool = False
    is_ours: bool = True
    claimed_by: int | None = None
    idle_s: float | None = None
    unloads_in_s: float | None = None


def statuses(residents: Mapping[Key, Resident], waiting_for: Iterable[Key]) -> list[ModelStatus]:
    """One row per model that is there, or that somebody waits for."""
    waiting = Counter(waiting_for)
    rows = [_status(resident, waiting[key]) for key, resident in residents.items()]
    return rows + [
        ModelStatus(engine=key.engine, model=key.model, state="waiting", waiting=count)
        for key, count in waiting.items()
        if key not in residents
    ]


def _status(resident: Resident, waiting: int) -> ModelStatus:
    now, loaded = time.monotonic(), resident.loaded
    expires_at = resident.expires_at
    return ModelStatus(
        engine=resident.key.engine,
        model=resident.key.model,
        state=resident.state,
        leases=resident.leases,
        waiting=waiting,
        memory_bytes=resident.memory_bytes,
        context_tokens=(loaded and loaded.context_tokens) or resident.options.context_tokens,
        slots=resident.slots,
        is_pinned=resident.is_pinned,
        is_ours=resident.is_ours,
        claimed_by=resident.claimed_by,
        idle_s=now - resident.used_at if resident.is_unused and resident.used_at else None,
        unloads_in_s=max(0.0, expires_at - now) if expires_at is not None else None,
    )
