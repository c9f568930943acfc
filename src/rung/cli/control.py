"""`rung control`: what was done, and what it cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rung.ledger.reports import Summary


A_CENTURY_HOURS = 24 * 36_525


def _checked_hours(_: click.Context, __: click.Parameter, hours: float) -> float:
    if hours != hours:  # nan is in every range
        raise click.BadParameter("nan is no number of hours")
    return hours


@click.group()
def command() -> None:
    """Show what was done: calls, tasks, cost."""


@command.command()
@click.option(
    "--window-hours",
    type=click.FloatRange(min=0, min_open=True, max=A_CENTURY_HOURS),
    callback=_checked_hours,
    default=24.0,
    show_default=True,
    help="How far to look back.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def summary(window_hours: float, as_json: bool) -> None:
    """Sum up the calls, tasks and cost of the last hours."""
    from rung.cli.run import print_json, run

    found = run(_summary(window_hours))
    if as_json:
        print_json(found)
    else:
        _show(found, window_hours)


async def _summary(window_hours: float) -> Summary:
    from rung.facade import Rung

    async with Rung() as rung:
        return await rung.ledger.summary(window_hours)


def _show(found: Summary, window_hours: float) -> None:
    from rung.cli.table import number, print_table, usd

    click.secho(f"the last {window_hours:g} hours", bold=True)
    tasks = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in found.tasks.items())
    click.echo(f"tasks         {tasks or 'none'}")
    click.echo(f"saved         {usd(found.saved_usd)} by staying local")
    click.echo(f"open reviews  {found.open_reviews}")
    if not found.models:
        click.echo("calls         none")
        return
    click.echo()
    print_table(
        ["model", "calls>", "ok>", "errors", "tokens in>", "out>", "median>", "cost>"],
        [
            (
                f"{row.engine}/{row.model}",
                number(row.calls),
                number(row.ok),
                ", ".join(f"{count} {kind}" for kind, count in row.errors.items()) or "–",
                number(row.tokens_in),
                number(row.tokens_out),
                f"{number(row.median_total_ms)} ms" if row.median_total_ms else "–",
                usd(row.cost_usd, row.calls_of_unknown_cost),
            )
            for row in found.models
        ],
    )
    click.echo()
    print_table(
        ["tool", "ok>", "failed>", "last run", "status"],
        [
            (
                row.tool,
                number(row.success),
                number(row.failure),
                f"{row.last_run_at.astimezone():%Y-%m-%d %H:%M:%S}",
                row.last_status,
            )
            for row in found.pipelines
        ],
    )
