"""What an audit works on and what it gives: schemas where they stand, findings, a report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from rung.structured.references import Schema

Severity = Literal["error", "warning", "info"]
# What a finding is about.
Scope = Literal["rung", "as-is", "schema", "file"]
SCOPES: dict[Scope, str] = {
    "rung": "not enforced even in the form that Rung sends; Rung checks the answer afterwards",
    "as-is": "only if the schema is sent without Rung, which sends a form that has none of it",
    "schema": "the schema itself, whoever sends it",
    "file": "what could not be read",
}
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")  # the worst first


class Place(NamedTuple):
    """A line of a file, counted from 1."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Found:
    """A schema and where it stands. `name` is what its author calls it.

    `lines` says where its parts are, by JSON Pointer into the schema. `gaps` are the parts that
    could not be read, each with its pointer and the reason.
    """

    name: str
    place: Place
    schema: Schema
    lines: Mapping[str, Place] = field(default_factory=dict[str, Place])
    gaps: tuple[tuple[str, str], ...] = ()

    def line_of(self, pointer: str) -> Place:
        """The place of the part at `pointer`, or of the nearest part around it."""
        while pointer:
            if pointer in self.lines:
                return self.lines[pointer]
            pointer = pointer.rpartition("/")[0]
        return self.lines.get("", self.place)


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing to mend. `path` is the place in the answer, as `Model.field[].part`.

    `targets` are the kinds of engines that it is about; empty if it is about all. `others` is the
    number of other places in answers that have it, too.
    """

    file: str
    line: int
    path: str
    rule: str
    severity: Severity
    scope: Scope
    targets: tuple[str, ...]
    why: str
    fix: str
    others: int = 0

    @property
    def where(self) -> str:
        """The path, and how many more places have it."""
        return f"{self.path} (+{self.others})" if self.others else self.path


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in `files` files with `schemas` schemas, for these `targets`."""

    files: int
    schemas: int
    targets: tuple[str, ...]
    budget_tokens: int
    findings: tuple[Finding, ...]

    def engines_of(self, finding: Finding) -> str:
        """Whom the finding is about in words: "all", a few, or all but a few."""
        others = [target for target in self.targets if target not in finding.targets]
        if not finding.targets or not others:
            return "all"
        if len(others) < len(finding.targets) - 1:
            return f"all but {' '.join(others)}"
        return " ".join(finding.targets)

    def count(self, severity: Severity) -> int:
        return sum(finding.severity == severity for finding in self.findings)

    def has_at_least(self, severity: Severity) -> bool:
        """Whether there is a finding that is as bad as `severity`, or worse."""
        bad = SEVERITIES[: SEVERITIES.index(severity) + 1]
        return any(finding.severity in bad for finding in self.findings)


def narrowed(named: Sequence[str], targets: Sequence[str]) -> tuple[str, ...]:
    """The targets that a finding names: none, where it is about all that were asked for."""
    return tuple(named) if len(named) < len(targets) else ()


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """The findings in order, each once: a part that many schemas hold is one part to mend."""
    same: dict[tuple[object, ...], list[Finding]] = {}
    for found in findings:
        # Many parts stand on one line where JSON is not indented.
        part = found.path.rpartition(".")[2]
        key = (found.file, found.line, part, found.rule, found.targets, found.why)
        same.setdefault(key, []).append(found)
    return sorted(
        replace(
            min(group, key=lambda found: (len(found.path), found.path)),
            others=sum(found.others + 1 for found in group) - 1,
        )
        for group in same.values()
    )
