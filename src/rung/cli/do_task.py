"""Reading, running and showing one task for `rung do` and `rung demo`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec

from rung.cli.confirm import confirm
from rung.cli.fail import show_error
from rung.cli.piped import piped_text
from rung.cli.printable import printable
from rung.cli.progress import Progress
from rung.cli.run import print_json, run
from rung.errors import RungError, UsageError
from rung.escalation.money.cost import Approve, PaidRung
from rung.escalation.task import EXIT_STATUS, Outcome, Task
from rung.escalation.task_file import load_task, read_schema
from rung.facade import Rung
from rung.validation.workspace import project_root

# Parameters that are not named as their options are.
_OPTIONS = {"files": "--file", "checks": "--check", "type_": "--type"}


def read_task(text: str | None, task_file: Path | None, given: dict[str, Any]) -> Task:
    """The task from the command line or from a file. Raises UsageError."""
    # A budget of 0.0 was given, though it equals False.
    given = {
        name: value
        for name, value in given.items()
        if value is not None and value is not False and value != ()
    }
    if task_file is not None:
        if given:
            name = next(iter(given))
            option = _OPTIONS.get(name, f"--{name.replace('_', '-')}")
            raise UsageError(f"--task holds the whole task; take away {option}")
        return load_task(task_file)
    cwd = Path.cwd()
    root = project_root(cwd)
    schema = given.get("schema")
    task = Task(
        text or "",
        checks=[_rooted_check(spec, cwd, root) for spec in given.get("checks", ())],
        files=[rooted(path, cwd, root) for path in given.get("files", ())],
        out=[rooted(path, cwd, root) for path in given.get("out", ())],
        schema=read_schema(schema) if schema else None,
        type=given.get("type_"),
        chain=[part.strip() for part in given["chain"].split(",")] if "chain" in given else None,
        budget_usd=given.get("budget"),
        local_only=given.get("local_only", False),
        at_end=given.get("at_end"),
        seed=given.get("seed"),
        root=root,
    )
    # Last: whatever is wrong with the options is said without waiting for a pipe.
    return msgspec.structs.replace(task, text=task.text + piped_text())


def rooted(path: str, cwd: Path, root: Path) -> str:
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
        return f"{kind}:{rooted(path, cwd, root)}{node}{test}"
    return f"{kind}{colon}{argument}"


def run_task(task: Task, *, yes: bool, apply: bool, as_json: bool) -> int:
    """Run a task, show what happens, return the exit status."""
    progress = Progress(is_quiet=as_json)
    outcome, written, apply_error = run(_execute(task, progress, yes=yes, apply=apply))
    if as_json:
        print_json(outcome)
    else:
        progress.show_outcome(outcome, written, offers_apply=not apply)
    if apply_error is not None:
        show_error(str(apply_error))
        return 1
    return EXIT_STATUS[outcome.status]


async def _execute(
    task: Task, progress: Progress, *, yes: bool, apply: bool
) -> tuple[Outcome, list[str], RungError | None]:
    async with Rung() as rung:
        with progress:
            outcome = await rung.execute(
                task, approve=approver(progress, yes), on_event=progress.on_event
            )
        if not apply or outcome.status != "verified":
            return outcome, [], None
        try:
            return outcome, await rung.apply(task, outcome), None
        except RungError as error:
            # The outcome may have been paid for: it is shown before the error.
            return outcome, [], error


def approver(progress: Progress, yes: bool) -> Approve | None:
    """How a paid rung is agreed to: by --yes, by asking on a terminal, else not at all."""
    if yes:

        async def agree(_: PaidRung) -> bool:
            return True

        return agree
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        return None

    async def ask(question: PaidRung) -> bool:
        text = printable(
            f"{question.model} is paid: at most ${question.worst_case_usd:.4f} "
            f"of ${question.budget_left_usd:.2f} left. Go on?"
        )
        with progress.paused():
            return await confirm(text)

    return ask
