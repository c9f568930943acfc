from __future__ import annotations

import pytest

from rung.engines.ollama.models import Facts, canonical, is_cloud_name, read_facts


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("qwen3", "qwen3:latest"),
        ("qwen3:8b", "qwen3:8b"),
        ("acme/qwen3", "acme/qwen3:latest"),
        ("hf.co:443/acme/qwen3", "hf.co:443/acme/qwen3:latest"),
        ("registry.ollama.ai/library/qwen3:8b", "qwen3:8b"),
        (" Qwen3:8B-Q4_K_M ", "qwen3:8b-q4_k_m"),
    ],
)
def test_names_that_mean_the_same_are_the_same(name: str, full: str) -> None:
    assert canonical(name) == full
    assert canonical(full) == full


@pytest.mark.parametrize(
    ("name", "is_cloud"),
    [
        ("giant:cloud", True),
        ("acme/giant:480b-CLOUD", True),
        ("cloud", False),
        ("cloud:8b", False),
        ("giant-cloud", False),
        ("host:1-cloud/giant:8b", False),
    ],
)
def test_only_the_tag_tells_of_the_cloud(name: str, is_cloud: bool) -> None:
    assert is_cloud_name(name) is is_cloud


def test_facts_are_read_whatever_the_architecture() -> None:
    shown = {
        "model_info": {"general.architecture": "qwen3", "qwen3.context_length": 40_960},
        "parameters": 'stop  "<|im_end|>"\nnum_ctx                        8192',
        "capabilities": ["completion", "thinking"],
    }
    facts = read_facts(shown)
    assert (facts.max_context_tokens, facts.context_tokens) == (40_960, 8192)
    assert facts.capabilities == {"completion", "thinking"}
    assert not facts.is_remote


@pytest.mark.parametrize("shown", [{}, {"model_info": [], "capabilities": 3, "parameters": None}])
def test_what_is_not_told_is_unknown(shown: dict[str, object]) -> None:
    assert read_facts(shown) == Facts()


@pytest.mark.parametrize(
    ("facts", "wanted", "window"),
    [
        (Facts(), None, None),
        (Facts(), 8192, 8192),
        (Facts(max_context_tokens=4096), 8192, 4096),
        (Facts(max_context_tokens=4096), None, None),
        (Facts(context_tokens=2048, max_context_tokens=4096), None, 2048),
        (Facts(context_tokens=2048, max_context_tokens=4096), 1024, 1024),
    ],
)
def test_the_window_is_what_is_wanted_within_what_the_model_can(
    facts: Facts, wanted: int | None, window: int | None
) -> None:
    assert facts.window(wanted) == window
