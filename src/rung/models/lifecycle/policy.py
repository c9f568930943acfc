"""Who is served, what is loaded, and what has to go: a pure function of the state of one pool.

The rule is in `design.md`. In short: loads are first come, first served; a model that must make
room first serves those who came before, or with, the caller that it makes room for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from rung.models.lifecycle.state import (
    Decision,
    EvictionReason,
    Key,
    Pool,
    Resident,
    Turn,
    Waiter,
)

# How long after a turn began callers still overtake it, so that a burst is served together.
GRACE_S = 0.5


def decide(pool: Pool, now: float) -> Decision:
    """What to do at `now`. Grants and departures come first; room is made for one caller at a time.

    Deciding again, after what was decided has been done, goes on; an empty decision means to wait.
    """
    grants = _grants(pool)
    evictions = tuple(_departures(pool, now))
    if grants or evictions:
        return Decision(grants=grants, evictions=evictions, turn=pool.turn)
    head = next_to_load(pool)
    return _make_room(pool, head, now) if head is not None else Decision()


def next_to_load(pool: Pool) -> Waiter | None:
    """The oldest caller whose model is not there, and not on its way, as the caller wants it."""
    for waiter in pool.waiters:
        resident = pool.residents.get(waiter.key)
        is_coming = resident is not None and resident.state != "unloading"
        if resident is None or not is_coming or not resident.serves(waiter.wanted):
            return waiter
    return None


def _grants(pool: Pool) -> tuple[int, ...]:
    of_model = {key: resident.leases for key, resident in pool.residents.items()}
    of_engine = Counter[str]()
    for key, leases in of_model.items():
        of_engine[key.engine] += leases
    granted: list[int] = []
    for waiter in pool.waiters:
        key = waiter.key
        resident = pool.residents.get(key)
        if resident is None or not _may_use(pool, resident, waiter):
            continue
        limit = pool.engine_slots.get(key.engine)
        if resident.slots is not None and of_model[key] >= resident.slots:
            continue
        if limit is not None and of_engine[key.engine] >= limit:
            continue
        of_model[key] += 1
        of_engine[key.engine] += 1
        granted.append(waiter.ticket)
    return tuple(granted)


def _may_use(pool: Pool, resident: Resident, waiter: Waiter) -> bool:
    """Whether the resident serves this caller before it makes room for anybody."""
    if resident.state != "ready" or not resident.serves(waiter.wanted):
        return False
    if resident.leaving_ticket is not None and waiter.ticket > resident.leaving_ticket:
        return False
    turn = pool.turn
    return (
        turn is None
        or resident.key not in turn.victims
        or waiter.ticket < turn.ticket
        or waiter.arrived_at <= turn.began_at + GRACE_S
    )


def _departures(pool: Pool, now: float) -> Iterable[tuple[Key, EvictionReason]]:
    """What leaves without anybody needing its room: asked to, or idle for too long."""
    for resident in pool.residents.values():
        if not _is_free(pool, resident):
            continue
        if resident.leaving_ticket is not None:
            yield resident.key, "asked"
        elif resident.expires_at is not None and resident.expires_at <= now:
            yield resident.key, "idle"


def _is_free(pool: Pool, resident: Resident) -> bool:
    """Whether nobody uses it, nor is about to: who waits for a slot of its engine is."""
    return resident.is_unused and not any(
        waiter.key == resident.key and _may_use(pool, resident, waiter) for waiter in pool.waiters
    )


def _make_room(pool: Pool, head: Waiter, now: float) -> Decision:
    """Load for `head`, or evict for it, or let it wait for its turn, or refuse it."""
    own = pool.residents.get(head.key)
    if own is not None and own.is_stuck:
        return Decision(refusal=head.ticket)
    is_starved = head.key in pool.starved
    if own is None and not is_starved and _is_enough(pool, head, frozenset()):
        return Decision(load=head)
    turn = _turn_of(pool, head, now)
    leaving = _keys(r for r in pool.residents.values() if r.state == "unloading")
    if leaving and (own is None or own.key in leaving) and _is_enough(pool, head, leaving):
        return Decision(turn=turn)

    def is_enough(chosen: Sequence[Resident]) -> bool:
        gone = leaving | _keys(chosen if own is None else (own, *chosen))
        return (bool(chosen) or not is_starved) and _is_enough(pool, head, gone)

    movable = [r for r in pool.residents.values() if r.is_evictable and r.state != "unloading"]
    movable = [r for r in movable if r is not own]
    movable.sort(key=lambda r: (not _is_free(pool, r), r.used_at))
    if own is None or _is_free(pool, own):
        chosen = _smallest([r for r in movable if _is_free(pool, r)], is_enough)
        if chosen is not None:
            return _evict(head, chosen, own, is_starved=is_starved)
    # A plan is kept: else a victim that is used once more looks recent, and another is chosen.
    planned = _smallest(sorted(movable, key=lambda r: r.key not in turn.victims), is_enough)
    if planned is not None:
        victims = _keys(planned if own is None else (own, *planned))
        return Decision(turn=replace(turn, victims=victims))
    if any(r.state != "ready" for r in pool.residents.values()):
        # What is on its way in or out still changes what is free.
        return Decision(turn=turn)
    return Decision(refusal=head.ticket)


def _turn_of(pool: Pool, head: Waiter, now: float) -> Turn:
    """The turn of `head`: the one that it has, or one that begins now."""
    if pool.turn is not None and pool.turn.ticket == head.ticket:
        return pool.turn
    return Turn(ticket=head.ticket, began_at=now, victims=frozenset())


def _evict(
    head: Waiter, chosen: Sequence[Resident], own: Resident | None, *, is_starved: bool
) -> Decision:
    why: EvictionReason = "out_of_memory" if is_starved else "room"
    reasons: dict[Key, EvictionReason] = {resident.key: why for resident in chosen}
    if own is not None:
        reasons[own.key] = "options"
    return Decision(evictions=tuple(reasons.items()), room_for=head.key)


def _smallest(
    candidates: Sequence[Resident], is_enough: Callable[[Sequence[Resident]], bool]
) -> Sequence[Resident] | None:
    """The first candidates that are enough, without those that are not needed; `None`: all are not.

    Nothing can be left out of what is returned.
    """
    chosen: list[Resident] = []
    for candidate in candidates:
        if is_enough(chosen):
            break
        chosen.append(candidate)
    if not is_enough(chosen):
        return None
    for candidate in reversed(chosen[:-1]):
        without = [other for other in chosen if other is not candidate]
        if is_enough(without):
            chosen = without
    return chosen


def _is_enough(pool: Pool, head: Waiter, gone: frozenset[Key]) -> bool:
    """Whether `head`'s model fits once `gone` are gone.

    Where a size is unknown it may only be loaded alone, beside what can never be evicted.
    """
    kept = [resident for key, resident in pool.residents.items() if key not in gone]
    movable = [resident for resident in kept if resident.is_evictable]
    sizes = [resident.memory_bytes for resident in movable]
    if pool.budget_bytes is None or head.needs_bytes is None or None in sizes:
        return not movable
    return head.needs_bytes + sum(r.memory_bytes or 0 for r in kept) <= pool.budget_bytes


def _keys(residents: Iterable[Resident]) -> frozenset[Key]:
    return frozenset(resident.key for resident in residents)
