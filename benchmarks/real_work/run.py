"""Runs the tasks: through `Rung.execute`, and some of them through `rung do` in a process."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import msgspec
from tests.fakes.server import MODEL, FakeServer
from tests.starter import STARTER, starter_models_dir

from benchmarks.real_work.stand_in import StandIn, planned
from benchmarks.real_work.tasks import Answer, WorkTask
from benchmarks.real_work.truth import Truth, truths
from rung import Rung
from rung.config.load import load
from rung.errors import UsageError
from rung.escalation.answer import UnusableAnswer, apply_edits, file_content
from rung.escalation.task import Outcome
from rung.escalation.task_file import load_task
from rung.ledger.rows import CallRow

RUNG = Path(sys.executable).with_name("rung")
CHAIN = (f"embedded/{STARTER}", f"stand-in/{MODEL}")
USD_PER_MTOK_IN, USD_PER_MTOK_OUT = 0.80, 4.00
SEED = 7
BY_COMMAND_EVERY = 17
# Everything else is Rung's default. What would depend on earlier runs is off.
CONFIG = """discover = false
data_dir = "{data}"
models_dir = "{models}"

[embedded]
threads = 2

[engines.stand-in]
kind = "openai"
base_url = "{base_url}"
locality = "cloud"

[models."{model}"]
tier = "haiku"
usd_per_mtok_in = {usd_in}
usd_per_mtok_out = {usd_out}

[ledger]
store_content = "full"

[escalation]
paid = "allow"
max_answer_tokens = {answer_tokens}

[learning]
mode = "off"
audit_rate = 0.0
"""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One run: where it works, and what the stand-in says."""

    folder: Path
    rung: Rung
    plan: Mapping[str, tuple[Answer, Answer]]
    # One at a time: each starts an embedded engine of its own.
    commands: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))


@asynccontextmanager
async def bench(
    folder: Path, tasks: Sequence[WorkTask], *, answer_tokens: int
) -> AsyncIterator[Bench]:
    """The ladder of the embedded model and the stand-in, both real engines to Rung.

    For as long as it lasts RUNG_CONFIG names its settings, here and for `rung do`.
    """
    plan = planned(tasks)
    models = starter_models_dir()
    async with FakeServer("openai", StandIn(tasks, plan)) as server:
        config = CONFIG.format(
            data=folder / "data",
            models=models,
            base_url=server.base_url,
            model=CHAIN[1],
            usd_in=USD_PER_MTOK_IN,
            usd_out=USD_PER_MTOK_OUT,
            answer_tokens=answer_tokens,
        )
        path = folder / "rung.toml"
        path.write_text(config, encoding="utf-8")
        os.environ["RUNG_CONFIG"] = str(path)
        try:
            async with Rung(load().settings) as rung:
                yield Bench(folder=folder, rung=rung, plan=plan)
        finally:
            del os.environ["RUNG_CONFIG"]


async def run(it: Bench, tasks: Sequence[WorkTask], out: TextIO, jobs: int) -> None:
    """Do the tasks, `jobs` at a time; each adds its line of JSON to `out` when it is done."""
    slots = asyncio.Semaphore(jobs)

    async def one(task: WorkTask) -> None:
        async with slots:
            record = await done(it, task)
        print(json.dumps(record), file=out, flush=True)
        print(f"{task.name}: {record['status']} in {record['seconds']:.1f} s", file=sys.stderr)

    await asyncio.gather(*map(one, tasks))


async def done(it: Bench, task: WorkTask) -> dict[str, Any]:
    """One task, done and held against the truth."""
    path = laid_out(it.folder / "projects" / task.name, task)
    started = time.monotonic()
    if _is_by_command(task):
        async with it.commands:
            started = time.monotonic()
            outcome = await _by_command(path)
    else:
        outcome = await it.rung.execute(load_task(path))
    seconds = time.monotonic() - started
    await it.rung.ledger.flush()
    calls = [call for call in await it.rung.ledger.calls(500) if call.task_id == outcome.task_id]
    return await _record(it, task, outcome, calls, seconds)


def _is_by_command(task: WorkTask) -> bool:
    return task.number % BY_COMMAND_EVERY == 0


def laid_out(root: Path, task: WorkTask) -> Path:
    """Write the project and its task file; returns the task file's path."""
    for name, text in task.project.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    fields: dict[str, Any] = {"text": task.text, "type": "standard", "chain": list(CHAIN)}
    fields |= {"files": list(task.given), "out": list(task.out), "at_end": "skip", "seed": SEED}
    # JSON's strings, numbers and lists are TOML's too.
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in fields.items()]
    path = root / "task.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


async def _by_command(path: Path) -> Outcome:
    process = await asyncio.create_subprocess_exec(
        *(str(RUNG), "do", "--task", str(path), "--json"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    try:
        return msgspec.json.decode(out, type=Outcome)
    except msgspec.DecodeError:
        raise RuntimeError(f"rung do --task {path}: {err.decode()[-2000:]}") from None


async def _record(
    it: Bench, task: WorkTask, outcome: Outcome, calls: Sequence[CallRow], seconds: float
) -> dict[str, Any]:
    answers = it.plan[task.name]
    attempts: list[dict[str, Any]] = []
    found: list[Mapping[str, str] | None] = [outcome.files or None]
    for attempt in outcome.attempts:
        mine = [call for call in calls if call.attempt == attempt.n]
        planned = answers[attempt.try_on_rung - 1] if attempt.engine == "stand-in" else None
        found.append(planned.files if planned else _files_of(task, mine))
        attempts.append(
            {
                **msgspec.to_builtins(attempt),
                "kind": planned.kind if planned else "model",
                "what": planned.what if planned else "",
                "model_s": sum(call.total_ms or 0.0 for call in mine) / 1000,
            }
        )
    true = await truths(task, found)
    for attempt, truth, files in zip(attempts, true[1:], found[1:], strict=True):
        attempt |= _truth(truth, has_files=files is not None)
    return {
        "name": task.name,
        "suite": task.suite,
        "topic": task.topic,
        "door": "rung do" if _is_by_command(task) else "execute",
        "plan": [answer.kind for answer in answers],
        "status": outcome.status,
        "reason": outcome.reason,
        "engine": outcome.engine,
        "cost_usd": outcome.cost_usd,
        "task_s": outcome.seconds,
        "seconds": seconds,
        **_truth(true[0], has_files=bool(outcome.files)),
        "attempts": attempts,
    }


def _truth(truth: Truth, *, has_files: bool) -> dict[str, Any]:
    return {
        "is_usable": has_files,
        "visible": truth.visible,
        "hidden": truth.hidden,
        "why": truth.why,
    }


def _files_of(task: WorkTask, calls: Sequence[CallRow]) -> dict[str, str] | None:
    """What the model's answer, as the ledger has it, makes of the project; `None`: nothing."""
    newest = max(calls, key=lambda call: call.id or 0, default=None)
    if newest is None:
        return None
    text = newest.result_json["response"]["text"]
    try:
        if task.out:
            return {task.out[0]: file_content(text.strip(), task.out[0])}
        base = {path: task.project[path] for path in task.given}
        return apply_edits(json.loads(text)["edits"], base) or None
    except (UnusableAnswer, UsageError, ValueError, KeyError, TypeError):
        return None
