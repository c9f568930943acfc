"""The report as one HTML page that needs nothing else: no scripts, no requests, light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from rung.escalation.stats.plots import plot
from rung.escalation.stats.report import StatsReport
from rung.escalation.stats.section import Section, as_html
from rung.escalation.stats.sections import headline, period_text, sections

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def page(report: StatsReport) -> str:
    """The whole document. Names of models and checks are text in it, whatever they hold."""
    style = files("rung.escalation.stats").joinpath("page.css").read_text(encoding="utf-8")
    return "\n".join(
        (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>Rung: what was done</title>\n<style>\n{style}</style>\n</head>",
            "<body>\n<main>",
            f'<h1>What was done</h1>\n<p class="period">{as_html(period_text(report))}</p>',
            f'<p class="headline">{as_html(headline(report))}</p>',
            *(_section(section) for section in sections(report)),
            "</main>\n</body>\n</html>\n",
        )
    )


def _section(section: Section) -> str:
    note = f'<p class="note">{as_html(section.note)}</p>\n' if section.note else ""
    return (
        f"<section>\n<h2>{as_html(section.title)}</h2>\n{note}{_legend(section)}{_plot(section)}\n"
        f"{_table(section)}</section>"
    )


def _plot(section: Section) -> str:
    drawn = plot(section)
    return f'<div class="wide">{drawn}</div>' if drawn else ""


def _legend(section: Section) -> str:
    if not section.bars or not section.legend:
        return ""
    square = '<rect class="{}" width="10" height="10"/>'
    mark = f'<svg viewBox="0 0 10 10" aria-hidden="true">{square}</svg>'
    entries = "".join(
        f"<li>{mark.format(tone)}{as_html(text)}</li>" for tone, text in section.legend
    )
    return f'<ul class="legend">{entries}</ul>\n'


def _table(section: Section) -> str:
    is_number = [column.endswith(">") for column in section.columns]
    head = "".join(
        f'<th scope="col"{_class(right)}>{as_html(column.rstrip(">"))}</th>'
        for column, right in zip(section.columns, is_number, strict=True)
    )
    rows = "\n".join(_row(row, is_number) for row in section.rows)
    # Focusable, so that a wide table can be scrolled by keyboard.
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{as_html(section.title)}">\n'
        f"<table>\n<caption>{as_html(section.title)}</caption>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{rows}\n</tbody>\n</table>\n</div>\n"
    )


def _row(cells: Sequence[str], is_number: Sequence[bool]) -> str:
    first = f'<th scope="row"{_class(is_number[0])}>{as_html(cells[0])}</th>'
    rest = (
        f"<td{_class(right)}>{as_html(cell)}</td>"
        for cell, right in zip(cells[1:], is_number[1:], strict=True)
    )
    return f"<tr>{first}{''.join(rest)}</tr>"


def _class(is_number: bool) -> str:
    return ' class="number"' if is_number else ""
