"""`rung shadow`: another model does accepted work again; it is compared, never served."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rung.ledger.rows import AuditRow


@click.group()
def command() -> None:
    """Let another model do accepted work again, and compare.

    learning.shadow_model and learning.shadow_rate do it to a share of all accepted work.
    """


@command.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def list_(limit: int, as_json: bool) -> None:
    """List comparisons, newest first, and how often the two agreed."""
    from rung.cli.run import print_json, run

    rows = run(_list(limit))
    if as_json:
        print_json(rows)
    else:
        _print(rows)


@command.command("run")
@click.argument("task_file", type=click.Path(path_type=Path))
@click.option("--model", required=True, help="Who does it again: engine/model.")
@click.pass_context
def run_(ctx: click.Context, task_file: Path, model: str) -> None:
    """Do the task of a file by its ladder, then by MODEL, and compare.

    What was done before cannot be shadowed later: its files are not kept. Exits with 1 where there
    was nothing to compare.
    """
    from rung.cli.run import run

    row = run(_run(task_file, model))
    _print([row])
    if row.details["agrees"] is None:
        ctx.exit(1)


async def _list(limit: int) -> list[AuditRow]:
    from rung.facade import Rung
    from rung.ledger.rows import SHADOW

    async with Rung() as rung:
        return await rung.ledger.audit(limit, SHADOW)


async def _run(task_file: Path, model: str) -> AuditRow:
    from rung.escalation.task_file import load_task
    from rung.facade import Rung

    task = load_task(task_file)
    async with Rung() as rung:
        if model not in rung.router.tiers:
            await rung.router.rung(model, task.local_only)  # before anything is paid
        return await rung.afterwards.shadow(task, await rung.execute(task), model)


def _print(rows: list[AuditRow]) -> None:
    from rung.cli.table import print_table, usd

    if not rows:
        click.echo("nothing was shadowed; set learning.shadow_model and learning.shadow_rate")
        return
    known = [row.details["agrees"] for row in rows if row.details.get("agrees") is not None]
    print_table(
        ["when", "task", "accepted", "shadow", "its checks", "agrees", "cost>"],
        [
            (
                f"{row.at.astimezone():%Y-%m-%d %H:%M}",
                row.task_id or "",
                str(row.details.get("worker")),
                str(row.details.get("model")),
                str(row.details.get("status")),
                {True: "yes", False: "no", None: "–"}[row.details.get("agrees")],
                usd(row.details.get("cost_usd")),
            )
            for row in rows
        ],
        spare=["when", "task"],
    )
    if known:
        click.echo(f"the same answer in {sum(known)} of {len(known)} that passed the checks")
    else:
        click.echo(str(rows[0].details.get("error") or ""))
