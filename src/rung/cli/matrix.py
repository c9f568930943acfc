"""`rung matrix`: which models a task of each type climbs on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rung.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rung.escalation.matrix_report import LadderReport, RungReport
    from rung.escalation.task import TaskType


@click.group()
def command() -> None:
    """Show who does and checks which work."""


@command.command()
@click.option(
    "--type",
    "kind",
    type=click.Choice(["quick_edit", "standard", "architecture", "critical"]),
    help="One task type only.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def show(kind: TaskType | None, as_json: bool) -> None:
    """Show each task type's ladder, checks and limits, and what is missing."""
    from rung.cli.run import print_json, run

    found = run(_reports(kind))
    if as_json:
        print_json(found)
        return
    for report in found:
        _show(report)
    _show_missing(found)


async def _reports(kind: TaskType | None) -> tuple[LadderReport, ...]:
    from rung.facade import Rung

    async with Rung() as rung:
        return await rung.ladders(kind)


def _show(report: LadderReport) -> None:
    from rung.cli.printable import say
    from rung.cli.table import number, print_table

    click.echo(f"{click.style(report.type, bold=True)}  {_limits(report)}")
    if report.rungs:
        print_table(
            ["rung>", "model", "tier", "USD in/out", "context>", "judged by", "why it is there"],
            [
                (
                    str(place),
                    rung.model,
                    rung.tier,
                    _price(rung),
                    number(rung.context_tokens),
                    rung.checker or "nobody",
                    f"A/B of {rung.entry}; {rung.why}" if "|" in rung.entry else rung.why,
                )
                for place, rung in enumerate(report.rungs, start=1)
            ],
            spare=["context>", "judged by"],
            folds=["why it is there"],
        )
    else:
        click.secho("no model here may do it", fg="yellow")
    say(f"checks  {', '.join(report.checks)}")
    say(f"judged  {_CHECKERS.get(report.checker, f'by {report.checker}')}")
    if report.missing:
        say(f"chain   {' → '.join(report.chain)}")
        say(f"lacks   {', '.join(gap.name for gap in report.missing)}")
    click.echo()


def _show_missing(found: Sequence[LadderReport]) -> None:
    """Once for all types, how to get what they lack."""
    from rung.cli.printable import say

    advice = {gap.name: gap.advice for report in found for gap in report.missing}
    if not advice:
        return
    width = max(len(name) for name in advice)
    click.secho("how to get what is lacking", bold=True)
    for name, text in advice.items():
        say(f"{name:<{width}}  {text}")


def _limits(report: LadderReport) -> str:
    tries = f"{_tries(report.attempts_per_rung)} on a rung, "
    tries += counted(report.max_attempts, "attempt")
    if report.always_review:
        return f"{tries}; always reviewed by a person"
    end = "a person reviews it" if report.at_end == "review" else "it is let go"
    return f"{tries}; if all fail, {end}"


def _tries(count: int) -> str:
    return "1 try" if count == 1 else f"{count} tries"


_CHECKERS = {
    "auto": "by rung 1 from complexity 5, by the next from 8, or if a check asks",
    "none": "only if a check asks",
    "same": "by the first rung",
    "next": "by the next rung",
}


def _price(rung: RungReport) -> str:
    if rung.usd_per_mtok_in is None or rung.usd_per_mtok_out is None:
        return "unknown"
    if rung.usd_per_mtok_in == rung.usd_per_mtok_out == 0:
        return "free"
    return f"${rung.usd_per_mtok_in:g}/${rung.usd_per_mtok_out:g}"
