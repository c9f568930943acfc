"""Real work through Rung: repair tasks and HumanEval, up a ladder of two engines, held against
hidden tests.

    python -m benchmarks.real_work --out /tmp/real.jsonl --report docs/real-work.md

The first rung is the embedded SmolLM2-135M, the second a server that answers right, subtly wrong
or badly by a plan (`stand_in.py`). A run that was stopped goes on where it was, given the same
`--out`. HumanEval comes from the package of that name, through pip; all else works offline.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.real_work import human_eval
from benchmarks.real_work.report import markdown, wrongly_accepted
from benchmarks.real_work.run import bench, run
from benchmarks.real_work.tasks import WorkTask, repairs


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="JSON lines, one for each task; kept and added to")
    parser.add_argument("--report", type=Path, help="write the report here")
    parser.add_argument("--suite", choices=["all", "repairs", "HumanEval"], default="all")
    parser.add_argument("--only", help="tasks whose names contain this")
    parser.add_argument("--jobs", type=int, default=2, help="tasks at the same time")
    parser.add_argument("--answer-tokens", type=int, default=160, help="of the embedded model")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rung-real-work-") as folder:
        out = given.out or Path(folder) / "real.jsonl"
        asyncio.run(_run(given, Path(folder), out))
        records = _read(out)
    text = markdown(records)
    if given.report:
        given.report.write_text(text, encoding="utf-8")
    else:
        print(text)
    return 1 if wrongly_accepted(records) else 0


async def _run(given: argparse.Namespace, folder: Path, out: Path) -> None:
    known = {record["name"] for record in _read(out)}

    def is_wanted(name: str) -> bool:
        return name not in known and (not given.only or given.only in name)

    tasks: list[WorkTask] = []
    if given.suite != "HumanEval":
        tasks += [task for task in repairs() if is_wanted(task.name)]
    if given.suite != "repairs":
        tasks += await human_eval.tasks(is_wanted)
    print(f"{len(tasks)} tasks to do, {len(known)} done before", file=sys.stderr)
    with out.open("a", encoding="utf-8") as lines:
        async with bench(folder, tasks, answer_tokens=given.answer_tokens) as it:
            await run(it, tasks, lines, given.jobs)


def _read(out: Path) -> list[dict[str, Any]]:
    if not out.exists():
        return []
    lines = out.read_text(encoding="utf-8").splitlines()
    return sorted((json.loads(line) for line in lines), key=_order)


def _order(record: dict[str, Any]) -> tuple[str, int, str]:
    number = record["name"].rpartition("/")[2]
    return record["suite"], int(number) if number.isdigit() else 0, record["name"]


if __name__ == "__main__":
    sys.exit(main())
