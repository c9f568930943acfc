"""The three tasks of `rung demo`, one after another, on one set of engines."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec
from rich.console import Console

from rung.cli.do_task import approver
from rung.cli.downloads import pull_model
from rung.cli.progress import Progress
from rung.cli.run import run
from rung.escalation.task import Outcome, Task
from rung.escalation.task_file import load_task
from rung.facade import Rung


def run_demo(folder: Path, starter: str, *, agrees: bool) -> int:
    """0 where at least one task was verified and none failed, else 1."""
    tasks = [load_task(path) for path in sorted(folder.glob("*/task.toml"))]
    outcomes = run(_run(tasks, starter, agrees))
    counts = {status: [o.status for o in outcomes].count(status) for status in _statuses(outcomes)}
    console = Console(stderr=True, highlight=False)
    console.print(
        "\n[bold]"
        + " · ".join(f"{count} {status.replace('_', ' ')}" for status, count in counts.items())
        + "[/]"
    )
    if "needs_review" in counts:
        console.print("[dim]rung review list shows what waits for you; rung control summary,[/]")
        console.print("[dim]what was done and what it cost.[/]")
    return 0 if "verified" in counts and "failed" not in counts else 1


def _statuses(outcomes: list[Outcome]) -> list[str]:
    return list(dict.fromkeys(outcome.status for outcome in outcomes))


async def _run(tasks: list[Task], starter: str, agrees: bool) -> list[Outcome]:
    await pull_model(starter, is_quiet=False)
    outcomes: list[Outcome] = []
    async with Rung() as rung:
        # The whole ladder of this machine, so that what is beyond one model climbs to all others.
        ladder = [model.name for model in await rung.router.models() if model.tier]
        for task in (msgspec.structs.replace(task, chain=ladder) for task in tasks):
            click.secho(f"\n▶ {' '.join(task.text.split())}", bold=True, fg="cyan", err=True)
            progress = Progress(is_quiet=False)
            with progress:
                outcome = await rung.execute(
                    task, approve=approver(progress, agrees), on_event=progress.on_event
                )
            progress.show_outcome(outcome, [], offers_apply=False)
            outcomes.append(outcome)
    return outcomes
