"""What waits and what moves: how each message changes the state, and what is done about it.

One task calls these methods, one after the other, and none of them waits. So every decision sees
one consistent state, and nobody acts on an old one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from rung.chat import LoadedModel, LoadOptions
from rung.config.settings import Settings
from rung.errors import EngineError
from rung.models.footprint import Footprint
from rung.models.lifecycle import memory, policy
from rung.models.lifecycle.journal import Journal
from rung.models.lifecycle.lease import Lease
from rung.models.lifecycle.options import declared
from rung.models.lifecycle.refusal import no_room, not_unloaded
from rung.models.lifecycle.requests import Request, Requests, Unloading, answer, copy_of
from rung.models.lifecycle.residents import Residents
from rung.models.lifecycle.state import (
    Decision,
    EvictionReason,
    Key,
    Pool,
    Resident,
    Turn,
)
from rung.models.lifecycle.work import EngineWork

# After an engine failed to unload a model, it is not asked to for so long.
STUCK_S = 60.0


class Owner:
    """The state. `residents` and `requests` may be read by anybody.

    `vram_bytes` is what was free on the machine's GPUs before Rung loaded anything.
    """

    def __init__(
        self,
        settings: Settings,
        work: EngineWork,
        journal: Journal,
        footprint: Footprint,
        available: memory.Available,
        residents: Residents,
    ) -> None:
        self.residents = residents
        self.requests = Requests()
        self.vram_bytes = 0
        self._settings = settings
        self._work = work
        self._journal = journal
        self._footprint = footprint
        self._available = available
        self._turns: dict[str, Turn] = {}
        self._budgets: dict[str, int | None] = {}
        self._first_failures: dict[Key, EngineError] = {}
        self._starved: set[Key] = set()
        self._unloadings: dict[Key, list[Unloading]] = {}
        self._engine_slots = {n: e.slots for n, e in settings.engines.items() if e.slots}

    # What callers say.

    def ask(self, request: Request) -> None:
        """A caller wants a lease."""
        self.residents.engines[request.engine.name] = request.engine
        self.requests.add(request)

    def leave(self, ticket: int) -> Resident | None:
        """A caller gives its lease back, or does not wait for one any more.

        The model that it had, if that still is there.
        """
        request = self.requests.pop(ticket)
        if request is not None and not self.requests.of(request.key):
            self._forgive(request.key)
        return self.residents.release(ticket)

    def unload(self, key: Key, asked: Unloading, *, force: bool) -> None:
        """Somebody wants a model unloaded: once its leases have ended, or now."""
        resident = self.residents.get(key)
        if resident is None:
            answer(asked.done, False)
        elif not asked.done.done():
            self._unloadings.setdefault(key, []).append(asked)
            if force and resident.state == "ready":
                self._evict(key, "asked")
            elif resident.state != "unloading" and resident.leaving_ticket is None:
                self.residents.put(replace(resident, leaving_ticket=asked.ticket))

    def keep(self, key: Key, asked: Unloading) -> None:
        """Somebody who waited for a model to be unloaded went away."""
        left = [other for other in self._unloadings.pop(key, []) if other is not asked]
        resident = self.residents.get(key)
        if left:
            self._unloadings[key] = left
        elif resident is not None and resident.state != "unloading":
            self.residents.put(replace(resident, leaving_ticket=None))

    # What becomes of loads and unloads.

    def _loaded(self, key: Key, ticket: int, result: LoadedModel | EngineError) -> None:
        resident = self.residents[key]
        if isinstance(result, EngineError):
            self._load_failed(resident, result)
            return
        now = time.monotonic()
        load_ms = (now - resident.changed_at) * 1000
        request = self.requests.get(ticket)
        if request is not None:
            request.load_ms = load_ms
        self._first_failures.pop(key, None)
        told = result.memory_bytes
        ready = replace(
            resident,
            state="ready",
            loaded=result,
            memory_bytes=told if told is not None else resident.memory_bytes,
            slots=result.slots or resident.options.slots,
            used_at=now,
            changed_at=now,
        )
        self.residents.put(ready)
        self.residents.claim(key, ready.options, told=result.model)
        self._journal.loaded(ready, load_ms)

    def _load_failed(self, resident: Resident, error: EngineError) -> None:
        key = resident.key
        self.residents.forget(key)
        self._journal.failed(resident, error)
        for asked in self._unloadings.pop(key, []):
            answer(asked.done, False)
        is_first = key not in self._first_failures
        if error.kind == "out_of_memory" and is_first and self.requests.of(key):
            # Something takes more than was thought: one more try, with more room.
            self._first_failures[key] = error
            self._starved.add(key)
        else:
            asked_nothing = LoadOptions(is_embedding=resident.options.is_embedding)
            if error.kind == "bad_request" and resident.options == asked_nothing:
                # It has no routes to load by, as LM Studio 0.3 has none: it loads what is called.
                for request in self.requests.of(key):
                    if not request.is_explicit:
                        self.requests.let_go(request)
            self._give_up(key, error, lambda request: resident.serves(request.waiter.wanted))

    def _unloaded(
        self, key: Key, reason: EvictionReason, room_for: Key | None, error: EngineError | None
    ) -> None:
        resident = self.residents[key]
        if error is None:
            self.residents.forget(key)
            self._journal.left(resident, reason, room_for)
        else:
            now = time.monotonic()
            # An engine that has no way to unload will not find one: a server of a single model.
            stuck_until = math.inf if error.kind == "bad_request" else now + STUCK_S
            resident = self.residents.put(
                replace(
                    resident,
                    state="ready",
                    stuck_until=stuck_until,
                    leaving_ticket=None,
                    changed_at=now,
                )
            )
            if reason == "options":
                self._give_up(key, error, lambda r: not resident.serves(r.waiter.wanted))
        for asked in self._unloadings.pop(key, []):
            answer(asked.done, True if error is None else copy_of(error, key))

    # Decisions.

    def settle(self) -> None:
        """Do all that can be done now."""
        keys = [*self.residents, *(request.key for request in self.requests)]
        for name in {self.residents.pool_of(key) for key in keys}:
            while True:
                pool = self._view(name)
                decision = policy.decide(pool, time.monotonic())
                self._turns.pop(name, None)
                if decision.turn is not None:
                    self._turns[name] = decision.turn
                if decision.is_empty:
                    break
                self._apply(pool, decision)

    def _view(self, name: str) -> Pool:
        pool = Pool(
            budget_bytes=None,
            residents=self.residents.in_pool(name),
            waiters=tuple(
                request.waiter
                for request in self.requests
                if not request.unseen and self.residents.pool_of(request.key) == name
            ),
            turn=self._turns.get(name),
            engine_slots=self._engine_slots,
            starved=frozenset(self._starved),
        )
        if policy.next_to_load(pool) is None:
            return pool
        # While a model loads, what is free says little: an unknown part of its memory is taken.
        is_moving = any(r.state == "loading" for r in pool.residents.values())
        if not is_moving or name not in self._budgets:
            self._budgets[name] = memory.budget_bytes(
                self._settings, name, pool.residents.values(), self._available, self.vram_bytes
            )
        return replace(pool, budget_bytes=self._budgets[name])

    def _apply(self, pool: Pool, decision: Decision) -> None:
        for ticket in decision.grants:
            self._grant(self.requests[ticket])
        for key, reason in decision.evictions:
            self._evict(key, reason, decision.room_for)
        if decision.load is not None:
            self._load(self.requests[decision.load.ticket])
        if decision.refusal is not None:
            self._refuse(pool, self.requests[decision.refusal])

    def _grant(self, request: Request) -> None:
        self.requests.pop(request.ticket)
        if request.lease.done():
            return  # its caller has just gone, and is about to say so
        self.residents.hold(request.ticket, request.key, is_kept=request.is_explicit)
        lease = Lease(
            loaded=self.residents[request.key].loaded,
            queue_ms=max(0.0, request.waited_ms - (request.load_ms or 0.0)),
            load_ms=request.load_ms,
        )
        request.lease.set_result(lease)

    def _load(self, request: Request) -> None:
        key, now = request.key, time.monotonic()
        self.residents.put(
            Resident(
                key=key,
                options=request.options,
                state="loading",
                memory_bytes=request.waiter.needs_bytes,
                used_at=now,
                changed_at=now,
                is_pinned=declared(self._settings, *key).pinned,
            )
        )
        self.residents.claim(key, request.options)
        done = partial(self._loaded, key, request.ticket)
        progressed = partial(self._progressed, key)
        self._work.load(request.engine, key.model, request.options, progressed, done)

    def _progressed(self, key: Key, share: float) -> None:
        for request in self.requests.of(key):
            if request.on_progress is not None:
                request.on_progress(share)

    def _evict(self, key: Key, reason: EvictionReason, room_for: Key | None = None) -> None:
        if reason == "out_of_memory" and room_for is not None:
            self._starved.discard(room_for)
        moving = replace(self.residents[key], state="unloading", changed_at=time.monotonic())
        self.residents.put(moving)
        done = partial(self._unloaded, key, reason, room_for)
        self._work.unload(self.residents.engines[key.engine], key.model, done)

    def _refuse(self, pool: Pool, request: Request) -> None:
        key = request.key
        if key in self._starved:
            self._give_up(key, self._first_failures[key], lambda _: True)
            return
        own = pool.residents.get(key)
        if own is not None and own.is_stuck:
            self.requests.fail(request, not_unloaded(key))
            return
        footprint = partial(self._footprint, request.engine, key.model)
        self.requests.fail(request, no_room(request.waiter, request.options, pool, footprint))

    def _give_up(self, key: Key, error: EngineError, is_meant: Callable[[Request], bool]) -> None:
        """Fail the callers that wait for the model and are meant."""
        self._first_failures.pop(key, None)
        self._starved.discard(key)
        for request in filter(is_meant, self.requests.of(key)):
            self.requests.fail(request, error)

    def _forgive(self, key: Key) -> None:
        """Nobody waits for the model to be tried once more."""
        if key in self._starved:
            self._starved.remove(key)
            del self._first_failures[key]
