"""`rung ask --schema`: the object whole, growing, or refused."""

from __future__ import annotations

import asyncio
import json
import os
import pty
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_engines import at, configure, run
from tests.command import RUNG
from tests.fakes.server import MODEL, FakeServer, answer

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
ADA = {"name": "Ada Lovelace", "age": 36}
ASK = ("ask", "Who?", "--model", f"here/{MODEL}", "--schema", "person.json")


def prepare(folder: Path, server: FakeServer) -> None:
    configure(folder, here=at(server))
    (folder / "person.json").write_text(json.dumps(SCHEMA))


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("more", [(), ("--json",)])
async def test_a_pipe_gets_each_view_as_a_line_and_the_completion_last(
    tmp_path: Path, more: tuple[str, ...]
) -> None:
    async with FakeServer("openai", [json.dumps(ADA, indent=1)]) as server:
        prepare(tmp_path, server)
        ran = await run(tmp_path, *ASK, "--stream", *more)
    *views, last = lines(ran.out)
    assert ran.status == 0
    assert views
    assert all(view.keys() == {"partial"} for view in views)
    assert all(ADA["name"].startswith(view["partial"].get("name", "")) for view in views)
    assert last["completion"]["parsed"] == ADA


async def test_without_stream_there_is_one_document(tmp_path: Path) -> None:
    async with FakeServer("openai", [json.dumps(ADA)]) as server:
        prepare(tmp_path, server)
        ran = await run(tmp_path, *ASK)
    assert ran.json == ADA


async def test_a_repair_is_seen_as_a_new_beginning_and_said(tmp_path: Path) -> None:
    async with FakeServer("openai", ['{"name": "Ada", "age": "old"}', json.dumps(ADA)]) as server:
        prepare(tmp_path, server)
        ran = await run(tmp_path, *ASK, "--stream")
    last = lines(ran.out)[-1]["completion"]
    assert (last["parsed"], last["repairs"]) == (ADA, ["repair_turn"])


async def test_an_answer_that_had_to_be_shorter_says_what_would_bring_all_of_it(
    tmp_path: Path,
) -> None:
    cut = answer('{"name": "Ada Love', finish_reason="length")
    async with FakeServer("openai", [cut, json.dumps(ADA)]) as server:
        prepare(tmp_path, server)
        ran = await run(tmp_path, *ASK)
    assert ran.json == ADA
    assert "raise --max-tokens" in ran.err
    assert "asked_shorter" in ran.err


async def test_what_is_thought_and_each_step_are_lines_of_their_own(tmp_path: Path) -> None:
    wrong = answer('{"name": "Ada", "age": "old"}', reasoning="hm")
    async with FakeServer("openai", [wrong, json.dumps(ADA)]) as server:
        prepare(tmp_path, server)
        ran = await run(tmp_path, *ASK, "--stream")
    said = lines(ran.out)
    assert {"reasoning": "hm"} in said
    assert {"step": "repair_turn"} in said


async def test_text_is_streamed_as_lines_where_json_is_asked_for(tmp_path: Path) -> None:
    async with FakeServer("openai", ["one two three"]) as server:
        prepare(tmp_path, server)
        ran = await run(tmp_path, "ask", "x", "--model", f"here/{MODEL}", "--stream", "--json")
    *pieces, last = lines(ran.out)
    assert "".join(piece["text"] for piece in pieces) == "one two three"
    assert last["completion"]["text"] == "one two three"


async def test_a_refusal_ends_with_the_models_reason(tmp_path: Path) -> None:
    refusal = '{"cannot_answer": {"reason": "nobody knows"}}'
    async with FakeServer("openai", [refusal]) as server:
        prepare(tmp_path, server)
        ran = await run(tmp_path, *ASK, "--may-refuse")
    assert (ran.status, ran.out) == (1, "")
    assert "refused" in ran.err
    assert "nobody knows" in ran.err


async def test_to_refuse_takes_a_schema(tmp_path: Path) -> None:
    ran = await run(tmp_path, "ask", "x", "--may-refuse")
    assert ran.status == 2
    assert "schema" in ran.err


async def test_on_a_terminal_the_object_grows_in_place_and_stays_once(tmp_path: Path) -> None:
    async with FakeServer("openai", [json.dumps(ADA)]) as server:
        prepare(tmp_path, server)
        seen = await asyncio.to_thread(on_a_terminal, tmp_path, *ASK, "--stream")
    assert "\x1b[2K" in seen  # what was drawn is wiped
    after = seen.rpartition("\x1b[2K")[2]
    document = after[after.index("{") : after.rindex("}") + 1]
    assert json.loads(document) == ADA


def on_a_terminal(folder: Path, *arguments: str) -> str:
    """What the command writes to a terminal of its own."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execve(RUNG, [RUNG, *arguments], {**os.environ, "TERM": "xterm"})
    seen = b""
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # Linux says so when the other end is gone
            break
        if not piece:
            break
        seen += piece
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, seen.decode()
    return seen.decode()
