"""`rung stats`: what was done in a period, and how well."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rung.escalation.stats.report import StatsReport

# What a narrow terminal can do without; all of it is in the other formats.
SPARE = ("cost unknown>", "p95>", "in flight>", "saved>", "median>", "climbs per task>")


@click.command()
@click.option("--since", default="7d", show_default=True, help="7d, 36h, a date, or all.")
@click.option("--until", help="The same; by default now.")
@click.option("--app", help="Only what this application did (the setting `app`).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write one page.")
def command(
    since: str,
    until: str | None,
    app: str | None,
    as_json: bool,
    as_markdown: bool,
    html: Path | None,
) -> None:
    """Show what was done in a period, and how well.

    Task types, success by worker, costs and savings, pairs of worker and checker, verdicts and how
    often checks are wrong, calls and their speed, reviews, budgets. Shares have 95 % intervals.
    """
    from rung.cli.fail import fail
    from rung.cli.run import print_json, run
    from rung.errors import RungError, UsageError

    try:
        if as_json + as_markdown + (html is not None) > 1:
            raise UsageError("choose one of --json, --markdown and --html")
        report = run(_report(since, until, app))
        if html is not None:
            _write(html, report)
    except RungError as error:
        fail(error)
    if as_json:
        print_json(report)
    elif as_markdown:
        from rung.cli.printable import say
        from rung.escalation.stats.markdown import markdown

        say(markdown(report))
    elif html is not None:
        click.echo(f"written: {html}")
    else:
        _print(report)


async def _report(since: str, until: str | None, app: str | None) -> StatsReport:
    from rung.escalation.stats.period import period
    from rung.facade import Rung
    from rung.ledger.rows import now

    wanted = period(since, until, app, now())
    async with Rung() as rung:
        return await rung.stats(wanted)


def _write(path: Path, report: StatsReport) -> None:
    from rung.errors import UsageError
    from rung.escalation.stats.page import page

    try:
        path.write_text(page(report), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None


def _print(report: StatsReport) -> None:
    from rung.cli.printable import say
    from rung.cli.table import print_table
    from rung.escalation.stats.sections import headline, period_text, sections

    say(period_text(report))
    say(headline(report))
    for section in sections(report):
        click.echo()
        click.secho(section.title, bold=True)
        spare = [column for column in SPARE if column in section.columns]
        print_table(section.columns, section.rows, spare=spare)
