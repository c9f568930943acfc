"""Suggestions as changes of settings: applied, and undone exactly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rung.config.settings import MatrixRow, Settings
from rung.ledger.rows import SuggestionRow


def with_changes(settings: Settings, applied: Sequence[SuggestionRow]) -> Settings:
    """The settings with every applied suggestion, in the order they were applied.

    Nothing is written anywhere: without a suggestion the settings are what they were.
    """
    for row in applied:
        settings = _changed(settings, row.subject, row.after.get("value"))
    return settings


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
