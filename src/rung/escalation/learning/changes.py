"""Suggestions as changes of settings: applied, and undone exactly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rung.config.settings import MatrixRow, Settings
from rung.escalation.matrix import default_matrix
from rung.escalation.task import TASK_TYPES
from rung.ledger.rows import SuggestionRow


def with_changes(settings: Settings, applied: Sequence[SuggestionRow]) -> Settings:
    """The settings with every applied suggestion, in the order they were applied.

    Nothing is written anywhere: without a suggestion the settings are what they were. One that was
    made of another value than the settings have now rests: the user has decided otherwise since.
    """
    for row in applied:
        if is_fitting(settings, row):
            settings = _changed(settings, row.subject, row.after.get("value"))
    return settings


def is_fitting(settings: Settings, row: SuggestionRow) -> bool:
    """Whether the settings still have the value that the suggestion would change."""
    now = value_now(settings, row.subject)
    return now is not None and now == row.before.get("value")


def value_now(settings: Settings, subject: str) -> Any:
    """What the settings say of a suggestion's subject; `None` for one of a newer Rung."""
    match subject.split("."):
        case ["matrix", name, ("chain" | "checker") as part] if name in TASK_TYPES:
            own = getattr(settings.matrix.get(name, MatrixRow()), part)
            value = own or getattr(default_matrix()[name], part)
            return list(value) if part == "chain" else value
        case ["learning", "complexity", name]:
            return settings.learning.complexity.get(name, 0.0)
        case ["escalation", "checker_confidence"]:
            return settings.escalation.checker_confidence
        case _:
            return None


def _changed(settings: Settings, subject: str, value: Any) -> Settings:
    section, name, *rest = subject.split(".")
    if section == "matrix" and rest in (["chain"], ["checker"]):
        row = settings.matrix.get(name, MatrixRow())
        given = tuple(value) if rest == ["chain"] else value
        changed = row.replaced(**{rest[0]: given})
        return settings.replaced(matrix={**settings.matrix, name: changed})
    if section == "learning" and name == "complexity" and rest:
        learning = settings.learning
        complexity = {**learning.complexity, rest[0]: float(value)}
        return settings.replaced(learning=learning.replaced(complexity=complexity))
    if (section, name) == ("escalation", "checker_confidence"):
        escalation = settings.escalation.replaced(checker_confidence=float(value))
        return settings.replaced(escalation=escalation)
    return settings  # of a newer Rung
