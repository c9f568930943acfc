"""Whether models can be in memory at the same time, as far as can be told before they load."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rung.chat import LoadOptions
from rung.config.settings import Settings
from rung.engines.base import Engine
from rung.models.footprint import Footprint
from rung.models.lifecycle.memory import Available, budget_bytes, pool_of
from rung.models.lifecycle.options import resolve
from rung.models.lifecycle.owner import Owner
from rung.models.lifecycle.state import Key, Resident


def fit_pools(
    settings: Settings,
    models: Iterable[tuple[Engine, str]],
    owner: Owner,
    footprint: Footprint,
    available: Available,
) -> bool:
    """Whether each pool holds those of the models that belong to it.

    Engines that load by themselves are not Rung's to plan for: theirs fit.
    """
    pools: dict[str, dict[Key, int | None]] = {}
    for engine, model in models:
        if engine.can_load:
            options = resolve(settings, engine, model, LoadOptions())
            needed = pools.setdefault(pool_of(settings, engine), {})
            needed[Key(engine.name, model)] = footprint(engine, model, options)
    for name, wanted in pools.items():
        there = owner.residents.in_pool(name)
        room = budget_bytes(settings, name, there.values(), available, owner.vram_bytes)
        if not fit_together(wanted, there, room):
            return False
    return True


def fit_together(
    wanted: Mapping[Key, int | None], residents: Mapping[Key, Resident], room_bytes: int | None
) -> bool:
    """Whether all `wanted` models (bytes each) fit beside what can never be evicted.

    One alone always may: it waits for its turn. What nobody knows the size of does not fit.
    """
    if len(wanted) < 2:
        return True
    sizes = [
        residents[key].memory_bytes if key in residents else needed
        for key, needed in wanted.items()
    ]
    staying = [r for key, r in residents.items() if key not in wanted and not r.is_evictable]
    # Of unknown size, as for a single load, they take what is not free anyway.
    taken = sum(resident.memory_bytes or 0 for resident in staying)
    if room_bytes is None or None in sizes:
        return False
    return taken + sum(size or 0 for size in sizes) <= room_bytes
