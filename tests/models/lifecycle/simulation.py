"""The policy in a world without engines: time jumps from event to event, and nothing waits."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from rung.chat import LoadOptions
from rung.models.lifecycle.policy import decide, next_to_load
from rung.models.lifecycle.state import Decision, Key, Pool, Resident, Waiter


def key(name: str) -> Key:
    return Key("engine", name)


@dataclass
class World:
    """Models of known `sizes` in a memory of `budget`; loading takes `load_s`, a call `serve_s`."""

    sizes: Mapping[str, int]
    budget: int
    load_s: float = 2.0
    serve_s: float = 1.0
    slots: int | None = 1
    now: float = 0.0
    loads: int = 0
    pool: Pool = field(init=False)
    served: dict[int, float] = field(default_factory=dict[int, float])
    refused: set[int] = field(default_factory=set[int])
    on_grant: Callable[[Waiter], None] = lambda _waiter: None
    on_done: Callable[[Waiter], None] = lambda _waiter: None

    def __post_init__(self) -> None:
        self.pool = Pool(budget_bytes=self.budget)
        self._tickets = itertools.count(1)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def at(self, when: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._order), what))

    def ask(self, name: str, options: LoadOptions | None = None) -> None:
        waiter = Waiter(
            ticket=next(self._tickets),
            key=key(name),
            wanted=options or LoadOptions(),
            needs_bytes=self.sizes[name],
            arrived_at=self.now,
        )
        self.pool = replace(self.pool, waiters=(*self.pool.waiters, waiter))

    def run(self, until: float = 1e9) -> None:
        """Everything that happens up to `until`."""
        while self._events and self._events[0][0] <= until:
            self.now = self._events[0][0]
            while self._events and self._events[0][0] == self.now:
                heapq.heappop(self._events)[2]()
            self._settle()

    def _settle(self) -> None:
        while True:
            decision = decide(self.pool, self.now)
            self.pool = replace(self.pool, turn=decision.turn)
            if decision.is_empty:
                return
            self._apply(decision)
            self._check()

    def _check(self) -> None:
        used = sum(r.memory_bytes or 0 for r in self.pool.residents.values())
        assert used <= self.budget, "memory is never over its budget"

    def _apply(self, decision: Decision) -> None:
        by_ticket = {waiter.ticket: waiter for waiter in self.pool.waiters}
        for ticket in decision.grants:
            self._grant(by_ticket[ticket])
        for gone, _ in decision.evictions:
            resident = self.pool.residents[gone]
            assert resident.state == "ready"
            assert resident.leases == 0, "a leased model is never evicted"
            self._put(replace(resident, state="unloading"))
            self.at(self.now + 0.1, lambda gone=gone: self._remove(gone))
        if decision.load is not None:
            assert decision.load.key not in self.pool.residents, "one load per model"
            self._load(decision.load)
        if decision.refusal is not None:
            self.refused.add(decision.refusal)
            self._drop(decision.refusal)

    def _grant(self, waiter: Waiter) -> None:
        resident = self.pool.residents[waiter.key]
        assert resident.state == "ready"
        self.on_grant(waiter)
        self._drop(waiter.ticket)
        self._put(replace(resident, leases=resident.leases + 1, used_at=self.now))
        self.served[waiter.ticket] = self.now - waiter.arrived_at
        self.at(self.now + self.serve_s, lambda: self._done(waiter))

    def _done(self, waiter: Waiter) -> None:
        resident = self.pool.residents[waiter.key]
        self._put(replace(resident, leases=resident.leases - 1, used_at=self.now))
        self.on_done(waiter)

    def _load(self, waiter: Waiter) -> None:
        self.loads += 1
        self._put(
            Resident(
                key=waiter.key,
                options=waiter.wanted,
                state="loading",
                memory_bytes=waiter.needs_bytes,
                slots=self.slots,
                used_at=self.now,
            )
        )
        self.at(self.now + self.load_s, lambda: self._loaded(waiter.key))

    def _loaded(self, which: Key) -> None:
        self._put(replace(self.pool.residents[which], state="ready", used_at=self.now))

    def _put(self, resident: Resident) -> None:
        residents = {**self.pool.residents, resident.key: resident}
        self.pool = replace(self.pool, residents=residents)

    def _remove(self, which: Key) -> None:
        residents = {k: r for k, r in self.pool.residents.items() if k != which}
        self.pool = replace(self.pool, residents=residents)

    def _drop(self, ticket: int) -> None:
        waiters = tuple(w for w in self.pool.waiters if w.ticket != ticket)
        self.pool = replace(self.pool, waiters=waiters)

    @property
    def head(self) -> Waiter | None:
        return next_to_load(self.pool)
