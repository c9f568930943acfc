"""Leases as the whole of Rung takes them: never one in another, and handed from run to run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from rung import Rung, Task
from rung.config.settings import (
    EmbeddedSettings,
    MatrixRow,
    MemorySettings,
    ModelSettings,
    Settings,
)
from rung.models.lifecycle.claims import FILE_NAME
from tests.engines.calls import until
from tests.fakes.formats import Call
from tests.fakes.lmstudio import LMStudio, on_disk
from tests.fakes.server import FakeServer, Script
from tests.ladder import judgement

GB = 1_000_000_000
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@asynccontextmanager
async def studio(script: Script) -> AsyncIterator[tuple[FakeServer, LMStudio]]:
    """An LM Studio with two models of 6 GB each."""
    async with FakeServer("lmstudio", script) as server:
        models = [on_disk(key, size_bytes=6 * GB) for key in ("a", "b")]
        yield server, LMStudio(server, models=models, jit=False)


def settings_of(folder: Path, server: FakeServer) -> Settings:
    """Memory for one of the two models."""
    return Settings(
        discover=False,
        data_dir=folder,
        models_dir=folder / "models",
        embedded=EmbeddedSettings(enabled=False),
        engines={"lm": server.settings()},
        models={
            "lm/a": ModelSettings(tier="local_fast"),
            "lm/b": ModelSettings(tier="local_balanced"),
        },
        memory=MemorySettings(budget_gib=10 * GB / (1 << 30)),
        matrix={"standard": MatrixRow(chain=("lm/a", "lm/b"), checker="next")},
    )


async def test_worker_and_checker_share_memory_for_one_of_them(tmp_path: Path) -> None:
    def script(call: Call) -> str:
        if "You judge" in call.body["messages"][-1]["content"]:
            return judgement("blue", passed=True)
        return "blue"

    async with studio(script) as (server, state), Rung(settings_of(tmp_path, server)) as rung:
        async with asyncio.timeout(20):
            task = Task(text="A colour?", type="standard", checks=("semantic:It is a colour.",))
            outcomes = await asyncio.gather(*(rung.execute(task) for _ in range(4)))
        assert [o.status for o in outcomes] == ["verified"] * 4
        assert {call.body["model"] for call in server.chats} == {"a", "b"}
        assert len(state.instances) == 1


async def test_the_repair_of_an_object_takes_a_lease_of_its_own(tmp_path: Path) -> None:
    async with (
        studio(["no", '{"n": 1}']) as (server, _),
        Rung(
            settings_of(tmp_path, server).replaced(
                engines={"lm": server.settings(slots=1)},
            )
        ) as rung,
    ):
        async with asyncio.timeout(20):
            completion = await rung.ask("n?", model="lm/a", schema=SCHEMA)
        assert (completion.parsed, "repair_turn" in completion.repairs) == ({"n": 1}, True)
        await until(lambda: [row.leases for row in rung.manager.snapshot()] == [0])


@pytest.mark.parametrize("is_killed", [True, False])
async def test_what_one_run_loaded_the_next_evicts(tmp_path: Path, is_killed: bool) -> None:
    async with studio(["hi"]) as (server, state):
        async with Rung(settings_of(tmp_path, server)) as rung:
            await rung.ask("x", model="lm/a")
        assert list(state.instances) == ["a"]
        if is_killed:
            path = tmp_path / FILE_NAME
            claims = msgspec.json.decode(path.read_bytes())
            path.write_bytes(
                msgspec.json.encode({n: c | {"pid": 2**22} for n, c in claims.items()})
            )
        async with Rung(settings_of(tmp_path, server)) as rung:
            await rung.ask("x", model="lm/b")
        assert list(state.instances) == ["b"]
