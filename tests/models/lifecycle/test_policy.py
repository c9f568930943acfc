from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.chat import LoadOptions
from rung.models.lifecycle.policy import GRACE_S, decide
from rung.models.lifecycle.state import Key, Pool, Resident, Turn, Waiter
from tests.models.lifecycle.simulation import World, key


def resident(name: str, size: int | None = 10, **parts: Any) -> Resident:
    fields: dict[str, Any] = {"state": "ready", "options": LoadOptions(), **parts}
    return Resident(key=key(name), memory_bytes=size, **fields)


def waiter(name: str, ticket: int = 1, needs: int | None = 10, **parts: Any) -> Waiter:
    fields: dict[str, Any] = {"wanted": LoadOptions(), "arrived_at": float(ticket), **parts}
    return Waiter(ticket=ticket, key=key(name), needs_bytes=needs, **fields)


def pool(*entries: Resident | Waiter, budget: int | None = 20, **parts: Any) -> Pool:
    return Pool(
        budget_bytes=budget,
        residents={entry.key: entry for entry in entries if isinstance(entry, Resident)},
        waiters=tuple(entry for entry in entries if isinstance(entry, Waiter)),
        **parts,
    )


def evicted(state: Pool, now: float = 100.0) -> set[str]:
    return {gone.model for gone, _ in decide(state, now).evictions}


def test_what_is_loaded_is_granted_and_what_fits_is_loaded_beside_it() -> None:
    state = pool(resident("a"), waiter("a", 1), waiter("b", 2))
    assert decide(state, 0).grants == (1,)
    decision = decide(replace(state, waiters=state.waiters[1:]), 0)
    assert (decision.load, decision.evictions) == (state.waiters[1], ())


def test_the_least_recently_used_goes_first() -> None:
    state = pool(resident("a", used_at=2), resident("b", used_at=1), waiter("c"))
    assert evicted(state) == {"b"}


def test_no_more_goes_than_has_to() -> None:
    old_and_small = resident("small", 2, used_at=1)
    large = resident("large", 15, used_at=2)
    assert evicted(pool(old_and_small, large, waiter("c", needs=12))) == {"large"}
    assert evicted(pool(old_and_small, large, waiter("c", needs=5))) == {"small"}


@pytest.mark.parametrize(
    "protected",
    [
        {"leases": 1},
        {"is_pinned": True},
        {"is_ours": False},
        {"stuck_until": 9e9},
        {"state": "loading"},
        {"state": "unloading"},
    ],
)
def test_what_is_in_use_or_protected_is_never_evicted(protected: dict[str, Any]) -> None:
    assert evicted(pool(resident("a", 20, **protected), waiter("b"))) == set()


def test_what_cannot_fit_is_refused_and_nothing_is_evicted_for_it() -> None:
    state = pool(resident("a"), waiter("b", needs=21))
    decision = decide(state, 0)
    assert (decision.refusal, decision.evictions) == (1, ())
    beside_pinned = pool(resident("a", 15, is_pinned=True), waiter("b"))
    assert decide(beside_pinned, 0).refusal == 1


def test_nothing_is_refused_while_memory_is_on_the_move() -> None:
    leaving = resident("a", 20, is_ours=False, state="unloading")
    assert decide(pool(leaving, waiter("b")), 0).refusal is None


def test_a_load_waits_until_what_makes_room_for_it_is_gone() -> None:
    decision = decide(pool(resident("a", 20, state="unloading"), waiter("b")), 0)
    assert decision.is_empty
    assert decide(pool(waiter("b")), 0).load is not None


@pytest.mark.parametrize(("budget", "needs", "size"), [(None, 1, 1), (20, None, 1), (20, 1, None)])
def test_with_an_unknown_size_one_model_is_held_at_a_time(
    budget: int | None, needs: int | None, size: int | None
) -> None:
    assert evicted(pool(resident("a", size), waiter("b", needs=needs), budget=budget)) == {"a"}
    assert decide(pool(waiter("b", needs=needs), budget=budget), 0).load is not None
    foreign = resident("a", size, is_ours=False)
    if size is not None:
        decision = decide(pool(foreign, waiter("b", needs=needs), budget=budget), 0)
        assert decision.load is not None, "what others loaded cannot be waited for"


def test_other_options_reload_the_model_once_its_leases_have_ended() -> None:
    wanted = waiter("a", wanted=LoadOptions(context_tokens=512))
    loaded = resident("a", options=LoadOptions(context_tokens=4096))
    assert decide(pool(replace(loaded, leases=1), wanted), 0).evictions == ()
    assert decide(pool(loaded, wanted), 0).evictions == ((key("a"), "options"),)
    pinned = replace(loaded, is_pinned=True)
    assert decide(pool(pinned, wanted), 0).evictions == ((key("a"), "options"),)


@pytest.mark.parametrize(
    ("wanted", "serves"),
    [
        ({}, True),
        ({"context_tokens": 4096}, True),
        ({"context_tokens": 8192}, False),
        ({"slots": 4}, False),
        ({"kv_type": "q8_0"}, False),
        ({"is_embedding": True}, False),
    ],
)
def test_options_that_are_left_open_agree_with_any(wanted: dict[str, Any], serves: bool) -> None:
    loaded = resident("a", options=LoadOptions(context_tokens=4096, kv_type="f16"))
    assert loaded.serves(LoadOptions(**wanted)) is serves
    foreign = resident("a", is_ours=False)
    assert foreign.serves(LoadOptions(**wanted)), "nobody told its options"


def test_slots_bound_the_leases_of_a_model_and_of_an_engine() -> None:
    asking = [waiter("a", 1), waiter("a", 2), waiter("b", 3), waiter("b", 4)]
    state = pool(resident("a", slots=1), resident("b"), *asking)
    assert decide(state, 0).grants == (1, 3, 4)
    assert decide(replace(state, engine_slots={"engine": 2}), 0).grants == (1, 3)


def test_once_a_turn_began_only_a_burst_overtakes_it() -> None:
    busy = resident("a", 20, leases=1, slots=None)
    turn = decide(pool(busy, waiter("b", 5)), now=10.0).turn
    assert turn == Turn(ticket=5, began_at=10.0, victims=frozenset({key("a")}))
    asking = [
        waiter("a", 4, arrived_at=4.0),
        waiter("b", 5),
        waiter("a", 6, arrived_at=10.0 + GRACE_S),
        waiter("a", 7, arrived_at=10.1 + GRACE_S),
    ]
    state = pool(busy, *asking, turn=turn)
    assert decide(state, 11.0).grants == (4, 6)
    held = pool(replace(busy, leases=0), asking[1], asking[3], turn=turn)
    assert evicted(held, 11.0) == {"a"}


def test_a_model_that_need_not_go_serves_on_during_a_turn() -> None:
    busy, other = resident("a", 12, leases=1, used_at=1), resident("c", 8, leases=1, used_at=2)
    state = pool(busy, other, waiter("b", 5))
    turn = decide(state, now=10.0).turn
    assert turn is not None
    assert turn.victims == {key("a")}
    late = waiter("c", 6, arrived_at=99.0)
    assert decide(pool(busy, other, waiter("b", 5), late, turn=turn), 100.0).grants == (6,)


def test_a_plan_is_kept_though_its_victim_is_used_once_more() -> None:
    turn = Turn(ticket=5, began_at=10.0, victims=frozenset({key("a")}))
    used_last = resident("a", leases=1, used_at=50)
    state = pool(used_last, resident("c", leases=1, used_at=2), waiter("b", 5), turn=turn)
    decision = decide(state, 60.0)
    assert decision.turn is not None
    assert decision.turn.victims == {key("a")}


def test_a_starved_model_is_loaded_only_after_an_eviction_though_it_seems_to_fit() -> None:
    state = pool(resident("a", 1), waiter("b"), starved=frozenset({key("b")}))
    assert decide(state, 0).evictions == ((key("a"), "out_of_memory"),)
    assert decide(replace(state, residents={}), 0).refusal == 1


def test_the_idle_and_the_unwanted_leave() -> None:
    idle = resident("a", expires_at=5.0)
    assert decide(pool(idle), 4.9).is_empty
    assert decide(pool(idle), 5.0).evictions == ((key("a"), "idle"),)
    asked = resident("a", leaving_ticket=3)
    before, after = waiter("a", 2), waiter("a", 4)
    assert decide(pool(asked, before, after), 0).grants == (2,)
    assert decide(pool(asked, after), 0).evictions == ((key("a"), "asked"),)


NAMES = st.sampled_from("abc")
ARRIVALS = st.lists(
    st.tuples(st.floats(0, 20, allow_nan=False), NAMES, st.sampled_from([None, 1024])),
    min_size=1,
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(
    arrivals=ARRIVALS,
    budget=st.integers(6, 20),
    slots=st.sampled_from([None, 1, 2]),
    load_s=st.floats(0.1, 5),
)
def test_everybody_is_answered_in_turn_and_memory_is_never_over_budget(
    arrivals: list[tuple[float, str, int | None]], budget: int, slots: int | None, load_s: float
) -> None:
    world = World(
        sizes={"a": 4, "b": 6, "c": 9}, budget=budget, slots=slots, load_s=load_s, serve_s=1.0
    )

    def in_turn(granted: Waiter) -> None:
        turn = world.pool.turn
        if turn is not None and granted.key in turn.victims and granted.ticket > turn.ticket:
            assert granted.arrived_at <= turn.began_at + GRACE_S

    world.on_grant = in_turn
    for when, name, context in arrivals:
        options = LoadOptions(context_tokens=context)
        world.at(when, lambda name=name, options=options: world.ask(name, options))
    world.run()
    assert world.pool.waiters == ()
    assert len(world.served) + len(world.refused) == len(arrivals)
    fitting = sum(world.sizes[name] <= budget for _, name, _ in arrivals)
    assert len(world.served) == fitting, "only what can never fit is refused"


@pytest.mark.parametrize("slots", [1, 4])
def test_models_that_crowd_each_other_out_share_the_time_and_nobody_waits_long(slots: int) -> None:
    clients, models = 4, "abc"
    world = World(sizes=dict.fromkeys(models, 10), budget=10, slots=slots)
    served = dict.fromkeys(models, 0)

    def again(done: Waiter) -> None:
        served[done.key.model] += 1
        world.ask(done.key.model)

    world.on_done = again
    for name in models:
        for _ in range(clients):
            world.at(0.0, lambda name=name: world.ask(name))
    world.run(until=600.0)
    # A turn: an unload, a load, one call of each client, and one more of a burst.
    turn_s = 0.1 + world.load_s + (clients + 1) * world.serve_s
    assert max(world.served.values()) <= len(models) * turn_s + GRACE_S
    assert max(served.values()) <= 1.1 * min(served.values())
    assert world.loads <= 600 / (world.load_s + world.serve_s)


def test_a_steady_stream_does_not_keep_another_model_out() -> None:
    world = World(sizes={"a": 10, "b": 10}, budget=10, slots=None, serve_s=3.0)
    for tenth in range(1000):
        world.at(tenth / 10, lambda: world.ask("a"))
    world.at(20.05, lambda: world.ask("b"))
    waits: list[float] = []
    world.on_grant = lambda w: (
        waits.append(world.now - w.arrived_at) if w.key.model == "b" else None
    )
    world.run()
    assert waits[0] <= GRACE_S + world.serve_s + 0.1 + world.load_s
    assert len(world.served) == 1001


def test_a_burst_for_two_models_costs_two_loads() -> None:
    world = World(sizes={"a": 10, "b": 10}, budget=10, slots=1)
    for n in range(64):
        world.at(n / 1000, lambda n=n: world.ask("ab"[n % 2]))
    world.run()
    assert world.loads == 2


def test_keys_read_as_models_are_named() -> None:
    assert str(Key("lmstudio", "org/model")) == "lmstudio/org/model"
