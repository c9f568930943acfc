"""The models that are in memory, as far as Rung knows: what it loaded, and what it was told of."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from rung.chat import LoadedModel, LoadOptions
from rung.config.settings import Settings
from rung.engines.base import Engine
from rung.models.lifecycle.claims import Claim, Claims
from rung.models.lifecycle.journal import Journal
from rung.models.lifecycle.memory import pool_of
from rung.models.lifecycle.options import declared, idle_unload_s
from rung.models.lifecycle.state import Key, Resident


class Residents(Mapping[Key, Resident]):
    """Read by anybody, changed by the owner only. `engines` are all that were ever used."""

    def __init__(self, settings: Settings, journal: Journal, claims: Claims) -> None:
        self.engines: dict[str, Engine] = {}
        self._settings = settings
        self._journal = journal
        self._claims = claims
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
        is_mine = resident.is_evictable and not resident.is_left
        if resident.is_unused and is_mine and not resident.is_kept:
            engine, model = self.engines[resident.key.engine], resident.key.model
            idle_s = idle_unload_s(self._settings, engine, model)
            expires_at = resident.used_at + idle_s if idle_s is not None else None
        self._residents[resident.key] = replace(resident, expires_at=expires_at)
        return self._residents[resident.key]

    def claim(self, key: Key, options: LoadOptions, told: str = "") -> None:
        """This process loads the model, into an engine that may outlive it."""
        if self.engines[key.engine].kind != "embedded":
            self._claims.take(key, options, told=told)

    def forget(self, key: Key) -> None:
        """It is gone. Leases that it still has end without effect on what takes its place."""
        self._claims.drop(key)
        self._remove(key)

    def _remove(self, key: Key) -> None:
        del self._residents[key]
        self._left_at[key] = time.monotonic()
        self._holders = {ticket: held for ticket, held in self._holders.items() if held != key}

    def hold(self, ticket: int, key: Key, *, is_kept: bool) -> None:
        """Give a lease."""
        resident = self._residents[key]
        self._holders[ticket] = key
        if resident.is_left:
            told = resident.loaded.model if resident.loaded is not None else ""
            self.claim(key, resident.options, told)
        self._claims.used(key, is_kept=resident.is_kept or is_kept)
        self.put(
            replace(
                resident,
                leases=resident.leases + 1,
                used_at=time.monotonic(),
                is_kept=resident.is_kept or is_kept,
                is_left=False,
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
        self._claims.refresh()
        claims = dict(self._claims.on(engine.name))
        left = list(found)
        for resident in [r for r in self._residents.values() if r.key.engine == engine.name]:
            told = next((model for model in left if _is_same(model, resident)), None)
            if told is not None:
                left.remove(told)
            if resident.state != "ready" or resident.changed_at >= began_at:
                continue
            if told is not None:
                self._refresh(self._owned(resident, claims.get(resident.key)), told)
            else:
                self.forget(resident.key)
                self._journal.left(resident, "vanished")
        for model in left:
            key = next((key for key, claim in claims.items() if claim.is_of(key, model)), None)
            key = key or Key(engine.name, model.model)
            if key not in self._residents and self._left_at.get(key, -1.0) < began_at:
                is_pinned = declared(self._settings, *key).pinned
                there = replace(_foreign(key, model, began_at), is_pinned=is_pinned)
                self.put(self._owned(there, claims.get(key)))
        self._claims.prune(engine.name, self._residents)

    def gone(self, engine: str) -> None:
        """The engine cannot be reached: what nobody uses of it is taken for gone."""
        for resident in list(self._residents.values()):
            if resident.key.engine == engine and resident.is_unused:
                self._remove(resident.key)
                self._journal.left(resident, "vanished")

    def _refresh(self, resident: Resident, told: LoadedModel) -> None:
        memory_bytes = resident.memory_bytes
        if told.memory_bytes is not None:
            if resident.is_ours:
                self._journal.measure(resident, told.memory_bytes)
            memory_bytes = told.memory_bytes
        stuck_until = resident.stuck_until
        if stuck_until is not None and stuck_until < time.monotonic():
            stuck_until = None
        self.put(replace(resident, loaded=told, memory_bytes=memory_bytes, stuck_until=stuck_until))

    def _owned(self, resident: Resident, claim: Claim | None) -> Resident:
        """The resident, with whose it is by what processes claim.

        Between two processes that both loaded it the file decides: it is whose claim came last.
        """
        if claim is None:
            if not resident.is_left and resident.claimed_by is None:
                return resident
            return replace(resident, is_ours=False, is_left=False, claimed_by=None)
        if self._claims.is_taken(claim):
            return replace(resident, is_ours=False, is_left=False, claimed_by=claim.pid)
        if resident.is_ours:
            return resident
        idle_s = max(0.0, time.time() - claim.used_at)
        return replace(
            resident,
            options=claim.options,
            used_at=max(resident.used_at, time.monotonic() - idle_s),
            is_ours=True,
            is_left=True,
            is_kept=claim.is_kept,
            claimed_by=None,
        )


def _foreign(key: Key, model: LoadedModel, seen_at: float) -> Resident:
    return Resident(
        key=key,
        options=LoadOptions(context_tokens=model.context_tokens, slots=model.slots),
        state="ready",
        loaded=model,
        memory_bytes=model.memory_bytes,
        slots=model.slots,
        changed_at=seen_at,
        is_ours=False,
    )


def _is_same(model: LoadedModel, resident: Resident) -> bool:
    """Whether what an engine lists is this resident: engines add a tag, or give another name."""
    name = resident.key.model
    other = resident.loaded.model if resident.loaded is not None else name
    return model.model in (name, f"{name}:latest", other)
