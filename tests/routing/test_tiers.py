"""Which rung an undeclared local model stands on."""

from __future__ import annotations

import pytest

from rung.routing.tiers import local_tier, parameters_in_name


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("smollm2-135m", 1.35e8),
        ("qwen3:8b", 8e9),
        ("qwen/qwen3-30b-a3b", 3e10),
        ("llama-3.3-70B-instruct", 7e10),
        ("gemma-3-270m-it", 2.7e8),
        ("phi-3.5b", 3.5e9),
        ("mistral-small", None),
        ("gpt-4b2", None),
        ("qwen2.5-coder", None),
    ],
)
def test_the_size_is_read_from_the_name(name: str, parameters: float | None) -> None:
    assert parameters_in_name(name) == parameters


@pytest.mark.parametrize(
    ("name", "parameters", "tier"),
    [
        ("smollm2-135m", None, "local_tiny"),
        ("qwen3:8b", None, "local_fast"),
        ("qwen3-30b", None, "local_balanced"),
        ("mystery", None, "local_fast"),
        ("mystery-8b", 7e10, "local_balanced"),
    ],
)
def test_the_tier_follows_from_the_size(name: str, parameters: float | None, tier: str) -> None:
    assert local_tier(name, parameters) == tier


def test_a_file_without_a_telling_name_is_judged_by_its_bytes() -> None:
    assert local_tier("mine", None, 98_000_000) == "local_tiny"
    assert local_tier("mine", None, 5_000_000_000) == "local_fast"
    assert local_tier("mine", None, 40_000_000_000) == "local_balanced"
