"""What an audit works on and what it gives: schemas where they stand, findings, a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from rung.structured.references import Schema

Severity = Literal["error", "warning", "info"]
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

    `targets` are the kinds of engines that it is about; empty if it is about all.
    """

    file: str
    line: int
    path: str
    rule: str
    severity: Severity
    targets: tuple[str, ...]
    why: str
    fix: str


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in `files` files with `schemas` schemas, for these `targets`."""

    files: int
    schemas: int
    targets: tuple[str, ...]
    budget_tokens: int
    findings: tuple[Finding, ...]

    def count(self, severity: Severity) -> int:
        return sum(finding.severity == severity for finding in self.findings)

    def has_at_least(self, severity: Severity) -> bool:
        """Whether there is a finding that is as bad as `severity`, or worse."""
        bad = SEVERITIES[: SEVERITIES.index(severity) + 1]
        return any(finding.severity in bad for finding in self.findings)
