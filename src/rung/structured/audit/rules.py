"""The rules, read from `rules.toml`, and how they become findings."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import cast

from rung.structured.audit.finding import Finding, Place, Scope, Severity

# Names of files and properties may have halves of characters, which no report can be written with.
_SURROGATES = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    severity: Severity
    scope: Scope
    fix: str
    relaxed: re.Pattern[str] | None


@cache
def rules() -> dict[str, Rule]:
    """All rules by name, in the order of the file."""
    text = files(__package__ or "").joinpath("rules.toml").read_text(encoding="utf-8")
    return {
        name: Rule(
            name,
            cast(Severity, row["severity"]),
            cast(Scope, row.get("scope", "rung" if "relaxed" in row else "schema")),
            row["fix"],
            re.compile(row["relaxed"]) if "relaxed" in row else None,
        )
        for name, row in tomllib.loads(text).items()
    }


def rule_of(relaxed: str) -> Rule:
    """The rule for something that the compiler relaxed; the last one takes all."""
    return next(r for r in rules().values() if r.relaxed is not None and r.relaxed.search(relaxed))


def finding(
    rule: str,
    place: Place,
    path: str,
    why: str,
    targets: tuple[str, ...] = (),
    others: int = 0,
) -> Finding:
    """A finding of the rule with this name."""
    by = rules()[rule]
    file, path, why = (_SURROGATES.sub("\ufffd", text) for text in (place.file, path, why))
    return Finding(
        file, place.line, path, rule, by.severity, by.scope, targets, why, by.fix, others
    )
