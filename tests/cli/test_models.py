"""`rung models list|show|fit|rm`: what a user sees, with real engines' words behind it."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from tests.command import RUNG, Ran, rung
from tests.fakes.profiles import Route
from tests.fakes.server import MODEL, FakeServer
from tests.models.builders import SHAPE, gguf_bytes
from tests.starter import STARTER

OFFERED = 40
BROKER = {
    "data": [
        {
            "id": f"acme/model-{number}",
            "context_length": 131_072,
            "architecture": {"output_modalities": ["text"]},
            "pricing": {"prompt": "0.0000001", "completion": "0.0000002"},
        }
        for number in range(OFFERED)
    ]
}
SETTINGS = """
[engines.lm]
kind = "lmstudio"
base_url = "{lm}"
[engines.dead]
kind = "ollama"
base_url = "http://127.0.0.1:9"
[engines.broker]
kind = "openrouter"
base_url = "{broker}"
api_key = "k"
locality = "cloud"
[models."broker/acme/model-7"]
tier = "haiku"
[models."embedded/{starter}"]
pinned = true
"""


@dataclass
class Desk:
    """A user's folder, with an LM Studio, a broker of many models and a dead Ollama."""

    folder: Path
    env: dict[str, str]

    async def rung(self, *arguments: str, **env: str) -> Ran:
        """The command in a thread, so that the stand-ins can answer it."""
        together = {**self.env, **env}
        return await asyncio.to_thread(rung, *arguments, cwd=self.folder, env=together)


@pytest.fixture
async def desk(tmp_path: Path, starter_model_dir: Path) -> AsyncIterator[Desk]:
    routes = {"/v1/models": Route(content=BROKER)}
    async with FakeServer("lmstudio") as lm, FakeServer("openrouter", routes=routes) as broker:
        config = tmp_path / "home" / "config" / "rung" / "rung.toml"
        config.parent.mkdir(parents=True)
        config.write_text(SETTINGS.format(lm=lm.base_url, broker=broker.base_url, starter=STARTER))
        yield Desk(tmp_path, {"RUNG_MODELS_DIR": str(starter_model_dir)})


def by_name(ran: Ran) -> dict[str, Any]:
    return {row["model"]: row for row in ran.json}


async def test_one_table_has_the_models_of_all_engines(desk: Desk) -> None:
    ran = await desk.rung("models", "list")
    assert ran.status == 0
    lines = {line.split()[0]: line for line in ran.out.splitlines() if line}
    assert "installed" in lines[f"embedded/{STARTER}"]
    assert "(pinned)" in lines[f"embedded/{STARTER}"]
    assert "loaded" in lines[f"lm/{MODEL}"]
    assert "haiku" in lines["broker/acme/model-7"]
    assert "dead: not listed: nothing answers" in ran.out
    assert f"broker: {OFFERED - 1} more" in ran.out
    assert "model-8" not in ran.out


async def test_filters_choose_rows_and_json_has_all_that_is_known(desk: Desk) -> None:
    everything = by_name(await desk.rung("models", "list", "--json"))
    assert len(everything) == OFFERED + 3
    starter = everything[f"embedded/{STARTER}"]
    assert (starter["fit"], starter["memory_basis"], starter["pinned"]) == ("fits", "file", True)
    assert starter["tokens_per_s"] is None
    assert everything["broker/acme/model-8"]["usd_per_mtok_in"] == pytest.approx(0.1)
    loaded = by_name(await desk.rung("models", "list", "--json", "--loaded"))
    assert list(loaded) == [f"lm/{MODEL}"]
    of_one = by_name(await desk.rung("models", "list", "--json", "--engine", "lm"))
    assert {name.partition("/")[0] for name in of_one} == {"lm"}
    assert "model-8" in (await desk.rung("models", "list", "--all")).out
    unknown = await desk.rung("models", "list", "--engine", "nobody")
    assert unknown.status == 2
    assert "known are: embedded" in unknown.err


@pytest.mark.parametrize("width", [80, 120])
async def test_the_table_is_no_wider_than_the_terminal_and_keeps_what_matters(
    desk: Desk, width: int
) -> None:
    out = await asyncio.to_thread(on_terminal, desk, width)
    table = [line for line in out.splitlines() if "embedded/" in line or "model " in line]
    assert len(table) == 2, out
    assert all(cell_len(line) <= width for line in table)
    for column in ("model", "state", "size", "context", "fit"):
        assert column in table[0]
    assert ("quant" in table[0]) == (width == 120)


def on_terminal(desk: Desk, width: int) -> str:
    """What `rung models list` prints on a terminal of that width."""
    owner, terminal = pty.openpty()
    env = {**os.environ, **desk.env, "COLUMNS": str(width), "TERM": "xterm"}
    with subprocess.Popen(
        [RUNG, "models", "list"], cwd=desk.folder, env=env, stdout=terminal, stderr=terminal
    ) as process:
        os.close(terminal)
        out = b""
        while piece := _read(owner):
            out += piece
        process.wait()
    os.close(owner)
    return re.sub(r"\x1b\[[\d;]*m", "", out.decode())


def _read(owner: int) -> bytes:
    try:
        return os.read(owner, 65_536)
    except OSError:  # the last writer is gone
        return b""


async def test_show_says_where_each_fact_comes_from(desk: Desk) -> None:
    facts = (await desk.rung("models", "show", STARTER, "--json")).json
    sources = {(fact["name"], fact["source"]): fact["value"] for fact in facts["facts"]}
    assert facts["row"]["model"] == f"embedded/{STARTER}"
    assert sources["trained_context_tokens", "file"] == 8192
    assert sources["pinned", "rung.toml"] is True
    assert sources["license", "catalogue"] == "Apache-2.0"
    assert ("memory_bytes", "estimated") in sources
    shown = await desk.rung("models", "show", f"local:{STARTER}")
    assert "8,192" in shown.out
    assert (await desk.rung("models", "show", "nobody/nothing")).status == 2


async def test_fit_exits_with_0_where_it_fits_and_1_where_it_does_not(desk: Desk) -> None:
    fits = await desk.rung("models", "fit", STARTER, "--json")
    assert (fits.status, fits.json["fit"]) == (0, "fits")
    assert fits.json["largest_contexts"] == {"f16": 8192, "q8_0": 8192, "q4_0": 8192}
    asked = ("models", "fit", STARTER, "--ctx", "8192", "--slots", "2")
    small = {"RUNG_MEMORY__BUDGET_GIB": "0.3"}
    ran = await desk.rung(*asked, **small)
    assert ran.status == 1
    assert "It does not fit." in ran.out
    assert "would fit: 8,192 tokens of context, 2 slots, q4_0 cache" in ran.out
    refused = (await desk.rung(*asked, "--json", **small)).json
    assert 256 <= refused["largest_contexts"]["f16"] < refused["largest_contexts"]["q8_0"] < 8192


async def test_fit_takes_a_file_a_catalogue_id_and_an_engines_model(desk: Desk) -> None:
    gguf = desk.folder / "tiny.gguf"
    gguf.write_bytes(gguf_bytes(SHAPE))
    from_file = await desk.rung("models", "fit", str(gguf), "--ctx", "100000", "--json")
    assert (from_file.json["expectation"]["basis"], from_file.status) == ("file", 0)
    assert from_file.json["options"]["context_tokens"] == 1024
    empty = {"RUNG_MODELS_DIR": str(desk.folder / "none")}
    catalogued = await desk.rung("models", "fit", STARTER, **empty)
    assert "an estimate from the size of its weights" in catalogued.out
    of_engine = await desk.rung("models", "fit", f"lm/{MODEL}", "--json")
    assert of_engine.json["held_models"] == [f"lm/{MODEL}"]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["nothing"], 2, "no model 'nothing'"),
        (["broker/acme/model-7"], 2, "runs in the cloud"),
        (["missing.gguf"], 1, "missing.gguf cannot be read"),
        ([STARTER, "--kv", "f32"], 2, "'f16', 'q8_0', 'q4_0'"),
        ([STARTER, "--slots", "0"], 2, "slots"),
    ],
)
async def test_what_cannot_be_fitted_gets_a_clear_error(
    desk: Desk, arguments: list[str], status: int, words: str
) -> None:
    ran = await desk.rung("models", "fit", *arguments)
    assert ran.status == status
    assert ran.out == ""
    assert words in ran.err


async def test_rm_asks_first_and_removes_only_then(tmp_path: Path, starter_model_dir: Path) -> None:
    store = tmp_path / "models" / STARTER
    store.mkdir(parents=True)
    for file in (starter_model_dir / STARTER).iterdir():
        os.link(file, store / file.name)
    env = {"RUNG_MODELS_DIR": str(store.parent)}
    asked = rung("models", "rm", f"embedded/{STARTER}", cwd=tmp_path, env=env, stdin="n\n")
    assert asked.status == 1
    assert f"Remove {STARTER} (98 MB)?" in asked.err
    assert (store / "model.json").exists()
    removed = rung("models", "rm", STARTER, "--yes", cwd=tmp_path, env=env)
    assert (removed.status, removed.out) == (0, f"removed {STARTER}\n")
    assert not store.exists()
    again = rung("models", "rm", STARTER, "--yes", cwd=tmp_path, env=env)
    assert again.status == 1
    assert "not installed" in again.err
