"""The escalation matrix as data."""

from __future__ import annotations

import pytest

from rung.config.settings import MatrixRow
from rung.errors import ConfigError
from rung.escalation.matrix import arms, checker_rule, default_matrix, matrix
from rung.escalation.task import TASK_TYPES
from rung.routing.tiers import DEFAULT_TIERS


def test_there_is_a_complete_row_for_every_type() -> None:
    rows = default_matrix()
    assert set(rows) == set(TASK_TYPES)
    for row in rows.values():
        assert row.chain
        assert row.checks
        assert row.max_attempts >= row.attempts_per_rung >= 1
        assert all(name in DEFAULT_TIERS for name in row.chain)


def test_a_users_row_changes_only_the_fields_it_names() -> None:
    rows = matrix(
        {"standard": MatrixRow(chain=("lmstudio/qwen3-30b",), max_attempts=3)}, DEFAULT_TIERS
    )
    assert rows["standard"].chain == ("lmstudio/qwen3-30b",)
    assert rows["standard"].max_attempts == 3
    assert rows["standard"].checks == default_matrix()["standard"].checks


def test_an_unknown_task_type_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'standard'"):
        matrix({"standart": MatrixRow(max_attempts=3)}, DEFAULT_TIERS)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (MatrixRow(chain=("local_fats",)), "did you mean 'local_fast'"),
        (MatrixRow(chain=("haiku|sonet",)), "did you mean 'sonnet'"),
        (MatrixRow(checker="nobody"), "matrix.standard.checker"),
    ],
)
def test_a_rung_that_cannot_exist_is_an_error(row: MatrixRow, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        matrix({"standard": row}, DEFAULT_TIERS)


def test_alternatives_of_an_entry_are_named_once_each() -> None:
    assert arms("haiku") == ("haiku",)
    assert arms("a/x | b/y|a/x") == ("a/x", "b/y")


@pytest.mark.parametrize(
    ("rule", "complexity", "is_asked", "expected"),
    [
        ("auto", 4.9, False, "none"),
        ("auto", 5.0, False, "same"),
        ("auto", 7.9, False, "same"),
        ("auto", 8.0, False, "next"),
        ("auto", 1.0, True, "same"),
        ("none", 9.0, False, "none"),
        ("none", 9.0, True, "same"),
        ("opus", 1.0, False, "opus"),
    ],
)
def test_complexity_decides_who_judges_unless_the_user_does(
    rule: str, complexity: float, is_asked: bool, expected: str
) -> None:
    assert checker_rule(rule, complexity, is_asked=is_asked) == expected
