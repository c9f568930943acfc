"""The labelled developer requests are well-formed, and their parts are apart."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from rung.escalation.task import TASK_TYPES

FOLDER = Path(__file__).parents[2] / "benchmarks" / "requests"
FIELDS = {"id": str, "text": str, "paths": list, "type": str, "why": str, "hard": bool}


def part(name: str) -> list[dict[str, Any]]:
    lines = (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def normal(text: str) -> str:
    return " ".join(text.casefold().split())


DEVELOPMENT, SECOND, THIRD = part("development"), part("second"), part("third")
FROZEN, UNSEEN, SEALED = part("frozen"), part("unseen"), part("sealed")
EVERYDAY = part("everyday")
ALL = DEVELOPMENT + SECOND + THIRD + FROZEN + UNSEEN + SEALED + EVERYDAY


def test_every_row_has_the_fields_and_nothing_else() -> None:
    for row in ALL:
        assert {name: type(value) for name, value in row.items()} == FIELDS, row["id"]
        assert row["text"].strip()
        assert row["why"].startswith("rule "), row["id"]
        assert all(isinstance(path, str) and path.strip() for path in row["paths"]), row["id"]


def test_every_type_is_one_that_rung_knows() -> None:
    assert {row["type"] for row in ALL} == set(TASK_TYPES)


def test_the_rule_that_is_named_gives_the_type() -> None:
    type_of_rule = {
        "1": "quick_edit",
        "2": "critical",
        "3": "architecture",
        "4": "quick_edit",
        "5": "standard",
    }
    wrong = [row["id"] for row in ALL if type_of_rule[row["why"][5]] != row["type"]]
    assert wrong == []


def test_ids_are_unique() -> None:
    assert [key for key, count in Counter(row["id"] for row in ALL).items() if count > 1] == []


def test_no_text_is_in_the_set_twice_so_none_is_in_two_parts() -> None:
    texts = Counter(normal(row["text"]) for row in ALL)
    assert [text for text, count in texts.items() if count > 1] == []


@pytest.mark.parametrize(
    ("rows", "at_least"),
    [
        (DEVELOPMENT, 260),
        (SECOND, 300),
        (THIRD, 9_000),
        (FROZEN, 260),
        (UNSEEN, 300),
        (SEALED, 450),
    ],
    ids=["development", "second", "third", "frozen", "unseen", "sealed"],
)
def test_each_part_is_large_varied_and_hard_enough_to_measure_with(
    rows: list[dict[str, Any]], at_least: int
) -> None:
    shares = {name: count / len(rows) for name, count in Counter(r["type"] for r in rows).items()}
    assert len(rows) >= at_least
    assert all(0.15 <= share <= 0.40 for share in shares.values()), shares
    assert sum(row["hard"] for row in rows) / len(rows) >= 0.35
    assert 0.25 <= sum(bool(row["paths"]) for row in rows) / len(rows) <= 0.45


def test_everyday_requests_are_plain_and_seldom_critical() -> None:
    assert len(EVERYDAY) >= 200
    assert not any(row["hard"] for row in EVERYDAY)
    critical = sum(row["type"] == "critical" for row in EVERYDAY) / len(EVERYDAY)
    assert 0.05 <= critical <= 0.15
