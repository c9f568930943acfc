from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from rung.chat import Cancellation, LoadedModel, LoadOptions
from rung.config.settings import EngineSettings, ModelSettings
from rung.errors import EngineError
from rung.ledger.rows import AuditRow
from rung.models.lifecycle.manager import ModelManager
from rung.models.lifecycle.state import Key
from rung.models.measured import Measurements, options_key
from tests.engines.calls import failure_of, until
from tests.models.lifecycle.scripted import GIB, ScriptedEngine, ask, kinds, manager_of

ANY = LoadOptions()
Make = Callable[..., ModelManager]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """Makes managers, and closes them."""
    made: list[ModelManager] = []

    def build(*engines: ScriptedEngine, **parts: Any) -> ModelManager:
        made.append(manager_of(tmp_path, *engines, **parts))
        return made[-1]

    yield build
    for manager in made:
        await manager.close()


def state_of(manager: ModelManager, model: str) -> str | None:
    return next((row.state for row in manager.snapshot() if row.model == model), None)


async def test_any_number_of_callers_share_one_load(make: Make) -> None:
    engine = ScriptedEngine({"a": 1})
    manager = make(engine)
    answers = await asyncio.gather(*(ask(manager, engine, "a") for _ in range(50)))
    assert answers == ["yes"] * 50
    assert engine.log == ["load a"]


async def test_a_lease_tells_what_is_loaded_and_who_waited_for_the_load(make: Make) -> None:
    engine = ScriptedEngine({"a": 1})
    manager = make(engine)
    async with manager.lease(engine, "a", LoadOptions(context_tokens=99)) as first:
        assert first.loaded is not None
        assert (first.loaded.context_tokens, first.load_ms is None) == (99, False)
    async with manager.lease(engine, "a", ANY) as second:
        assert (second.load_ms, second.queue_ms < 1000) == (None, True)


async def test_memory_is_planned_after_eviction_and_unloading_comes_first(make: Make) -> None:
    engine = ScriptedEngine({"a": 6, "b": 6}, capacity=10)
    manager = make(engine)
    await ask(manager, engine, "a")
    await ask(manager, engine, "b")
    assert engine.log == ["load a", "unload a", "load b"]


async def test_a_busy_model_is_waited_for(make: Make) -> None:
    engine = ScriptedEngine({"a": 6, "b": 6}, capacity=10)
    manager = make(engine)
    async with manager.lease(engine, "a", ANY):
        other = asyncio.create_task(ask(manager, engine, "b"))
        await until(lambda: state_of(manager, "b") == "waiting")
        assert engine.log == ["load a"]
    assert await other == "yes"


async def test_a_pinned_model_is_never_evicted(make: Make) -> None:
    engine = ScriptedEngine({"a": 6, "b": 6})
    manager = make(engine, models={"scripted/a": ModelSettings(pinned=True)})
    await ask(manager, engine, "a")
    error = await failure_of(ask(manager, engine, "b"))
    assert error.kind == "out_of_memory"
    assert "6.44 GB" in error.message
    assert "4.29 GB is there for it" in error.message
    assert "scripted/a" in error.message
    assert engine.log == ["load a"]


async def test_what_cannot_fit_is_refused_with_what_would(tmp_path: Path) -> None:
    engine = ScriptedEngine({"a": 99})
    manager = ModelManager(
        manager_of(tmp_path)._settings,
        Measurements(tmp_path),
        footprint=lambda _engine, _model, wanted: (wanted.context_tokens or 0) * GIB // 256,
        record=lambda _row: None,
    )
    error = await failure_of(ask(manager, engine, "a", LoadOptions(context_tokens=8192)))
    assert error.kind == "out_of_memory"
    assert "a context of 2048 tokens (--ctx 2048)" in error.message
    assert engine.log == []
    await manager.close()


async def test_a_load_that_runs_out_of_memory_is_tried_once_more_with_more_room(make: Make) -> None:
    rows: list[AuditRow] = []
    engine = ScriptedEngine({"a": 1, "b": 1})
    manager = make(engine, record=rows.append)
    await ask(manager, engine, "a")
    engine.failures["load b"] = ["out_of_memory"]
    assert await ask(manager, engine, "b") == "yes"
    assert engine.log == ["load a", "load b", "unload a", "load b"]
    assert kinds(rows) == [
        ("model.load", "a"),
        ("model.load", "b"),
        ("model.evict", "a"),
        ("model.load", "b"),
    ]


async def test_a_second_failure_fails_all_who_wait_and_later_callers_try_anew(make: Make) -> None:
    engine = ScriptedEngine({"a": 1, "b": 1})
    manager = make(engine)
    await ask(manager, engine, "a")
    engine.failures["load b"] = ["out_of_memory", "out_of_memory"]
    errors = await asyncio.gather(*(failure_of(ask(manager, engine, "b")) for _ in range(3)))
    assert [error.kind for error in errors] == ["out_of_memory"] * 3
    assert len({id(error) for error in errors}) == 3
    assert await ask(manager, engine, "b") == "yes"
    engine.failures["load c"] = ["out_of_memory"]
    engine.sizes["c"] = 1
    async with manager.lease(engine, "b", ANY):
        pass
    assert await ask(manager, engine, "c") == "yes"


async def test_any_other_failure_to_load_fails_those_who_wait_for_it_only(make: Make) -> None:
    engine = ScriptedEngine({"a": 1, "b": 1})
    engine.failures["load a"] = ["model_missing"]
    manager = make(engine)
    failed = [asyncio.create_task(failure_of(ask(manager, engine, "a"))) for _ in range(3)]
    assert await ask(manager, engine, "b") == "yes"
    assert {(await task).kind for task in failed} == {"model_missing"}


async def test_a_fault_in_an_adapter_is_an_error_and_not_a_hang(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = ScriptedEngine({"a": 1})
    manager = make(engine)

    async def broken(*_: object) -> None:
        raise KeyError("instance_id")

    monkeypatch.setattr(engine, "load", broken)
    error = await failure_of(ask(manager, engine, "a"))
    assert (error.kind, "KeyError" in error.message) == ("server_error", True)


async def test_a_model_that_vanished_is_loaded_again(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = ScriptedEngine({"a": 1})
    manager = make(engine)
    await ask(manager, engine, "a")
    engine.lose("a")
    monkeypatch.setattr("rung.models.lifecycle.looking.FRESH_S", 0.0)
    assert await ask(manager, engine, "a") == "yes"
    assert engine.log == ["load a", "load a"]


async def test_after_a_call_failed_the_engine_is_asked_again_what_it_holds(make: Make) -> None:
    engine = ScriptedEngine({"a": 1})
    manager = make(engine)
    await ask(manager, engine, "a")
    engine.lose("a")
    engine.failures["stream a"] = ["model_not_loaded"]
    assert (await failure_of(ask(manager, engine, "a"))).kind == "model_not_loaded"
    assert await ask(manager, engine, "a") == "yes"


async def test_models_that_others_loaded_are_used_counted_and_never_evicted(make: Make) -> None:
    mine, theirs = ScriptedEngine({"a": 6, "c": 3}), ScriptedEngine({"b": 6}, name="theirs")
    theirs.memory["b"] = ANY
    manager = make(mine, theirs)
    error = await failure_of(ask(manager, mine, "a"))
    assert (error.kind, "theirs/b" in error.message) == ("out_of_memory", True)
    assert await ask(manager, mine, "c") == "yes"
    assert await ask(manager, theirs, "b") == "yes"
    assert (mine.log, theirs.log) == (["load c"], [])
    [row] = [row for row in manager.snapshot() if row.engine == "theirs"]
    assert (row.is_ours, row.unloads_in_s) == (False, None)


async def test_an_engine_that_cannot_say_what_it_holds_loads_by_itself(make: Make) -> None:
    engine = ScriptedEngine({"a": 1})
    engine.memory["a"] = ANY
    engine.failures["loaded"] = ["bad_request"] * 3
    manager = make(engine)
    async with manager.lease(engine, "a", ANY) as lease:
        assert lease.loaded is None
    assert (await failure_of(manager.load(engine, "a", ANY))).kind == "bad_request"
    assert engine.log == []


async def test_a_dead_engine_fails_its_callers_at_once_and_no_others(make: Make) -> None:
    dead, alive = ScriptedEngine({"a": 1}, name="dead"), ScriptedEngine({"b": 1})
    dead.failures["loaded"] = ["unreachable"] * 2
    manager = make(dead, alive)
    assert (await failure_of(ask(manager, dead, "a"))).kind == "unreachable"
    assert await ask(manager, alive, "b") == "yes"


async def test_an_engine_that_will_not_unload_is_not_asked_again_and_again(make: Make) -> None:
    engine = ScriptedEngine({"a": 6, "b": 6})
    manager = make(engine)
    await ask(manager, engine, "a")
    engine.failures["unload a"] = ["bad_request"] * 9
    assert (await failure_of(ask(manager, engine, "b"))).kind == "out_of_memory"
    assert engine.log == ["load a", "unload a"]
    assert await ask(manager, engine, "a") == "yes"
    assert (await failure_of(manager.unload(engine, "a"))).kind == "bad_request"
    error = await failure_of(ask(manager, engine, "a", LoadOptions(context_tokens=5)))
    assert (error.kind, "other options" in error.message) == ("model_not_loaded", True)


async def test_an_engine_that_has_no_way_to_unload_is_never_asked_again(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rung.models.lifecycle.looking.FRESH_S", 0.0)
    monkeypatch.setattr("rung.models.lifecycle.owner.STUCK_S", 0.0)
    engine = ScriptedEngine({"a": 6, "b": 6})
    manager = make(engine)
    await ask(manager, engine, "a")
    engine.failures["unload a"] = ["bad_request"] * 9
    for _ in range(3):
        assert (await failure_of(ask(manager, engine, "b"))).kind == "out_of_memory"
        assert await ask(manager, engine, "a") == "yes"
    assert engine.log == ["load a", "unload a"]


async def test_an_engine_that_failed_to_unload_is_asked_again_after_a_while(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rung.models.lifecycle.looking.FRESH_S", 0.0)
    monkeypatch.setattr("rung.models.lifecycle.owner.STUCK_S", 0.0)
    engine = ScriptedEngine({"a": 6, "b": 6})
    manager = make(engine)
    await ask(manager, engine, "a")
    engine.failures["unload a"] = ["timeout"]
    assert (await failure_of(ask(manager, engine, "b"))).kind == "out_of_memory"
    assert await ask(manager, engine, "b") == "yes"


async def test_a_call_without_a_limit_does_not_wait_for_ever(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rung.models.lifecycle.manager.LONGEST_WAIT_S", 0.01)
    engine = ScriptedEngine({"a": 6, "b": 6})
    manager = make(engine)
    async with manager.lease(engine, "a", ANY):
        error = await failure_of(ask(manager, engine, "b"))
    assert error.kind == "timeout"
    assert "waited for its model" in error.message
    await until(lambda: all(not row.waiting for row in manager.snapshot()))


async def test_other_options_load_it_anew_after_its_leases(make: Make) -> None:
    engine = ScriptedEngine({"a": 1})
    manager = make(engine)
    small, large = LoadOptions(context_tokens=1), LoadOptions(context_tokens=2)
    async with manager.lease(engine, "a", small):
        other = asyncio.create_task(ask(manager, engine, "a", large))
        await until(lambda: any(row.waiting for row in manager.snapshot()))
        assert engine.log == ["load a"]
    assert await other == "yes"
    assert engine.memory["a"] == large
    assert await ask(manager, engine, "a", ANY) == "yes"
    assert engine.log == ["load a", "unload a", "load a"]


async def test_a_model_is_loaded_as_its_settings_say_and_reloaded_only_for_other_wishes(
    make: Make,
) -> None:
    engine = ScriptedEngine({"a": 1})
    declared = ModelSettings(context_tokens=77, kv_type="q8_0", slots=3)
    manager = make(engine, models={"scripted/a": declared})
    await ask(manager, engine, "a")
    assert engine.memory["a"] == LoadOptions(context_tokens=77, kv_type="q8_0", slots=3)
    await manager.load(engine, "a", LoadOptions(context_tokens=5))
    await ask(manager, engine, "a")
    assert engine.memory["a"].context_tokens == 5


async def test_an_idle_model_is_unloaded_but_not_one_that_was_asked_for(make: Make) -> None:
    engine = ScriptedEngine({"a": 1, "b": 1, "c": 1})
    soon = ModelSettings(idle_unload_s=1)
    manager = make(engine, models={"scripted/a": soon, "scripted/b": soon})
    await manager.load(engine, "b", ANY)
    await ask(manager, engine, "a")
    await ask(manager, engine, "c")
    await until(lambda: state_of(manager, "a") is None)
    assert [row.model for row in manager.snapshot()] == ["b", "c"]
    assert engine.log[-1] == "unload a"


async def test_a_cancelled_caller_leaves_nothing_behind(make: Make) -> None:
    engine = ScriptedEngine({"a": 1})
    engine.gate.clear()
    manager = make(engine)
    switch = Cancellation()

    async def stopped_by_switch() -> None:
        async with manager.lease(engine, "a", ANY, cancel=switch):
            pytest.fail("it was cancelled")

    by_switch = asyncio.create_task(failure_of(stopped_by_switch()))
    by_task = asyncio.create_task(ask(manager, engine, "a"))
    stays = asyncio.create_task(ask(manager, engine, "a"))
    await until(lambda: [row.waiting for row in manager.snapshot()] == [3])
    switch.cancel()
    by_task.cancel()
    assert (await by_switch).kind == "cancelled"
    with pytest.raises(asyncio.CancelledError):
        await by_task
    engine.gate.set()
    assert await stays == "yes", "those who still wait get the load that was under way"
    await until(lambda: [(row.leases, row.waiting) for row in manager.snapshot()] == [(0, 0)])
    assert engine.log == ["load a"]


async def test_a_timeout_covers_queue_and_load(make: Make) -> None:
    engine = ScriptedEngine({"a": 1})
    engine.gate.clear()
    manager = make(engine)

    async def hurried() -> None:
        async with manager.lease(engine, "a", ANY, timeout_s=0.01):
            pytest.fail("it was over")

    assert (await failure_of(hurried())).kind == "timeout"
    engine.gate.set()
    await until(lambda: state_of(manager, "a") == "ready")
    assert await ask(manager, engine, "a") == "yes", "the load went on for the next caller"


async def test_a_caller_that_is_cancelled_just_as_it_is_served_gives_its_lease_back(
    make: Make,
) -> None:
    engine = ScriptedEngine({"a": 1})
    manager = make(engine)
    for turns in range(12):
        call = asyncio.create_task(ask(manager, engine, "a"))
        for _ in range(turns):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait([call])
    await until(lambda: all(not row.leases and not row.waiting for row in manager.snapshot()))


async def test_a_lease_is_not_given_to_a_caller_who_leaves_in_the_same_moment(make: Make) -> None:
    engine = ScriptedEngine({"a": 1})
    manager = make(engine)
    held = manager.lease(engine, "a", LoadOptions(slots=1))
    await held.__aenter__()
    leaves = asyncio.create_task(ask(manager, engine, "a"))
    stays = asyncio.create_task(ask(manager, engine, "a"))
    await until(lambda: [row.waiting for row in manager.snapshot()] == [2])
    await held.__aexit__(None, None, None)
    leaves.cancel()
    assert await stays == "yes"
    await until(lambda: [row.leases for row in manager.snapshot()] == [0])


async def test_unloading_waits_for_leases_and_later_callers_load_again(make: Make) -> None:
    engine = ScriptedEngine({"a": 1})
    manager = make(engine)
    async with manager.lease(engine, "a", ANY):
        unload = asyncio.create_task(manager.unload(engine, "a"))
        await until(lambda: any(r.leaving_ticket for r in manager._owner.residents.values()))
        later = asyncio.create_task(ask(manager, engine, "a"))
        await until(lambda: any(row.waiting for row in manager.snapshot()))
        assert engine.log == ["load a"]
    assert await unload
    assert await later == "yes"
    assert engine.log == ["load a", "unload a", "load a"]


async def test_unloading_by_force_waits_for_nobody(make: Make) -> None:
    engine = ScriptedEngine({"a": 1})
    manager = make(engine)
    async with manager.lease(engine, "a", ANY):
        assert await manager.unload(engine, "a", force=True)
        assert engine.memory == {}
    assert await ask(manager, engine, "a") == "yes", "the old lease ended without effect"
    await until(lambda: [row.leases for row in manager.snapshot()] == [0])


async def test_unloading_tells_whether_it_was_loaded_by_anybody(make: Make) -> None:
    engine = ScriptedEngine({"a": 1, "b": 1})
    engine.memory["b"] = ANY
    manager = make(engine)
    assert not await manager.unload(engine, "a")
    assert await manager.unload(engine, "b")
    assert engine.memory == {}


async def test_who_gives_up_waiting_for_an_unload_leaves_the_model_in_use(make: Make) -> None:
    engine = ScriptedEngine({"a": 1})
    manager = make(engine)
    async with manager.lease(engine, "a", ANY):
        unload = asyncio.create_task(manager.unload(engine, "a"))
        for _ in range(20):
            await asyncio.sleep(0)
        unload.cancel()
        await asyncio.wait([unload])
        assert await ask(manager, engine, "a") == "yes"
    assert engine.log == ["load a"]


async def test_an_engine_that_cannot_load_gives_leases_at_once_within_its_slots(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = ScriptedEngine({"a": 1})
    monkeypatch.setattr(ScriptedEngine, "can_load", False)
    manager = make(engine, engines={"scripted": EngineSettings(slots=1)})
    async with manager.lease(engine, "a", ANY) as lease:
        assert (lease.loaded, lease.load_ms) == (None, None)

        async def second() -> None:
            async with manager.lease(engine, "a", ANY, timeout_s=0.01):
                pytest.fail("there is one slot")

        assert (await failure_of(second())).kind == "timeout"
    async with manager.lease(engine, "a", ANY):
        pass
    assert engine.log == []


async def test_slots_of_an_engine_bound_its_calls(make: Make) -> None:
    engine = ScriptedEngine({"a": 1, "b": 1})
    manager = make(engine, engines={"scripted": EngineSettings(slots=2)})
    most = 0

    async def call(model: str) -> None:
        nonlocal most
        async with manager.lease(engine, model, ANY):
            most = max(most, sum(row.leases for row in manager.snapshot()))
            await asyncio.sleep(0)

    await asyncio.gather(*(call("ab"[n % 2]) for n in range(10)))
    assert most == 2


async def test_an_engine_with_memory_of_its_own_shares_none(make: Make) -> None:
    here = ScriptedEngine({"a": 9})
    lan = ScriptedEngine({"b": 9, "c": 9}, name="lan", locality="lan")
    own = ScriptedEngine({"d": 9, "e": 9}, name="own")
    manager = make(here, lan, own, engines={"own": EngineSettings(memory_gib=18)})
    for engine, model in ((here, "a"), (lan, "b"), (own, "d"), (own, "e")):
        await ask(manager, engine, model)
    assert "unload" not in " ".join(here.log + lan.log + own.log)
    await ask(manager, lan, "c")
    assert lan.log == ["load b", "unload b", "load c"], "its memory is unknown: one at a time"


async def test_without_a_budget_models_share_what_is_free_and_what_they_hold(make: Make) -> None:
    engine = ScriptedEngine({"a": 4, "b": 4})
    manager = make(engine, budget_gib=0, available=5 * GIB)
    await ask(manager, engine, "a")
    await ask(manager, engine, "b")
    assert engine.log == ["load a", "load b"], "5 GiB are free beside the 4 that are held"
    tight = make(engine, budget_gib=0, available=4 * GIB)
    engine.sizes["c"] = 5
    assert (await failure_of(ask(tight, engine, "c"))).kind == "out_of_memory"


async def test_what_a_load_took_is_remembered(tmp_path: Path) -> None:
    engine = ScriptedEngine({"a": 2})
    measured = Measurements(tmp_path)
    manager = ModelManager(
        manager_of(tmp_path)._settings,
        measured,
        footprint=lambda *_: None,
        record=lambda _row: None,
    )
    wanted = LoadOptions(context_tokens=512)
    await manager.load(engine, "a", wanted)
    known = measured.of("scripted", "a")
    assert known.footprints == {options_key(wanted): 2 * GIB}
    assert known.load_ms is not None
    await manager.close()


async def test_a_model_that_grew_as_it_answered_is_measured_again(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rung.models.lifecycle.looking.AFTER_S", 0.0)
    engine = ScriptedEngine({"a": 2})
    manager = make(engine)
    async with manager.lease(engine, "a", ANY):
        engine.sizes["a"] = 3
    await until(lambda: manager.snapshot()[0].memory_bytes == 3 * GIB)
    known = manager._owner._journal._measured.of("scripted", "a")
    assert list(known.footprints.values()) == [3 * GIB]


async def test_a_survey_asks_every_engine_and_names_those_that_do_not_say(make: Make) -> None:
    here, dead = ScriptedEngine({"a": 1}), ScriptedEngine({"b": 1}, name="dead")
    here.memory["a"] = ANY
    dead.failures["loaded"] = ["unreachable"]
    rows, failures = await make(here, dead).survey()
    assert [(row.engine, row.model, row.is_ours) for row in rows] == [("scripted", "a", False)]
    assert list(failures) == ["dead"]


async def test_what_an_engine_said_before_a_load_or_an_unload_does_not_undo_it(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = ScriptedEngine({"a": 1, "b": 1})
    manager = make(engine)
    await ask(manager, engine, "b")
    said = asyncio.Event()

    async def slow() -> Sequence[LoadedModel]:
        before = await ScriptedEngine.loaded(engine)
        await said.wait()
        return before

    monkeypatch.setattr(engine, "loaded", slow)
    survey = asyncio.create_task(manager.survey())
    await asyncio.sleep(0)
    await ask(manager, engine, "a")
    manager._tell(lambda: manager._owner._evict(Key("scripted", "b"), "asked"))
    await until(lambda: state_of(manager, "b") is None)
    said.set()
    await survey
    assert [(row.model, row.state) for row in manager.snapshot()] == [("a", "ready")]


async def test_a_fault_of_the_manager_fails_its_callers_rather_than_hang(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = ScriptedEngine({"a": 1})
    manager = make(engine)

    def broken(*_: object) -> None:
        raise KeyError("lost")

    monkeypatch.setattr("rung.models.lifecycle.policy.decide", broken)
    error = await failure_of(ask(manager, engine, "a"))
    assert (error.kind, "KeyError: 'lost'" in error.message) == ("server_error", True)
    assert (await failure_of(ask(manager, engine, "a"))).kind == "cancelled"


async def test_progress_of_a_load_reaches_who_asked_for_it(make: Make) -> None:
    engine, shares = ScriptedEngine({"a": 1}), list[float]()
    loaded = await make(engine).load(engine, "a", ANY, shares.append)
    assert (loaded.model, shares) == ("a", [0.5])


async def test_closing_answers_those_who_have_only_just_come(make: Make) -> None:
    engine = ScriptedEngine({"a": 1})
    manager = make(engine)
    coming = [
        asyncio.create_task(failure_of(ask(manager, engine, "a"))),
        asyncio.create_task(failure_of(manager.unload(engine, "a"))),
        asyncio.create_task(failure_of(manager.survey())),
    ]
    await asyncio.sleep(0)
    await manager.close()
    assert {(await task).kind for task in coming} == {"cancelled"}


async def test_closing_ends_who_waits_and_what_loads(make: Make) -> None:
    engine = ScriptedEngine({"a": 1})
    engine.gate.clear()
    manager = make(engine)
    waiting = [asyncio.create_task(failure_of(ask(manager, engine, "a"))) for _ in range(2)]
    await until(lambda: state_of(manager, "a") == "loading")
    await manager.close()
    assert [(await task).kind for task in waiting] == ["cancelled"] * 2
    assert (await failure_of(ask(manager, engine, "a"))).kind == "cancelled"
    with pytest.raises(EngineError):
        await manager.unload(engine, "a")
    await manager.close()
