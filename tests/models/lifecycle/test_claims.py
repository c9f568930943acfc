"""What one process loaded into an engine that outlives it, the next one may use and evict."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from rung.chat import LoadOptions
from rung.config.settings import ModelSettings
from rung.models.lifecycle.claims import FILE_NAME, Claims
from rung.models.lifecycle.manager import ModelManager
from rung.models.lifecycle.state import Key
from tests.engines.calls import failure_of, until
from tests.models.lifecycle.scripted import ScriptedEngine, ask, manager_of

ANY = LoadOptions()
CLAIM = """
import sys
from pathlib import Path
from rung.chat import LoadOptions
from rung.models.lifecycle.claims import Claims
from rung.models.lifecycle.state import Key
for model in sys.argv[3:]:
    claims = Claims(Path(sys.argv[1]))
    claims.take(Key("scripted", model), LoadOptions(context_tokens=64), model)
    claims.used(Key("scripted", model), is_kept=False)
    claims.save()
if sys.argv[2] == "stay":
    print("claimed", flush=True)
    sys.stdin.read()
"""
Start = Callable[..., subprocess.Popen[str]]


def claim_and_end(folder: Path, *models: str) -> None:
    """Another process loads models, one after the other, and ends."""
    subprocess.run([sys.executable, "-c", CLAIM, str(folder), "end", *models], check=True)


@pytest.fixture
def claim_and_stay(tmp_path: Path) -> Iterator[Start]:
    """Another process loads models and lives on."""
    started: list[subprocess.Popen[str]] = []

    def start(*models: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", CLAIM, str(tmp_path), "stay", *models],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "claimed\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Callable[..., ModelManager]]:
    made: list[ModelManager] = []

    def build(*engines: ScriptedEngine, **settings: object) -> ModelManager:
        made.append(manager_of(tmp_path, *engines, claims=Claims(tmp_path), **settings))
        return made[-1]

    yield build
    for manager in made:
        await manager.close()


Make = Callable[..., ModelManager]


def holding(*models: str, size: float = 4) -> ScriptedEngine:
    engine = ScriptedEngine(dict.fromkeys(["a", "b", "c", "d"], size))
    engine.memory.update(dict.fromkeys(models, LoadOptions(context_tokens=64)))
    return engine


async def test_what_a_dead_process_loaded_is_evicted_least_recently_used_first(
    make: Make, tmp_path: Path
) -> None:
    claim_and_end(tmp_path, "b", "a")
    engine = holding("a", "b")
    assert await ask(make(engine), engine, "c") == "yes"
    assert engine.log == ["unload b", "load c"]


async def test_what_a_living_process_loaded_stays_until_that_process_has_ended(
    make: Make, claim_and_stay: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rung.models.lifecycle.looking.FRESH_S", 0.0)
    process = claim_and_stay("a", "b")
    engine = holding("a", "b")
    manager = make(engine)
    error = await failure_of(ask(manager, engine, "c"))
    assert error.kind == "out_of_memory"
    assert {row.claimed_by for row in manager.snapshot()} == {process.pid}
    assert await ask(manager, engine, "a") == "yes", "it may be used"
    process.kill()  # not waited for: a process that is only a zombie is dead, too
    await until(lambda: not any(c.is_living for _, c in _claims(manager).on("scripted")))
    assert await ask(manager, engine, "c") == "yes"
    assert engine.log == ["unload b", "load c"], "the one that was used last stays"


def _claims(manager: ModelManager) -> Claims:
    return manager._claims


async def test_what_nobody_claims_is_never_evicted(make: Make, tmp_path: Path) -> None:
    claim_and_end(tmp_path, "a")
    engine = holding("a", "b")
    manager = make(engine, models={"scripted/a": ModelSettings(pinned=True)})
    assert (await failure_of(ask(manager, engine, "c"))).kind == "out_of_memory"
    assert engine.log == []


async def test_what_was_left_is_used_as_it_is_and_then_belongs_to_who_uses_it(
    make: Make, tmp_path: Path
) -> None:
    claim_and_end(tmp_path, "a")
    engine = holding("a")
    first = make(engine)
    assert await ask(first, engine, "a", LoadOptions(context_tokens=64)) == "yes"
    assert engine.log == []
    await until(lambda: _pids(tmp_path) == {os.getpid()})
    assert await ask(first, engine, "a", LoadOptions(context_tokens=65)) == "yes"
    assert engine.log == ["unload a", "load a"]


async def test_an_explicit_load_is_still_evicted_for_the_next_process(
    make: Make, tmp_path: Path
) -> None:
    engine = holding(size=6)
    loader = make(engine)
    await loader.load(engine, "a", ANY)
    await loader.close()
    stored = msgspec.json.decode((tmp_path / FILE_NAME).read_bytes())
    assert stored["scripted/a"]["is_kept"]
    _as_of_a_dead_process(tmp_path)
    next_one = make(engine)
    await ask(next_one, engine, "b")
    assert engine.log == ["load a", "unload a", "load b"]


async def test_a_model_that_vanished_is_not_claimed_any_more(make: Make, tmp_path: Path) -> None:
    claim_and_end(tmp_path, "a", "b")
    engine = holding("b")
    await make(engine).survey()
    await until(lambda: set(_stored(tmp_path)) == {"scripted/b"})
    engine.memory["a"] = ANY  # the user loads it
    manager = make(engine)
    await manager.survey()
    assert {row.model: row.is_ours for row in manager.snapshot()} == {"a": False, "b": True}


async def test_what_is_left_is_not_unloaded_only_because_somebody_looks(
    make: Make, tmp_path: Path
) -> None:
    claim_and_end(tmp_path, "a")
    engine = holding("a")
    manager = make(engine, models={"scripted/a": ModelSettings(idle_unload_s=1)})
    await manager.survey()
    [row] = manager.snapshot()
    assert (row.is_ours, row.unloads_in_s) == (True, None)


async def test_what_was_loaded_for_calls_is_handed_back_at_the_end(make: Make) -> None:
    engine = holding(size=1)
    soon = ModelSettings(idle_unload_s=7)
    manager = make(engine, models={"scripted/a": soon, "scripted/d": ModelSettings(pinned=True)})
    engine.memory["c"] = ANY  # another program's
    for model in ("a", "b", "c", "d"):
        await ask(manager, engine, model)
    await manager.load(engine, "b", ANY)
    await manager.close()
    await manager.close()
    assert [entry for entry in engine.log if "back" in entry] == ["hand back a 7"]


async def test_an_engine_that_hangs_as_it_takes_a_model_back_ends_nobodys_day(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rung.models.lifecycle.manager.HAND_BACK_TIMEOUT_S", 0.01)
    engine = holding(size=1)
    manager = make(engine)
    await ask(manager, engine, "a")
    engine.gate.clear()
    await asyncio.wait_for(manager.close(), 5)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"x": 1}', b'{"e/m": {"pid": "a"}}'])
def test_a_damaged_file_claims_nothing_and_is_mended(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    claims = Claims(tmp_path)
    claims.refresh()
    assert list(claims.on("e")) == []
    claims.take(Key("e", "m"), ANY)
    claims.save()
    assert list(_stored(tmp_path)) == ["e/m"]


def test_impossible_processes_are_dead(tmp_path: Path) -> None:
    def entry(pid: int) -> dict[str, object]:
        return {"pid": pid, "started": 1, "options": {}, "used_at": 1e300}

    absurd = {f"e/{pid}": entry(pid) for pid in (-1, 0, 2**40, os.getpid())}
    (tmp_path / FILE_NAME).write_bytes(msgspec.json.encode(absurd))
    claims = Claims(tmp_path)
    claims.refresh()
    assert [claim.is_living for _, claim in claims.on("e")] == [False] * 4


def test_claims_of_processes_that_save_at_once_are_all_there(tmp_path: Path) -> None:
    models = [f"m{n}" for n in range(4)]
    running = [
        subprocess.Popen([sys.executable, "-c", CLAIM, str(tmp_path), "end", model])
        for model in models
    ]
    assert [process.wait() for process in running] == [0] * 4
    assert set(_stored(tmp_path)) == {f"scripted/{model}" for model in models}


def test_a_folder_that_cannot_be_written_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    claims = Claims(tmp_path / "file")
    claims.take(Key("e", "m"), ANY)
    claims.save()
    assert claims.mine == (Key("e", "m"),)


def _stored(folder: Path) -> dict[str, dict[str, object]]:
    path = folder / FILE_NAME
    return msgspec.json.decode(path.read_bytes()) if path.exists() else {}


def _pids(folder: Path) -> set[object]:
    return {claim["pid"] for claim in _stored(folder).values()}


def _as_of_a_dead_process(folder: Path) -> None:
    claims = {name: {**claim, "started": 1} for name, claim in _stored(folder).items()}
    (folder / FILE_NAME).write_bytes(msgspec.json.encode(claims))
