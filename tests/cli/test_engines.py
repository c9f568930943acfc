"""`rung engines`: what is there, what is wrong with it, and what its models can do."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.command import Ran, rung
from tests.fakes.profiles import Route
from tests.fakes.server import MODEL, FakeServer
from tests.routing.test_probe import able


def configure(folder: Path, **engines: str) -> None:
    """The user's rung.toml with these engines, by the lines of their tables."""
    tables = [f"[engines.{name}]\n{lines}\n" for name, lines in engines.items()]
    file = folder / "home" / "config" / "rung" / "rung.toml"
    file.parent.mkdir(parents=True)
    file.write_text("[embedded]\nenabled = false\n" + "\n".join(tables))


def at(server: FakeServer, **more: str) -> str:
    facts = {"kind": server.kind, "base_url": server.base_url, **more}
    return "\n".join(f"{name} = {json.dumps(value)}" for name, value in facts.items())


async def run(folder: Path, *arguments: str, stdin: str | None = None) -> Ran:
    return await asyncio.to_thread(rung, *arguments, cwd=folder, stdin=stdin)


async def test_every_engine_is_shown_with_what_it_is_and_why_it_is_not_there(
    tmp_path: Path,
) -> None:
    async with FakeServer("ollama") as server:
        gone = 'kind = "vllm"\nbase_url = "http://127.0.0.1:9/v1"'
        configure(tmp_path, here=at(server), gone=gone)
        listed = await run(tmp_path, "engines", "--json")
        table = await run(tmp_path, "engines")
        again = await run(tmp_path, "engines", "list")
    here, lost = listed.json
    assert (here["engine"], here["kind"], here["locality"]) == ("here", "ollama", "local")
    assert (here["version"], here["error"], here["loaded"]) == ("0.33.0", None, 1)
    assert {"schema", "tools", "load", "download"} <= set(here["can"])
    assert (lost["engine"], lost["version"], lost["models"]) == ("gone", None, 0)
    assert "nothing answers" in lost["error"]
    assert "0.33.0" in table.out
    assert "\ngone: unreachable: nothing answers" in table.out
    assert table.out.splitlines()[0] == again.out.splitlines()[0]


async def test_an_engine_cannot_make_the_terminal_obey_it(tmp_path: Path) -> None:
    hostile = "tiny\x1b]0;mine\x07\x1b[2J"
    models = {"data": [{"id": hostile, "object": "model"}], "object": "list"}
    async with FakeServer("openai", routes={"/v1/models": Route(content=models)}) as server:
        configure(tmp_path, here=at(server))
        shown = [
            await run(tmp_path, *command)
            for command in (
                ("models", "list"),
                ("models", "show", f"here/{hostile}"),
                ("models", "fit", f"here/{hostile}"),
                ("models", "unload", f"here/{hostile}"),
                ("models", "load", f"here/{hostile}"),
            )
        ]
    assert "here/tiny" in shown[0].out
    assert not [ran for ran in shown if "\x1b" in ran.out + ran.err]


async def test_a_probe_prints_what_it_found_and_remembers_it(tmp_path: Path) -> None:
    async with FakeServer("openai", able) as server:
        configure(tmp_path, here=at(server))
        ran = await run(tmp_path, "engines", "probe", f"here/{MODEL}")
        found = await run(tmp_path, "engines", "probe", "--json")
    assert (ran.status, found.status) == (0, 0)
    assert "native" in ran.out
    [result] = found.json
    assert (result["ok"], result["enforces_schema"], result["tools"]) == (True, True, "native")
    kept = json.loads((tmp_path / "home" / "data" / "measured.json").read_text())
    assert kept[f"here/{MODEL}"]["enforces_schema"] is True
    assert kept[f"here/{MODEL}"]["probed_at"] == result["at"]


async def test_a_model_that_does_not_answer_makes_the_probe_fail(tmp_path: Path) -> None:
    async with FakeServer("openai", api_key="right") as server:
        configure(tmp_path, here=at(server, api_key="wrong"))
        named = await run(tmp_path, "engines", "probe", f"here/{MODEL}")
        whole = await run(tmp_path, "engines", "probe", "here")
    assert (named.status, whole.status) == (1, 0)
    assert "unauthorized" in named.err
    assert "api_key" in whole.out


@pytest.mark.parametrize(
    ("arguments", "stdin", "is_asked"),
    [
        ((), None, False),
        (("--paid",), "n\n", False),
        (("--paid",), "", False),
        (("--paid",), "y\n", True),
    ],
)
async def test_what_costs_is_probed_only_on_request_and_after_a_yes(
    tmp_path: Path, arguments: tuple[str, ...], stdin: str | None, is_asked: bool
) -> None:
    async with FakeServer("openai", able) as server:
        configure(tmp_path, far=at(server, locality="cloud", model=MODEL))
        ran = await run(tmp_path, "engines", "probe", "far", *arguments, stdin=stdin)
        assert ran.status == 0
        assert bool(server.chats) is is_asked
        assert ("--paid" in ran.out) is not is_asked
        assert (f"far/{MODEL}" in ran.err) is bool(arguments)


async def test_a_name_that_is_nobodys_is_an_error_that_says_what_there_is(tmp_path: Path) -> None:
    async with FakeServer("openai") as server:
        configure(tmp_path, here=at(server))
        ran = await run(tmp_path, "engines", "probe", "here/tiny")
    assert (ran.status, ran.out) == (2, "")
    assert f"here/{MODEL}" in ran.err


def test_json_before_the_command_is_not_silently_dropped(tmp_path: Path) -> None:
    ran = rung("engines", "--json", "list", cwd=tmp_path)
    assert ran.status == 2
    assert "after the command" in ran.err
