"""A report as Markdown: a table of findings for each file, the worst first."""

from __future__ import annotations

from itertools import groupby

from rung.structured.audit.finding import SCOPES, SEVERITIES, Finding, Report
from rung.wording import counted


def as_markdown(report: Report) -> str:
    """The report as a document of its own; cells are escaped and each on one line."""
    counts = ", ".join(f"{report.count(severity)} {severity}" for severity in SEVERITIES)
    lines = [
        "# Schema audit",
        "",
        f"{counted(report.schemas, 'schema')} in {counted(report.files, 'file')}, "
        f"for {', '.join(report.targets)}, {report.budget_tokens:,} tokens: {counts}.",
        "",
        *(f"- **{scope}**: {meaning}." for scope, meaning in SCOPES.items()),
    ]
    for file, findings in groupby(report.findings, lambda finding: finding.file):
        lines += [
            "",
            f"## {_cell(file)}",
            "",
            "| Line | Where | Rule | Scope | Engines | Why | Fix |",
        ]
        lines += [
            "|---|---|---|---|---|---|---|",
            *(_row(report, f) for f in sorted(findings, key=_badness)),
        ]
    return "\n".join(lines) + "\n"


def _badness(finding: Finding) -> tuple[int, int]:
    return SEVERITIES.index(finding.severity), finding.line


def _row(report: Report, finding: Finding) -> str:
    cells = (
        str(finding.line),
        finding.where,
        f"**{finding.rule}** ({finding.severity})",
        finding.scope,
        report.engines_of(finding),
        finding.why,
        finding.fix,
    )
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
