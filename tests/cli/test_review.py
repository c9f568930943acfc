"""A person decides: a task fails, waits, is edited and approved, and its files are there."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.command import RUNG, Ran, rung
from tests.fakes.server import MODEL, FakeServer
from tests.ladder import BROKEN, WRONG, project

TASK = """\
text = "Write add(a, b)."
out = ["sums.py"]
checks = ["syntax", "cmd:grep -q 'a + b' sums.py"]
type = "standard"
chain = ["small/{model}"]
at_end = "review"
"""


@pytest.fixture
async def at(tmp_path: Path):
    """Runs `rung` in a project with one task that waits for review."""
    root = project(tmp_path)
    (root / "task.toml").write_text(TASK.replace("{model}", MODEL))
    async with FakeServer("openai", [WRONG, BROKEN]) as server:
        url = server.settings(locality="local").base_url
        (tmp_path / "own.toml").write_text(
            "[embedded]\nenabled = false\n[learning]\naudit_rate = 0\n"
            f'[engines.small]\nbase_url = "{url}"\nlocality = "local"\n'
        )
        env = {"RUNG_CONFIG": str(tmp_path / "own.toml"), "RUNG_DATA_DIR": str(tmp_path / "d")}

        def run(*arguments: str, **more: str) -> Ran:
            return rung(*arguments, cwd=root, env={**env, **more})

        done = await asyncio.to_thread(run, "do", "--task", "task.toml")
        assert done.status == 3, done.err
        yield run, root


def editor(tmp_path: Path, script: str) -> str:
    """A command that edits the files it is given with sed."""
    path = tmp_path / "my editor"
    path.write_text(f"#!/bin/sh\nexec sed -i '{script}' \"$@\"\n")
    path.chmod(0o755)
    return f"'{path}'"


async def test_fail_review_edit_approve_write_label(at, tmp_path: Path) -> None:
    run, root = at
    [item] = run("review", "list", "--json").json
    assert item["outcome"]["status"] == "needs_review"
    listed = run("review", "list", "--type", "standard", "--kind", "work").out
    assert "Write add(a, b)." in listed
    assert "1 shown · 1 open" in listed
    assert "nothing matches" in run("review", "list", "--kind", "audit").out

    shown = run("review", "show", "1").out
    assert "attempt 1" in shown and "attempt 2" in shown
    assert "+    return a - b" in shown  # the first attempt's change
    assert "+def add(a, b:" in shown  # the second one's
    assert "the best answer" in shown

    wrong = run("review", "edit", "1", "--apply", EDITOR=editor(tmp_path, "s/a - b/a * b/"))
    assert wrong.status == 3
    assert "still open" in wrong.out
    assert not (root / "sums.py").exists()
    assert "a * b" in run("review", "show", "1").out

    right = run("review", "edit", "1", "--apply", EDITOR=editor(tmp_path, "s/a \\* b/a + b/"))
    assert right.status == 0, right.err
    assert "written: sums.py" in right.out
    assert (root / "sums.py").read_text() == "def add(a, b):\n    return a + b\n"
    assert run("review", "list").out.startswith("nothing waits")
    learned = run("learn", "show", "--json").json
    assert learned["labels"] == 1


async def test_deciding_in_json_reopening_and_counts(at) -> None:
    run, _ = at
    rejected = run("review", "reject", "1", "--reason", "wrong sign", "--json").json
    assert (rejected["item"]["state"], rejected["item"]["note"]) == ("rejected", "wrong sign")
    assert rejected["written"] == []
    assert "note: wrong sign" in run("review", "show", "1").out
    assert run("review", "approve", "1").status == 1
    assert run("review", "reopen", "1", "--json").json["item"]["state"] == "open"
    assert run("review", "skip", "1").out.startswith("skipped: ")
    assert "1 skipped" in run("review", "list", "--all").out


async def test_an_editor_that_fails_or_is_missing_changes_nothing(at) -> None:
    run, _ = at
    failed = run("review", "edit", "1", EDITOR="false")
    assert failed.status == 2
    assert "ended with 1" in failed.err
    assert "set VISUAL or EDITOR" in run("review", "edit", "1", EDITOR="", VISUAL="").err
    assert "cannot be run" in run("review", "edit", "1", VISUAL="/no/such/editor").err
    same = run("review", "edit", "1", EDITOR="true")
    assert same.status == 2
    assert "nothing was changed" in same.err
    assert run("review", "show", "1", "--json").json["edited"] is None


async def test_an_editor_is_given_what_is_there_and_what_it_leaves_is_no_edit(
    at, tmp_path: Path
) -> None:
    run, root = at
    (root / "sums.py").write_bytes(b"one\r\n")
    with sqlite3.connect(tmp_path / "d" / "rung.db") as db:
        [(text,)] = db.execute("select outcome from review_item").fetchall()
        outcome = json.loads(text)
        for answer in ({"answer": "text\n", "files": {}}, {"answer": "", "files": {}}):
            changed = json.dumps({**outcome, **answer})
            db.execute("update review_item set outcome = ?", [changed])
            db.commit()
            same = run("review", "edit", "1", "--force", EDITOR="true")
            assert same.status == 2, same.out
            assert "nothing was changed" in same.err
    run("review", "edit", "1", EDITOR=editor(tmp_path, "s/one/two/"))
    edited = run("review", "show", "1", "--json").json["edited"]
    assert edited["files"] == {"sums.py": "two\r\n"}
    run("review", "reject", "1")
    run("review", "reopen", "1")
    (root / "sums.py").write_bytes(b"\xff")
    assert "is not UTF-8" in run("review", "show", "1").out


async def test_hostile_text_does_not_reach_the_terminal(at, tmp_path: Path) -> None:
    run, _ = at
    with sqlite3.connect(tmp_path / "d" / "rung.db") as db:
        [(text,)] = db.execute("select outcome from review_item").fetchall()
        outcome = json.loads(text)
        outcome["answers"][0]["files"] = {"a\x1b[2J.py": "\x1b]0;owned\x07[red]x[/red]\n"}
        db.execute("update review_item set outcome = ?", [json.dumps(outcome)])
    shown = run("review", "show", "1")
    assert shown.status == 0, shown.err
    assert "\x1b" not in shown.out
    assert "[red]x[/red]" in shown.out


async def test_attempts_stand_side_by_side_where_there_is_room(at, tmp_path: Path) -> None:
    _, root = at
    env = dict(os.environ, COLUMNS="130", TERM="xterm", RUNG_DATA_DIR=str(tmp_path / "d"))
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [RUNG, "review", "show", "1"],
        cwd=root,
        env={**env, "RUNG_CONFIG": str(tmp_path / "own.toml")},
        stdout=follower,
        stderr=follower,
        stdin=follower,
    ) as process:
        os.close(follower)
        shown = b""
        while True:
            try:
                block = os.read(leader, 65536)
            except OSError:
                break
            if not block:
                break
            shown += block
        assert process.wait() == 0
    os.close(leader)
    assert any(b"attempt 1" in line and b"attempt 2" in line for line in shown.splitlines()), shown
