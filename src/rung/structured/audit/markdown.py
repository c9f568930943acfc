"""A report as Markdown: a table of findings for each file, the worst first."""

from __future__ import annotations

from itertools import groupby

from rung.structured.audit.finding import SEVERITIES, Finding, Report


def as_markdown(report: Report) -> str:
    """The report as a document of its own; cells are escaped and each on one line."""
    counts = ", ".join(f"{report.count(severity)} {severity}" for severity in SEVERITIES)
    lines = [
        "# Schema audit",
        "",
        f"{report.schemas} schemas in {report.files} files, for {', '.join(report.targets)}, "
        f"{report.budget_tokens:,} tokens: {counts}.",
    ]
    for file, findings in groupby(report.findings, lambda finding: finding.file):
        lines += ["", f"## {_cell(file)}", "", "| Line | Where | Rule | Engines | Why | Fix |"]
        lines += ["|---|---|---|---|---|---|", *map(_row, sorted(findings, key=_badness))]
    return "\n".join(lines) + "\n"


def _badness(finding: Finding) -> tuple[int, int]:
    return SEVERITIES.index(finding.severity), finding.line


def _row(finding: Finding) -> str:
    rule = f"**{finding.rule}** ({finding.severity})"
    engines = ", ".join(finding.targets) or "all"
    cells = (str(finding.line), finding.path, rule, engines, finding.why, finding.fix)
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
