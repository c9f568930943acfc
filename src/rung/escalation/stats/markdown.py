"""The report as Markdown: tables only."""

from __future__ import annotations

from collections.abc import Iterable

from rung.escalation.stats.report import StatsReport
from rung.escalation.stats.sections import headline, period_text, sections

# A reader of Markdown neither formats these nor takes them for HTML.
_ESCAPES = str.maketrans(
    {mark: f"\\{mark}" for mark in "\\`*_[]"} | {mark: f"&#{ord(mark)};" for mark in "<>|&#~"}
)


def markdown(report: StatsReport) -> str:
    """A page of GitHub's Markdown."""
    lines = ["# Rung: what was done", "", _plain(period_text(report)), "", headline(report), ""]
    for section in sections(report):
        lines += [f"## {section.title}", ""]
        lines += [section.note, ""] if section.note else []
        lines.append(_row(column.rstrip(">") for column in section.columns))
        lines.append(_row("--:" if c.endswith(">") else "---" for c in section.columns))
        lines += [_row(_plain(cell) for cell in row) for row in section.rows]
        lines.append("")
    return "\n".join(lines)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(cell: str) -> str:
    return " ".join(cell.split()).translate(_ESCAPES)
