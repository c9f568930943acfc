"""`rung budget`: what was spent today and this month, and what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rung.escalation.money.budget_report import BudgetLine, BudgetReport

# The share of a limit that is left when it is time to say so.
_LOW = 0.25
_STYLES = {"used up": "red", "low": "yellow", "ok": "", "no limit": "dim"}


@click.command()
@click.option("--all", "show_all", is_flag=True, help="Also what has no limit, by type and app.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(show_all: bool, as_json: bool) -> None:
    """Show what was spent today and this month, and what is left of the limits.

    Limits stand in rung.toml under [budget]; without any, this shows what was used. `in flight` is
    the worst case of paid calls that are under way, in all processes.
    """
    from rung.cli.run import print_json, run

    report = run(_report())
    if as_json:
        print_json(report)
    else:
        _show(report, show_all=show_all)


async def _report() -> BudgetReport:
    from rung.facade import Rung

    async with Rung() as rung:
        return await rung.budget()


def _show(report: BudgetReport, *, show_all: bool) -> None:
    from rung.cli.table import print_table

    lines = [line for line in report.lines if show_all or line.limit is not None or not line.part]
    print_table(
        ["budget", "for", "limit>", "used>", "in flight>", "left>", "", "begins anew"],
        [
            (
                f"{line.period}, {'USD' if line.unit == 'usd' else line.unit}",
                line.part.replace(":", " ", 1) or "everything",
                _amount(line.limit, line),
                _amount(line.used, line),
                _amount(line.reserved, line) if line.unit == "usd" else "–",
                _amount(line.left, line),
                _state(line),
                f"{line.resets_at:%Y-%m-%d %H:%M}",
            )
            for line in lines
        ],
        spare=["begins anew", "in flight>"],
        styles=[_STYLES[_state(line)] for line in lines],
    )
    if not any(line.limit is not None for line in report.lines):
        click.echo("\nno limits; set some in rung.toml, for example: [budget] day_usd = 5.0")
    if not report.is_shared:
        click.echo("\nthe ledger is off: budgets are those of one process each, and begin with it")


def _state(line: BudgetLine) -> str:
    if line.limit is None or line.left is None:
        return "no limit"
    if line.left <= 0:
        return "used up"
    return "low" if line.left <= _LOW * line.limit else "ok"


def _amount(value: float | None, line: BudgetLine) -> str:
    if value is None:
        return "–"
    return f"${value:,.4f}" if line.unit == "usd" else f"{value:,.0f}"
