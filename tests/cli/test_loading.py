from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.command import Ran, children_of, interrupt, is_alive, rung, start
from tests.fakes.lmstudio import LMStudio, on_disk
from tests.fakes.server import FakeServer

MODEL = "embedded/smollm2-135m"


@pytest.fixture
def here(tmp_path: Path, starter_model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RUNG_MODELS_DIR", str(starter_model_dir))
    return tmp_path


def test_loading_an_embedded_model_is_a_trial_that_says_what_it_takes(here: Path) -> None:
    ran = rung("models", "load", MODEL, "--ctx", "512", cwd=here)
    assert ran.status == 0, ran.err
    for word in (MODEL, "loaded in", "MB", "context 512", "1 slot", "tokens/s"):
        assert word in ran.out
    assert "each command loads" in ran.err
    as_json = rung("models", "load", MODEL, "--kv", "q8_0", "--slots", "2", "--json", cwd=here)
    report = as_json.json
    assert (report["model"], report["slots"], report["context_tokens"]) == (MODEL, 2, 4096)
    assert report["memory_bytes"] > 100e6
    assert report["tokens_per_s"] > 0


def test_a_held_model_goes_with_ctrl_c(here: Path) -> None:
    process = start("models", "load", MODEL, "--ctx", "256", "--keep", cwd=here)
    assert process.stdout is not None
    assert MODEL in process.stdout.readline()
    children = children_of(process.pid)
    assert any(map(is_alive, children))
    interrupt(process)
    assert process.wait(timeout=20) == 128 + signal.SIGINT
    assert not any(map(is_alive, children))


def test_a_model_that_cannot_fit_is_refused_before_it_is_loaded(here: Path) -> None:
    env = {"RUNG_MEMORY__BUDGET_GIB": "0.05"}
    ran = rung("models", "load", MODEL, cwd=here, env=env)
    assert ran.status == 1
    assert "out_of_memory" in ran.err
    assert "0.05 GB is there for it" in ran.err
    ran = rung(
        "models",
        "load",
        MODEL,
        "--ctx",
        "8192",
        cwd=here,
        env={**env, "RUNG_MEMORY__BUDGET_GIB": "0.25"},
    )
    assert ran.status == 1
    assert "it would fit with a context of" in ran.err


def test_an_embedded_model_is_in_no_memory_between_commands(here: Path) -> None:
    assert "no model is loaded" in rung("models", "ps", cwd=here).out
    assert rung("models", "ps", "--json", cwd=here).json == []
    ran = rung("models", "unload", MODEL, cwd=here)
    assert ran.status == 2
    assert "only of the command that uses it" in ran.err


@pytest.mark.parametrize("command", ["load", "unload"])
def test_an_unknown_model_is_named(here: Path, command: str) -> None:
    ran = rung("models", command, "embedded/nothing", cwd=here)
    assert ran.status == 2
    assert "embedded/nothing" in ran.err
    assert os.linesep not in ran.err.strip()


async def test_models_of_an_engine_that_outlives_the_command_stay_loaded(here: Path) -> None:
    async def run(*arguments: str) -> Ran:
        return await asyncio.to_thread(rung, "models", *arguments, cwd=here, env=env)

    async with FakeServer("lmstudio") as server:
        studio = LMStudio(server, models=[on_disk("org/a")])
        env = {"LM_STUDIO_BASE_URL": server.base_url}
        loaded = await run("load", "lmstudio/org/a", "--ctx", "2048", "--slots", "2")
        assert loaded.status == 0, loaded.err
        assert "context 2,048, 2 slots" in loaded.out
        assert studio.instances["org/a"]["context_length"] == 2048
        listed = (await run("ps")).out.splitlines()[-1]
        assert "lmstudio/org/a" in listed
        assert listed.split()[-1] == "Rung"
        [row] = (await run("ps", "--json")).json
        assert (row["is_ours"], row["claimed_by"]) == (True, None)
        assert (row["model"], row["state"], row["context_tokens"]) == ("org/a", "ready", 2048)
        assert (await run("unload", "lmstudio/org/a")).out == "unloaded lmstudio/org/a\n"
        assert studio.instances == {}
        assert "was not loaded" in (await run("unload", "lmstudio/org/a")).out


async def test_a_command_makes_room_by_what_an_earlier_one_loaded_and_never_by_the_users(
    here: Path,
) -> None:
    async def run(*arguments: str) -> Ran:
        return await asyncio.to_thread(rung, *arguments, cwd=here, env=env)

    async with FakeServer("lmstudio", ["hi"]) as server:
        models = [on_disk(f"org/{name}", size_bytes=6_000_000_000) for name in "abc"]
        studio = LMStudio(server, models=models, jit=False)
        env = {"LM_STUDIO_BASE_URL": server.base_url, "RUNG_MEMORY__BUDGET_GIB": "10"}
        assert (await run("models", "load", "lmstudio/org/a")).status == 0
        assert (await run("ask", "--model", "lmstudio/org/b", "hello")).out == "hi\n"
        assert list(studio.instances) == ["org/b"]
        studio.unload_all()
        studio.load("org/c", 4096)
        refused = await run("ask", "--model", "lmstudio/org/a", "hello")
        assert "out_of_memory" in refused.err
        assert list(studio.instances) == ["org/c"]
        assert "another program" in (await run("models", "ps")).out
