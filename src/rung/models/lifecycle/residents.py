"""The models that are in memory, as far as Rung knows: what it loaded, and what it was told of."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from rung.chat import LoadedModel, LoadOptions
from rung.config.settings import Settings
from rung.engines.base import Engine
from rung.models.lifecycle.journal import Journal
from rung.models.lifecycle.memory import pool_of
from rung.models.lifecycle.options import idle_unload_s
from rung.models.lifecycle.state import Key, Resident

# After an engine refused to unload a model, it is not asked to for so long.
_STUCK_S = 60.0


class Residents(Mapping[Key, Resident]):
    """Read by anybody, changed by the owner only. `engines` are all that were ever used."""

    def __init__(self, settings: Settings, journal: Journal) -> None:
        self.engines: dict[str, Engine] = {}
        self._settings = settings
        self._journal = journal
        self._residents: dict[Key, Resident] = {}
        self._holders: dict[int, Key] = {}
        self._left_at: dict[Key, float] = {}

    def __getitem__(self, key: Key) -> Resident:
        return self._residents[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._residents)

    def __len__(self) -> int:
        return len(self._residents)

    def pool_of(self, key: Key) -> str:
        return pool_of(self._settings, self.engines[key.engine])

    def in_pool(self, name: str) -> dict[Key, Resident]:
        return {key: r for key, r in self._residents.items() if self.pool_of(key) == name}

    def next_expiry(self) -> float | None:
        """When the next idle model is to be unloaded, on the monotonic clock."""
        times = (r.expires_at for r in self._residents.values())
        return min((at for at in times if at is not None), default=None)

    def put(self, resident: Resident) -> Resident:
        """Keep the resident's new state, and when it is to go if nobody uses it from now on."""
        expires_at = None
        if resident.is_unused and resident.is_evictable and not resident.is_kept:
            engine, model = self.engines[resident.key.engine], resident.key.model
            idle_s = idle_unload_s(self._settings, engine, model)
            expires_at = resident.used_at + idle_s if idle_s is not None else None
        self._residents[resident.key] = replace(resident, expires_at=expires_at)
        return self._residents[resident.key]

    def forget(self, key: Key) -> None:
        """It is gone. Leases that it still has end without effect on what takes its place."""
        del self._residents[key]
        self._left_at[key] = time.monotonic()
        self._holders = {ticket: held for ticket, held in self._holders.items() if held != key}

    def hold(self, ticket: int, key: Key, *, is_kept: bool) -> None:
        """Give a lease."""
        resident = self._residents[key]
        self._holders[ticket] = key
        self.put(
            replace(
                resident,
                leases=resident.leases + 1,
                used_at=time.monotonic(),
                is_kept=resident.is_kept or is_kept,
            )
        )

    def release(self, ticket: int) -> Resident | None:
        """Take a lease back; the model that it was for, if that still is there."""
        key = self._holders.pop(ticket, None)
        if key is None:
            return None
        resident = self._residents[key]
        return self.put(replace(resident, leases=resident.leases - 1, used_at=time.monotonic()))

    def seen(self, engine: Engine, began_at: float, found: Sequence[LoadedModel]) -> None:
        """The engine said what it held at some moment since `began_at`.

        What changed in that time is left as it is: the engine may have said it before.
        """
        self.engines[engine.name] = engine
        left = list(found)
        for resident in [r for r in self._residents.values() if r.key.engine == engine.name]:
            told = next((model for model in left if _is_same(model, resident)), None)
            if told is not None:
                left.remove(told)
            if resident.state != "ready" or resident.changed_at >= began_at:
                continue
            if told is not None:
                self._refresh(resident, told)
            else:
                self.forget(resident.key)
                self._journal.left(resident, "vanished")
        for model in left:
            key = Key(engine.name, model.model)
            if key not in self._residents and self._left_at.get(key, -1.0) < began_at:
                self.put(_foreign(key, model, began_at))

    def gone(self, engine: str) -> None:
        """The engine cannot be reached: what nobody uses of it is taken for gone."""
        for resident in list(self._residents.values()):
            if resident.key.engine == engine and resident.is_unused:
                self.forget(resident.key)
                self._journal.left(resident, "vanished")

    def _refresh(self, resident: Resident, told: LoadedModel) -> None:
        memory_bytes = resident.memory_bytes
        if told.memory_bytes is not None:
            if resident.is_ours:
                self._journal.measure(resident, told.memory_bytes)
            memory_bytes = told.memory_bytes
        has_time_passed = time.monotonic() - resident.changed_at > _STUCK_S
        is_stuck = resident.is_stuck and not has_time_passed
        self.put(replace(resident, loaded=told, memory_bytes=memory_bytes, is_stuck=is_stuck))


def _foreign(key: Key, model: LoadedModel, seen_at: float) -> Resident:
    return Resident(
        key=key,
        options=LoadOptions(context_tokens=model.context_tokens, slots=model.slots),
        state="ready",
        loaded=model,
        memory_bytes=model.memory_bytes,
        slots=model.slots,
        used_at=seen_at,
        changed_at=seen_at,
        is_ours=False,
    )


def _is_same(model: LoadedModel, resident: Resident) -> bool:
    """Whether what an engine lists is this resident: engines add a tag, or give another name."""
    name = resident.key.model
    other = resident.loaded.model if resident.loaded is not None else name
    return model.model in (name, f"{name}:latest", other)
