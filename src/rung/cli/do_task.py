"""Reading, running and showing one task for `rung do` and `rung demo`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import click

from rung.cli.progress import Progress
from rung.cli.run import print_json, run
from rung.errors import UsageError
from rung.escalation.cost import Approve, PaidRung
from rung.escalation.task import EXIT_STATUS, Outcome, Task
from rung.escalation.task_file import load_task, read_schema
from rung.facade import Rung
from rung.validation.workspace import project_root

MAX_PIPED_CHARACTERS = 4_000_000


def read_task(text: str | None, task_file: Path | None, given: dict[str, Any]) -> Task:
    """The task from the command line or from a file. Raises UsageError."""
    given = {name: value for name, value in given.items() if value not in (None, (), False)}
    if task_file is not None:
        if given:
            raise UsageError(f"--task holds the whole task; take away --{next(iter(given))}")
        return load_task(task_file)
    cwd = Path.cwd()
    root = project_root(cwd)
    schema = given.get("schema")
    return Task(
        (text or "") + piped_text(),
        checks=[_rooted_check(spec, cwd, root) for spec in given.get("checks", ())],
        files=[_rooted(path, cwd, root) for path in given.get("files", ())],
        out=[_rooted(path, cwd, root) for path in given.get("out", ())],
        schema=read_schema(schema) if schema else None,
        type=given.get("type_"),
        chain=[part.strip() for part in given["chain"].split(",")] if "chain" in given else None,
        budget_usd=given.get("budget"),
        local_only=given.get("local_only", False),
        root=root,
    )


def piped_text() -> str:
    """What was piped into the command, set apart by an empty line; empty where nothing was."""
    if sys.stdin is None or sys.stdin.isatty():
        return ""
    import select

    # A stdin that nobody writes to (cron, CI) must not hang the command.
    ready, _, _ = select.select([sys.stdin], [], [], 0)
    piped = sys.stdin.read(MAX_PIPED_CHARACTERS) if ready else ""
    return f"\n\n{piped}" if piped.strip() else ""


def _rooted(path: str, cwd: Path, root: Path) -> str:
    """A path given relative to the current folder, relative to the project's root."""
    full = Path(path) if Path(path).is_absolute() else cwd / path
    try:
        return full.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        raise UsageError(f"{path} is not inside the project {root}") from None


def _rooted_check(spec: str, cwd: Path, root: Path) -> str:
    kind, colon, argument = spec.partition(":")
    if kind in ("tests", "schema") and argument:
        path, node, test = argument.partition("::")
        return f"{kind}:{_rooted(path, cwd, root)}{node}{test}"
    return f"{kind}{colon}{argument}"


def run_task(task: Task, *, yes: bool, apply: bool, as_json: bool) -> int:
    """Run a task, show what happens, return the exit status."""
    progress = Progress(is_quiet=as_json)
    with progress:
        outcome, written = run(_execute(task, progress, yes=yes, apply=apply))
    if as_json:
        print_json(outcome)
    else:
        progress.show_outcome(outcome, written)
    return EXIT_STATUS[outcome.status]


async def _execute(
    task: Task, progress: Progress, *, yes: bool, apply: bool
) -> tuple[Outcome, list[str]]:
    async with Rung() as rung:
        outcome = await rung.execute(
            task, approve=approver(progress, yes), on_event=progress.on_event
        )
        written = await rung.apply(task, outcome) if apply and outcome.status == "verified" else []
        return outcome, written


def approver(progress: Progress, yes: bool) -> Approve | None:
    """How a paid rung is agreed to: by --yes, by asking on a terminal, else not at all."""
    if yes:

        async def agree(_: PaidRung) -> bool:
            return True

        return agree
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        return None

    async def ask(question: PaidRung) -> bool:
        text = (
            f"{question.model} is paid: at most ${question.worst_case_usd:.4f} "
            f"of ${question.budget_left_usd:.2f} left. Go on?"
        )
        with progress.paused():
            return await asyncio.to_thread(click.confirm, text, err=True)

    return ask
