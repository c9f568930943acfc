"""A sample of the benchmark of real work: the embedded model, a stand-in, hidden tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks.real_work import human_eval
from benchmarks.real_work.report import SUITES, markdown, wrongly_accepted
from benchmarks.real_work.run import bench, run
from benchmarks.real_work.tasks import repairs
from benchmarks.real_work.truth import truths

FROM_HUMAN_EVAL = ("HumanEval/0", "HumanEval/1", "HumanEval/2", "HumanEval/3")
REPAIRS = 8


async def _records(folder: Path) -> list[dict[str, Any]]:
    tasks = repairs()[:REPAIRS] + await human_eval.tasks(FROM_HUMAN_EVAL.__contains__)
    out = folder / "real.jsonl"
    with out.open("w") as lines:
        async with bench(folder, tasks, answer_tokens=48) as it:
            await run(it, tasks, lines, jobs=2)
    return [json.loads(line) for line in out.read_text().splitlines()]


@pytest.mark.timeout(900)
async def test_only_work_that_passes_its_tests_is_verified(tmp_path: Path) -> None:
    records = await _records(tmp_path)
    assert len(records) == REPAIRS + len(FROM_HUMAN_EVAL)
    assert {record["door"] for record in records} == {"rung do", "execute"}
    assert wrongly_accepted(records) == []
    attempts = [attempt for record in records for attempt in record["attempts"]]
    passed = [attempt for attempt in attempts if attempt["result"] == "passed"]
    assert all(attempt["visible"] for attempt in passed)
    right = [attempt for attempt in attempts if attempt["kind"] == "right"]
    assert right
    assert all(attempt["result"] == "passed" for attempt in right)
    # What visible tests do not show is accepted, and the report says so.
    slipped = [a for a in passed if a["kind"] == "wrong" and not a["hidden"]]
    assert slipped
    assert "a subtle mistake: no visible test shows it" in markdown(records)


@pytest.mark.timeout(600)
async def test_every_repair_is_what_it_says() -> None:
    seen = 0
    tasks = repairs()
    assert len(tasks) == SUITES["repairs"]
    for task in tasks:
        answers = [{}, task.right.files, task.wrong[0].files, task.bad.files]
        before, right, wrong, bad = await truths(task, answers)
        assert not before.visible, f"{task.name}: the bug is not visible"
        assert right.is_right, f"{task.name}: {right.why}"
        assert not wrong.is_right, f"{task.name}: the wrong patch is right"
        assert not bad.is_right, f"{task.name}: the bad patch is right"
        seen += not wrong.visible
    assert 2 * seen >= len(tasks), "at least half of the wrong patches fail a visible test"
