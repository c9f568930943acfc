"""The manager and the real embedded engine: processes, memory and answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from rung.chat import ChatRequest, LoadOptions, Message, ModelInfo
from rung.config.settings import EmbeddedSettings, MemorySettings, ModelSettings, Settings
from rung.engines.embedded.engine import EmbeddedEngine
from rung.ledger.rows import AuditRow
from rung.models.lifecycle.manager import ModelManager
from rung.models.measured import Measurements
from tests.engines.calls import until
from tests.engines.processes import is_running, kill, model_processes

WINDOW = 512
# With a window of 512 tokens the starter model takes about 0.17 GB: one fits, two do not.
BUDGET_GIB = 0.25
EXPECTED_BYTES = 180_000_000


class Machine:
    """One embedded engine whose every model is the starter model, and its manager."""

    def __init__(self, gguf: Path, folder: Path, **settings: Any) -> None:
        self.settings = Settings(
            data_dir=folder,
            embedded=EmbeddedSettings(context_tokens=WINDOW),
            memory=MemorySettings(budget_gib=BUDGET_GIB),
            **settings,
        )
        installed = [ModelInfo(id="a"), ModelInfo(id="b")]
        self.engine = EmbeddedEngine(self.settings.embedded, lambda _: gguf, lambda: installed)
        self.rows: list[AuditRow] = []
        self.measured = Measurements(folder)
        self.manager = ModelManager(
            self.settings,
            self.measured,
            footprint=lambda _engine, _model, _options: EXPECTED_BYTES,
            record=self.rows.append,
        )
        self.most_processes = 0

    async def ask(self, model: str, tokens: int = 3) -> str:
        request = ChatRequest(
            model=model,
            messages=(Message(role="user", content=f"Say {model}."),),
            max_tokens=tokens,
            temperature=0.0,
        )
        async with self.manager.lease(self.engine, model, LoadOptions()):
            self.most_processes = max(self.most_processes, len(self.engine.pids))
            return (await self.engine.complete(request)).text

    def loads(self) -> int:
        return sum(row.kind == "model.load" for row in self.rows)

    async def close(self) -> None:
        await self.manager.close()
        await self.engine.close()


@pytest.fixture(scope="session")
def gguf(starter_model_dir: Path) -> Path:
    (path,) = (starter_model_dir / "smollm2-135m").glob("*.gguf")
    return path


@pytest.fixture
async def machine(gguf: Path, tmp_path: Path) -> AsyncIterator[Machine]:
    soon = {"embedded/b": ModelSettings(idle_unload_s=1)}
    machine = Machine(gguf, tmp_path, models=soon)
    yield machine
    await machine.close()


async def test_64_callers_of_two_models_with_memory_for_one_are_all_answered(
    machine: Machine,
) -> None:
    seen: list[int] = []

    async def watch() -> None:
        while True:
            seen.append(len(machine.engine.pids))
            await asyncio.sleep(0.002)

    watching = asyncio.create_task(watch())
    answers = await asyncio.gather(*(machine.ask("ab"[n % 2]) for n in range(64)))
    watching.cancel()
    assert len(answers) == 64
    assert all(answers)
    assert max(seen) == 1, "never both in memory"
    assert machine.loads() == 2, "all came before the first turn: each model is loaded once"
    assert machine.manager.snapshot()[0].waiting == 0


async def test_clients_that_ask_again_and_again_share_the_memory_in_turns(
    machine: Machine,
) -> None:
    turns: list[str] = []

    async def client(model: str) -> None:
        for _ in range(3):
            assert await machine.ask(model)
            turns.append(model)

    await asyncio.gather(*(client("ab"[n % 2]) for n in range(8)))
    assert machine.most_processes == 1
    assert sorted(turns) == ["a"] * 12 + ["b"] * 12
    # Each turn serves all four clients of a model once, and a burst once more.
    assert 2 <= machine.loads() <= 6


async def test_a_crashed_model_is_loaded_again_for_the_next_call(machine: Machine) -> None:
    await machine.ask("a")
    pid = machine.engine.pids["a"]
    kill(pid)
    assert await machine.ask("a")
    assert machine.engine.pids["a"] != pid


async def test_an_idle_model_gives_its_memory_back(machine: Machine) -> None:
    await machine.ask("b")
    pid = machine.engine.pids["b"]
    await until(lambda: machine.rows[-1].kind == "model.unload")
    assert not is_running(pid)
    assert await machine.ask("b")


async def test_cancelled_callers_leave_no_process_and_no_lease(machine: Machine) -> None:
    calls = [asyncio.create_task(machine.ask("ab"[n % 2], tokens=400)) for n in range(6)]
    await until(lambda: machine.engine.in_flight > 0)
    for call in calls:
        call.cancel()
    await asyncio.wait(calls)
    assert await machine.ask("a")
    await until(lambda: not any(row.leases or row.waiting for row in machine.manager.snapshot()))
    await machine.close()
    assert machine.engine.pids == {}


async def test_what_a_model_took_is_measured_and_told(machine: Machine) -> None:
    await machine.ask("a", tokens=20)
    known = machine.measured.of("embedded", "a")
    [footprint] = known.footprints.values()
    assert 0.5 * EXPECTED_BYTES < footprint < 2 * EXPECTED_BYTES
    assert known.load_ms is not None
    await until(lambda: machine.manager.snapshot()[0].unloads_in_s is not None)
    [row] = machine.manager.snapshot()
    assert (row.context_tokens, row.slots) == (WINDOW, 1)
    assert row.memory_bytes is not None


async def test_closing_in_the_middle_of_everything_leaves_no_process(machine: Machine) -> None:
    calls = [asyncio.create_task(machine.ask("ab"[n % 2], tokens=50)) for n in range(8)]
    await until(lambda: bool(machine.engine.pids))
    mine = list(machine.engine.pids.values())
    await machine.close()
    done = await asyncio.gather(*calls, return_exceptions=True)
    assert all(getattr(error, "kind", None) == "cancelled" for error in done)
    assert not any(is_running(pid) for pid in mine)
    assert not set(mine) & set(model_processes())
