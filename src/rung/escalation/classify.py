"""Task type by policy rules: what a request touches, not how hard it sounds.

Effort cannot be read from a text (measured at 0.50 to 0.63 whatever the encoder), so complexity
here is a coarse hint with its reasons; the outcomes of attempts are the real sensor.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from rung.escalation.task import TASK_TYPES, Classification, TaskType

BASE_COMPLEXITY: dict[TaskType, float] = {
    "quick_edit": 1.0,
    "standard": 4.0,
    "architecture": 7.0,
    "critical": 9.0,
}
BAND: dict[TaskType, tuple[float, float]] = {
    "quick_edit": (0.0, 2.9),
    "standard": (3.0, 5.9),
    "architecture": (6.0, 8.9),
    "critical": (9.0, 10.0),
}
MAX_TEXT = 20_000


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One policy rule; it holds where its pattern matches the request or a path."""

    type: TaskType
    reason: str
    text: re.Pattern[str]
    path: re.Pattern[str] | None

    def match(self, text: str, paths: Sequence[str]) -> str | None:
        found = self.text.search(text)
        if found:
            return f"{self.reason} ({found.group(0).strip()!r})"
        path = next((p for p in paths if self.path and self.path.search(p)), None)
        return f"{self.reason} ({path})" if path else None


@cache
def rules() -> tuple[Rule, ...]:
    """The packaged rules, most severe type first."""
    table = tomllib.loads(
        resources.files("rung.escalation").joinpath("rules.toml").read_text(encoding="utf-8")
    )
    return tuple(
        Rule(
            type=row["type"],
            reason=row["reason"],
            text=re.compile(row["text"], re.IGNORECASE),
            path=re.compile(row["path"], re.IGNORECASE) if "path" in row else None,
        )
        for row in table["rule"]
    )


def classify(text: str, paths: Sequence[str] = ()) -> Classification:
    """The type whose rules match, most severe first; `standard` where none does.

    A quick edit of more than three files, or of more than 600 characters of request, is not one.
    """
    sample = text[:MAX_TEXT]
    matches = [(rule.type, reason) for rule in rules() if (reason := rule.match(sample, paths))]
    by_type = {kind: tuple(r for t, r in matches if t == kind) for kind in TASK_TYPES}
    is_small = len(text) <= 600 and len(paths) <= 3
    if by_type["critical"]:
        kind, reasons = "critical", by_type["critical"]
    elif by_type["architecture"]:
        kind, reasons = "architecture", by_type["architecture"]
    elif by_type["quick_edit"] and is_small:
        kind, reasons = "quick_edit", by_type["quick_edit"]
    else:
        kind, reasons = "standard", ("no rule says otherwise",)
    return Classification(
        type=kind, complexity=complexity_of(kind, text, len(paths)), reasons=reasons
    )


def complexity_of(kind: TaskType, text: str, files: int) -> float:
    """0 to 10: the type's base, plus a little for a long request and for many files."""
    low, high = BAND[kind]
    raw = BASE_COMPLEXITY[kind] + min(1.0, len(text) / 2000) + min(1.0, max(0, files - 1) * 0.25)
    return round(min(high, max(low, raw)), 1)
