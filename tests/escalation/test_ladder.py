"""The ladder that this machine has."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from rung.escalation.ladder import arm_number, pick, places, resolve_chain
from rung.escalation.matrix import Row, default_matrix
from rung.routing.tiers import DEFAULT_TIERS
from tests.routed import model

TINY = model("embedded/smollm2-135m", "local_tiny")
FAST = model("ollama/qwen3:8b", "local_fast")
BALANCED = model("lmstudio/qwen3-30b", "local_balanced")
HAIKU = model("cloud/haiku", "haiku", (1.0, 5.0), locality="cloud")
OPUS = model("cloud/opus", "opus", (5.0, 25.0), locality="cloud")


def row_of(kind: str, **changes: object) -> Row:
    return dataclasses.replace(default_matrix()[kind], **changes)  # type: ignore[index,arg-type]


def names(kind: str, *models: object, task_id: str = "", **changes: object) -> list[str]:
    found = resolve_chain(row_of(kind, **changes), models, DEFAULT_TIERS, task_id)  # type: ignore[arg-type]
    return [model.name for model in found]


def test_the_chain_is_what_this_machine_has_cheapest_first() -> None:
    assert names("standard", OPUS, HAIKU, BALANCED, FAST) == [
        "ollama/qwen3:8b",
        "lmstudio/qwen3-30b",
        "cloud/haiku",
    ]


def test_a_weak_model_is_no_first_rung_where_there_is_a_stronger_free_one() -> None:
    assert names("standard", TINY, FAST, HAIKU) == ["ollama/qwen3:8b", "cloud/haiku"]
    assert names("quick_edit", TINY, BALANCED) == ["lmstudio/qwen3-30b"]


def test_a_weaker_local_model_stands_in_where_there_is_nothing_else() -> None:
    for kind in ("quick_edit", "standard", "architecture"):
        assert names(kind, TINY) == ["embedded/smollm2-135m"]
    assert names("standard", TINY, HAIKU) == ["embedded/smollm2-135m", "cloud/haiku"]
    assert names("architecture", TINY, FAST, HAIKU) == ["ollama/qwen3:8b", "cloud/haiku"]
    assert names("architecture", TINY, BALANCED) == ["lmstudio/qwen3-30b"]


def test_critical_work_has_no_stand_in() -> None:
    assert names("critical", TINY, BALANCED) == []
    assert names("critical", TINY, OPUS) == ["cloud/opus"]


def test_nothing_paid_stands_in() -> None:
    assert names("standard", FAST, OPUS) == ["ollama/qwen3:8b"]


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


def test_each_place_says_why_its_model_stands_there() -> None:
    row = row_of("standard", chain=("local_fast", "local_balanced", "cloud/opus", "flash"))
    found = places(row, [FAST, OPUS], DEFAULT_TIERS)
    whys = [[arm.why for arm in place.arms] for place in found]
    assert whys == [
        ["the only one of its tier"],
        ["stands in for local_balanced: the strongest that is weaker"],
        ["named in the chain"],
        [],
    ]


def test_a_task_keeps_its_arm_and_an_arm_that_is_not_there_loses_its_share() -> None:
    chain = ("ollama/qwen3:8b|lmstudio/qwen3-30b", "haiku")
    seen = {names("standard", FAST, BALANCED, chain=chain, task_id=str(n))[0] for n in range(40)}
    assert seen == {"ollama/qwen3:8b", "lmstudio/qwen3-30b"}
    again = [names("standard", FAST, BALANCED, chain=chain, task_id="7") for _ in range(3)]
    assert again[0] == again[1] == again[2]
    assert names("standard", FAST, HAIKU, chain=chain, task_id="7")[0] == "ollama/qwen3:8b"


def test_arms_are_split_evenly_and_two_entries_are_split_apart() -> None:
    tasks = [f"{n:016x}" for n in range(4000)]
    first = [arm_number("a|b", task, 2) for task in tasks]
    other = [arm_number("c|d", task, 2) for task in tasks]
    assert abs(sum(first) / len(tasks) - 0.5) < 0.05
    agree = sum(a == b for a, b in zip(first, other, strict=True))
    assert abs(agree / len(tasks) - 0.5) < 0.05


@given(st.lists(st.sampled_from([TINY, FAST, BALANCED, HAIKU, OPUS]), unique=True), st.text())
def test_no_model_is_ever_on_a_ladder_twice(models: list[object], task_id: str) -> None:
    for row in default_matrix().values():
        chain = pick(places(row, models, DEFAULT_TIERS), task_id)  # type: ignore[arg-type]
        assert len(set(chain)) == len(chain)
        assert not models or set(chain) <= set(models)
