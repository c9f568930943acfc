"""The escalation matrix, and the ladder that this machine has."""

from __future__ import annotations

import pytest

from rung.config.settings import MatrixRow
from rung.errors import ConfigError
from rung.escalation.matrix import default_matrix, matrix, pick_checker, resolve_chain
from rung.escalation.task import TASK_TYPES
from rung.routing.tiers import DEFAULT_TIERS
from tests.routed import model

TINY = model("embedded/smollm2-135m", "local_tiny")
FAST = model("ollama/qwen3:8b", "local_fast")
BALANCED = model("lmstudio/qwen3-30b", "local_balanced")
HAIKU = model("cloud/haiku", "haiku", (1.0, 5.0), locality="cloud")
OPUS = model("cloud/opus", "opus", (5.0, 25.0), locality="cloud")


def names(kind: str, *models: object) -> list[str]:
    row = default_matrix()[kind]  # type: ignore[index]
    return [found.name for found in resolve_chain(row, models, DEFAULT_TIERS)]  # type: ignore[arg-type]


def test_there_is_a_complete_row_for_every_type() -> None:
    rows = default_matrix()
    assert set(rows) == set(TASK_TYPES)
    for row in rows.values():
        assert row.chain
        assert row.checks
        assert row.max_attempts >= row.attempts_per_rung >= 1
        assert all(name in DEFAULT_TIERS for name in row.chain)


def test_the_chain_is_what_this_machine_has_cheapest_first() -> None:
    assert names("standard", OPUS, HAIKU, FAST, TINY) == [
        "embedded/smollm2-135m",
        "ollama/qwen3:8b",
        "cloud/haiku",
    ]


def test_a_weaker_local_model_stands_in_where_a_tier_is_empty() -> None:
    assert names("architecture", TINY) == ["embedded/smollm2-135m"]
    assert names("architecture", TINY, FAST, HAIKU) == ["ollama/qwen3:8b", "cloud/haiku"]
    assert names("architecture", TINY, BALANCED) == ["lmstudio/qwen3-30b"]


def test_critical_work_has_no_stand_in() -> None:
    assert names("critical", TINY, BALANCED) == []
    assert names("critical", TINY, OPUS) == ["cloud/opus"]


def test_no_model_at_all_is_an_empty_chain() -> None:
    assert names("standard") == []


def test_of_one_tier_the_users_default_comes_first_then_a_loaded_one_then_the_largest() -> None:
    small = model("a/s", "local_fast", size_bytes=1)
    large = model("a/l", "local_fast", size_bytes=9)
    loaded = model("a/x", "local_fast", size_bytes=5, is_loaded=True)
    chosen = model("a/c", "local_fast", size_bytes=2, is_default=True)
    assert names("quick_edit", small, large) == ["a/l"]
    assert names("quick_edit", small, large, loaded) == ["a/x"]
    assert names("quick_edit", small, large, loaded, chosen) == ["a/c"]


def test_a_users_row_changes_only_the_fields_it_names() -> None:
    rows = matrix(
        {"standard": MatrixRow(chain=("lmstudio/qwen3-30b",), max_attempts=3)}, DEFAULT_TIERS
    )
    assert rows["standard"].chain == ("lmstudio/qwen3-30b",)
    assert rows["standard"].max_attempts == 3
    assert rows["standard"].checks == default_matrix()["standard"].checks
    found = resolve_chain(rows["standard"], [TINY, BALANCED], DEFAULT_TIERS)
    assert [item.name for item in found] == ["lmstudio/qwen3-30b"]


def test_an_unknown_task_type_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'standard'"):
        matrix({"standart": MatrixRow(max_attempts=3)}, DEFAULT_TIERS)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (MatrixRow(chain=("local_fats",)), "did you mean 'local_fast'"),
        (MatrixRow(checker="nobody"), "matrix.standard.checker"),
    ],
)
def test_a_rung_that_cannot_exist_is_an_error(row: MatrixRow, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        matrix({"standard": row}, DEFAULT_TIERS)


def test_the_checker_is_the_same_the_next_or_the_named() -> None:
    chain = (TINY, FAST, HAIKU)
    rows = default_matrix()
    assert pick_checker(rows["quick_edit"], chain, 0) is None
    assert pick_checker(rows["standard"], chain, 1) is TINY
    assert pick_checker(rows["critical"], chain, 0) is FAST
    assert pick_checker(rows["critical"], chain, 2) is HAIKU
    assert pick_checker(rows["standard"], (), 0) is None
    by_tier = matrix({"standard": MatrixRow(checker="haiku")}, DEFAULT_TIERS)["standard"]
    assert pick_checker(by_tier, chain, 0) is HAIKU
