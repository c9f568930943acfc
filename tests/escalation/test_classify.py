"""Task types by policy rules."""

from __future__ import annotations

import pytest

from rung.escalation.classify import classify


@pytest.mark.parametrize(
    ("text", "paths", "kind"),
    [
        ("Fix the typo in the README", [], "quick_edit"),
        ("Rename `foo` to `bar` in a.py", ["a.py"], "quick_edit"),
        ("Add a docstring to parse()", [], "quick_edit"),
        ("Extract the name and the age: Ada is 36", [], "quick_edit"),
        ("Write a function that merges two sorted lists, with tests", [], "standard"),
        ("The parser fails on empty input; fix the bug", [], "standard"),
        ("Design a plugin system for exporters", [], "architecture"),
        ("Split the monolith into services", [], "architecture"),
        ("Add a login rate limit", [], "critical"),
        ("Encrypt the backups before upload", [], "critical"),
        ("Fix the SQL injection in search", [], "critical"),
        ("Write a migration that drops the users table", [], "critical"),
        ("Change the retry delay", ["src/billing/retry.py"], "critical"),
        ("Tidy this up", [".github/workflows/ci.yml"], "critical"),
        ("The webhook refunds a customer twice: fix the bug", [], "critical"),
    ],
)
def test_the_type_follows_from_what_the_request_touches(
    text: str, paths: list[str], kind: str
) -> None:
    found = classify(text, paths)
    assert found.type == kind, found.reasons
    assert found.reasons


def test_the_most_severe_type_wins() -> None:
    assert classify("Fix the typo in the password check").type == "critical"


def test_a_large_request_is_no_quick_edit() -> None:
    assert classify("Rename the variable. " + "And more. " * 100).type == "standard"
    assert classify("Fix the typos", ["a.md", "b.md", "c.md", "d.md"]).type == "standard"


@pytest.mark.parametrize("text", ["x", "rename a", "design it", "encrypt it" * 1000])
def test_complexity_stays_in_its_band(text: str) -> None:
    assert 0 <= classify(text, ["f"] * 50).complexity <= 10


def test_a_huge_request_is_classified_in_bounded_time() -> None:
    assert classify("a" * 2_000_000).type == "standard"
