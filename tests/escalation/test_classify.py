"""Task types by policy rules."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.config.settings import ClassifySettings
from rung.errors import ConfigError
from rung.escalation.classify import classify, complexity_of, own_words
from rung.escalation.mentions import wanted_text
from rung.escalation.rulebook import OwnWords, rulebook
from rung.escalation.signals import Signals
from rung.escalation.task import TASK_TYPES
from rung.escalation.text_model import encoder

REQUESTS = Path(__file__).parents[2] / "benchmarks" / "requests" / "development.jsonl"


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
        ("La contraseña se guarda sin cifrar", [], "critical"),
        ("给登录接口加上验证码", [], "critical"),
        ("Was ist der Unterschied zwischen Liste und Tupel?", [], "quick_edit"),
    ],
)
def test_the_type_follows_from_what_the_request_touches(
    text: str, paths: list[str], kind: str
) -> None:
    found = classify(text, paths)
    assert found.type == kind, found.reasons
    assert found.reasons


@pytest.mark.parametrize(
    "text",
    [
        "Fix the crash in the chart. Do not touch the database or the login.",
        "The tooltip is late; our login and the billing are not involved.",
        "Next sprint we change the payment provider. Today fix the crash of the date picker.",
        "The design tokens are ignored by the slider",
        "The lexer crashes on a long token stream",
        'The chart crashes:\n  File "/x/auth/login.py", line 3, in password\n    check(password)\n',
        "The chart crashes:\n```\npassword = encrypt(secret)\n```",
        "The map is empty\n\n### Security impact\nnone\n",
        "CRITICAL!!! the tooltip flickers",
    ],
)
def test_what_is_not_asked_for_does_not_count(text: str) -> None:
    assert classify(text).type != "critical", classify(text).reasons


def test_the_most_severe_wish_wins() -> None:
    assert classify("Fix the typo in the README. Also rotate the API key.").type == "critical"


@pytest.mark.parametrize(
    ("text", "path", "kind"),
    [
        ("fix the off-by-one", "src/payments/refund.py", "critical"),
        ("fix the typo in the comment", "src/payments/refund.py", "quick_edit"),
        ("add tests for the half-cent case", "tests/payments/test_refund.py", "standard"),
        ("skip the test of a guest's rights", "tests/test_permissions.py", "critical"),
    ],
)
def test_text_and_path_must_agree_on_harmless(text: str, path: str, kind: str) -> None:
    assert classify(text, [path]).type == kind, classify(text, [path]).reasons


def test_a_reason_names_the_words_it_comes_from() -> None:
    assert "touches money ('refund')" in classify("fix the refund").reasons


def test_nothing_to_go_by_is_said_to_be_unsure() -> None:
    unsure = classify("refactor the utils")
    assert (unsure.is_unsure, unsure.type) == (True, "standard")
    assert not classify("fix the refund").is_unsure


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Fix the crash.\nDo not touch the login.", "Fix the crash."),
        ("Next week we change the login. Fix the crash.", "Fix the crash."),
        ("It crashes:\n```\ncheck(password)\n```\nWhy?", "It crashes: Why?"),
        ('It crashes:\n  File "login.py", line 3, in x\n    check(password)\n', "It crashes:"),
        ("Fix   the\n\nlogin.", "Fix   the\n\nlogin."),
        ("```\ncheck(password)\n```", "```\ncheck(password)\n```"),
        ("", ""),
    ],
)
def test_the_encoder_reads_what_is_asked_for(text: str, wanted: str) -> None:
    assert wanted_text(text, rulebook()) == wanted


def test_a_users_own_words_and_paths_are_critical() -> None:
    own = own_words(
        ClassifySettings(critical_words=("flight plan*",), critical_paths=("avionics",))
    )
    assert classify("draw the flight plans in green", (), own).type == "critical"
    assert classify("draw it in green", ["src/avionics/hud.c"], own).type == "critical"
    assert classify("draw the flight plans in green").type != "critical"


def test_an_own_word_without_letters_is_an_error_that_names_it() -> None:
    with pytest.raises(ConfigError, match=r"critical_words.*'\.\.\.'"):
        own_words(ClassifySettings(critical_words=("...",)))


def test_every_list_that_a_rule_names_exists() -> None:
    book = rulebook(OwnWords())
    named = {
        name
        for rule in book.rules
        for name in (*rule.any, *rule.together, *rule.without, *rule.not_in)
    }
    assert named <= book.names | set(book.context), named - book.names


def test_complexity_grows_with_what_imports_the_files_and_stays_in_its_band() -> None:
    alone = Signals(files=("a.py",), tests=1)
    central = Signals(files=("a.py",), fan_in=9, lines=4000, packages=3)
    for kind in TASK_TYPES:
        low, high = rulebook().bands[kind].low, rulebook().bands[kind].high
        few, many = (complexity_of(kind, "x", 1, s) for s in (alone, central))
        assert low <= few <= many <= high
    assert complexity_of("standard", "x", 1, central) > complexity_of("standard", "x", 1, alone)


def test_weights_can_be_replaced() -> None:
    assert complexity_of("standard", "x", 5, None, {"files": 0.0}) == 4.0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\x00\x1b[31m" * 1000,
        "a" * 1_000_000,
        "a_" * 500_000,
        "/a" * 500_000,
        '"' * 1_000_000,
        "**a" * 300_000,
        "at a." * 200_000,
        "a, " * 300_000,
        "delete .. " * 100_000,
        "删除" * 300_000,
        "\n#" * 300_000,
    ],
    ids=lambda text: repr(text[:6]),
)
@pytest.mark.timeout(20)
def test_a_hostile_request_is_classified_in_bounded_time(text: str) -> None:
    assert 0 <= classify(text).complexity <= 10


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300), st.lists(st.text(max_size=30), max_size=3))
def test_any_text_has_a_type_a_reason_and_a_complexity(text: str, paths: list[str]) -> None:
    found = classify(text, paths)
    assert found.type in TASK_TYPES
    assert found.reasons
    assert 0 <= found.complexity <= 10


def test_the_development_requests_stay_as_right_as_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By rules and word weights: the encoder would take a minute."""
    monkeypatch.setattr(encoder, "packaged", lambda: encoder.NOT_INSTALLED)
    rows = [json.loads(line) for line in REQUESTS.read_text(encoding="utf-8").splitlines()]
    right = [classify(row["text"], row["paths"]).type == row["type"] for row in rows]
    critical = [ok for ok, row in zip(right, rows, strict=True) if row["type"] == "critical"]
    assert sum(right) / len(right) >= 0.92
    assert sum(critical) / len(critical) >= 0.95
