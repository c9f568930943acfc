"""Who judges whom."""

from __future__ import annotations

import dataclasses

import pytest

from rung.escalation.checker import free_judges, pick_checker
from rung.escalation.families import family_of
from rung.escalation.matrix import Row, default_matrix
from tests.routed import model

QWEN_8B = model("ollama/qwen3:8b", "local_fast")
GEMMA_9B = model("ollama/gemma3:9b", "local_fast")
TINY = model("embedded/smollm2-135m", "local_tiny")
QWEN_30B = model("lmstudio/qwen3-30b-a3b", "local_balanced")
HAIKU = model("cloud/claude-haiku", "haiku", (1.0, 5.0), locality="cloud")
GPT = model("cloud/gpt-5-mini", "haiku", (1.0, 5.0), locality="cloud")
SONNET = model("cloud/claude-sonnet", "sonnet", (3.0, 15.0), locality="cloud")
OPUS = model("cloud/claude-opus", "opus", (5.0, 25.0), locality="cloud")


def row(checker: str, kind: str = "architecture") -> Row:
    return dataclasses.replace(default_matrix()[kind], checker=checker)  # type: ignore[index]


def test_nobody_judges_where_the_row_says_so() -> None:
    assert pick_checker(row("none"), (QWEN_8B, HAIKU), 0) is None
    assert pick_checker(row("same"), (), 0) is None


def test_the_rule_names_the_first_rung_the_next_one_or_a_certain_one() -> None:
    chain = (QWEN_8B, QWEN_30B, OPUS)
    assert pick_checker(row("same"), chain, 1) is QWEN_8B
    assert pick_checker(row("next"), chain, 0) is QWEN_30B
    assert pick_checker(row("next"), chain, 2) is QWEN_30B
    assert pick_checker(row("opus"), chain, 0) is OPUS
    assert pick_checker(row("cloud/claude-opus"), chain, 0) is OPUS
    assert pick_checker(row("haiku"), chain, 0) is None


def test_a_free_model_of_another_family_is_preferred_among_equals() -> None:
    assert pick_checker(row("same"), (QWEN_8B, HAIKU), 0, (GEMMA_9B,)) is GEMMA_9B
    assert pick_checker(row("same"), (QWEN_8B, QWEN_30B), 1, (GEMMA_9B,)) is GEMMA_9B


def test_a_worker_does_not_judge_itself_where_another_is_as_strong() -> None:
    assert pick_checker(row("same"), (QWEN_8B, QWEN_30B), 0) is QWEN_30B
    assert pick_checker(row("same"), (QWEN_8B, HAIKU), 0) is HAIKU
    assert pick_checker(row("same"), (QWEN_8B,), 0, (TINY,)) is QWEN_8B
    assert pick_checker(row("opus"), (SONNET, OPUS), 1) is OPUS


def test_critical_work_is_never_judged_by_its_worker() -> None:
    assert pick_checker(row("next", "critical"), (SONNET, OPUS), 1) is SONNET
    assert pick_checker(row("next", "critical"), (OPUS,), 0) is None
    assert pick_checker(row("opus", "critical"), (OPUS,), 0, (QWEN_30B,)) is None


def test_free_work_is_not_judged_by_a_paid_model_for_its_family_alone() -> None:
    assert pick_checker(row("same"), (QWEN_8B, QWEN_30B, GPT), 1) is QWEN_8B


def test_work_that_is_done_here_is_not_sent_away_to_be_judged() -> None:
    free_cloud = model("cloud/gemma-free", "local_fast", locality="cloud")
    on_lan = model("lan/gemma3:9b", "local_fast", locality="lan")
    models = (QWEN_8B, GEMMA_9B, on_lan, free_cloud, HAIKU)
    assert free_judges(models, (QWEN_8B,)) == (GEMMA_9B,)
    assert free_judges(models, (QWEN_8B, HAIKU)) == (GEMMA_9B, free_cloud)


@pytest.mark.parametrize(
    ("model_id", "family"),
    [
        ("Qwen/Qwen3-30B-A3B-GGUF", "qwen"),
        ("qwq:32b", "qwen"),
        ("codellama-34b", "llama"),
        ("meta-llama/Llama-3.3-70B-Instruct", "llama"),
        ("deepseek-r1-distill-qwen-7b", "qwen"),
        ("deepseek-coder-v2", "deepseek"),
        ("codestral-22b", "mistral"),
        ("mixtral:8x7b", "mistral"),
        ("gemma3:9b", "google"),
        ("google/gemini-2.5-flash", "google"),
        ("anthropic/claude-haiku-4.5", "claude"),
        ("openai/gpt-oss-120b", "openai"),
        ("o3-mini", "openai"),
        ("phi-4", "phi"),
        ("smollm2-135m", "smollm"),
        ("tiny-1b", "tiny"),
        ("123", "123"),
    ],
)
def test_a_models_family_is_read_from_its_name(model_id: str, family: str) -> None:
    assert family_of(model_id) == family
