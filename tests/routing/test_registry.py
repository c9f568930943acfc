"""Which engines are looked for beside those that the user configured."""

from __future__ import annotations

import pytest

from rung.config.load import load
from rung.config.settings import EngineSettings, Secret, Settings
from rung.routing.registry import ports_to_search


def test_every_kind_that_has_a_port_of_its_own_is_looked_for_when_nothing_is_configured() -> None:
    assert {"lmstudio", "ollama", "vllm", "llamacpp"} == set(ports_to_search(Settings()))


def test_a_configured_kind_is_not_looked_for_with_or_without_a_key() -> None:
    for key in ("", "secret"):
        engine = EngineSettings(kind="ollama", base_url="http://h/v1", api_key=Secret(key))
        assert "ollama" not in ports_to_search(Settings(engines={"mine": engine}))


def test_an_engine_that_was_found_never_takes_the_name_of_a_configured_one() -> None:
    engine = EngineSettings(kind="openai", base_url="http://h/v1")
    assert "vllm" not in ports_to_search(Settings(engines={"vllm": engine}))
    assert "vllm" in ports_to_search(Settings(engines={"mine": engine}))


@pytest.mark.parametrize(
    ("name", "value"), [("USE_LM_STUDIO", "0"), ("LM_STUDIO_BASE_URL", "http://127.0.0.1:9/v1")]
)
def test_a_key_for_lm_studio_does_not_undo_its_other_variables(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("LM_STUDIO_API_KEY", "secret")
    monkeypatch.setenv(name, value)
    assert "lmstudio" not in ports_to_search(load().settings)
