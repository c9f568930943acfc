"""Whose memory a model takes, and how much of it Rung may fill."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rung.config.settings import Settings
from rung.engines.base import Engine
from rung.models.lifecycle.state import Resident
from rung.models.memory import machine_memory

MACHINE = "this machine"
_GIB = 1024**3

Available = Callable[[], int]


def pool_of(settings: Settings, engine: Engine) -> str:
    """The pool of the engine's models: this machine's, or the engine's own.

    An engine has its own where its memory is declared, or where it is on another host.
    """
    configured = settings.engines.get(engine.name)
    has_own = configured is not None and configured.memory_gib > 0
    return engine.name if has_own or engine.locality != "local" else MACHINE


def free_vram_bytes() -> int:
    """What is free on the GPUs of this machine. Blocks, for up to seconds."""
    return machine_memory().vram_free_bytes


def budget_bytes(
    settings: Settings,
    pool: str,
    residents: Iterable[Resident],
    available: Available,
    vram_bytes: int,
) -> int | None:
    """What all the pool's models together may take; `None` where nobody knows.

    Without a budget of the user's this machine's models may take what is free now and what they
    hold already, less the reserve, and `vram_bytes` of its GPUs. What they hold is counted without
    the part that the system counts as free as well: files that are mapped into memory.
    """
    if pool != MACHINE:
        configured = settings.engines.get(pool)
        declared_gib = configured.memory_gib if configured is not None else 0.0
        return int(declared_gib * _GIB) or None
    if settings.memory.budget_gib:
        return int(settings.memory.budget_gib * _GIB)
    held = sum(_held_bytes(resident) for resident in residents)
    return max(0, available() + held - int(settings.memory.reserve_gib * _GIB)) + vram_bytes


def _held_bytes(resident: Resident) -> int:
    """The RAM that would be free besides, if this model went."""
    if resident.state == "loading" or resident.loaded is None:
        return 0
    loaded = resident.loaded
    if loaded.private_bytes is not None:
        return loaded.private_bytes
    return (resident.memory_bytes or 0) - (loaded.vram_bytes or 0)
