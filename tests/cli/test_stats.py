"""`rung stats` on real ledgers: empty, off, and after work was done."""

from __future__ import annotations

from pathlib import Path

import pytest

from rung.escalation.task import Task
from tests.command import rung
from tests.ladder import BIG, SMALL, WRONG, ladder, project


def test_an_empty_ledger_and_none_at_all_say_so(tmp_path: Path) -> None:
    assert "nothing is on record" in rung("stats", cwd=tmp_path).out
    found = rung("stats", "--json", cwd=tmp_path).json
    assert (found["tasks"], found["types"], found["is_on"]) == (0, [], True)
    off = rung("stats", cwd=tmp_path, env={"RUNG_DATABASE_URL": "off"})
    assert off.status == 0
    assert "the ledger is off" in off.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--since", "soon"], "is no time"),
        (["--json", "--markdown"], "choose one"),
        (["--html", "no/such/folder/x.html"], "cannot be written"),
    ],
)
def test_a_wrong_option_is_a_usage_error(arguments, message: str, tmp_path: Path) -> None:
    ran = rung("stats", *arguments, cwd=tmp_path)
    assert ran.status == 2
    assert message in ran.err


async def test_work_that_was_done_is_counted_in_every_format(tmp_path: Path) -> None:
    task = Task(
        "Write add(a, b).",
        checks=["cmd:grep -q 'a + b' sums.py"],
        out=["sums.py"],
        chain=[SMALL, BIG],
        type="standard",
        root=project(tmp_path),
    )
    async with ladder(tmp_path, small=[WRONG], app="editor") as it:
        outcome = await it.rung.execute(task)
        assert (outcome.status, outcome.engine) == ("verified", "big")
    env = {"RUNG_DATA_DIR": str(tmp_path / "data")}
    found = rung("stats", "--json", cwd=tmp_path, env=env).json
    [kind] = found["types"]
    assert (kind["task_type"], kind["tasks"], kind["verified"]) == ("standard", 1, 1)
    assert (kind["attempts_per_task"], kind["climbs_per_task"]) == (3.0, 1.0)
    workers = {item["worker"]: (item["passed"], item["failed"]) for item in found["workers"]}
    assert workers == {SMALL: (0, 2), BIG: (1, 0)}
    assert found["checks"] == [
        {"check": "cmd", "passed": 1, "failed": 2, "unavailable": 0, "errors": 0}
    ]
    assert {item["engine"]: item["calls"] for item in found["calls"]} == {"small": 2, "big": 1}
    assert found["attempts_per_task"] == {"3": 1}

    text = rung("stats", "--app", "editor", cwd=tmp_path, env=env).out
    assert "1 task, 100 %" in text
    assert rung("stats", "--app", "other", "--json", cwd=tmp_path, env=env).json["tasks"] == 0
    assert "| standard | 1 |" in rung("stats", "--markdown", cwd=tmp_path, env=env).out
    written = rung("stats", "--html", "page.html", cwd=tmp_path, env=env)
    assert written.out == "written: page.html\n"
    assert "Success by worker" in (tmp_path / "page.html").read_text()
