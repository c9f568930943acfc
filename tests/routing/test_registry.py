"""Which engines there are, and which models the embedded one has."""

from __future__ import annotations

from pathlib import Path

import pytest

from rung.config.load import load
from rung.config.settings import EngineSettings, Secret, Settings
from rung.models.shapes import Shapes
from rung.models.store import ModelStore
from rung.routing.registry import installed, ports_to_search
from tests.starter import STARTER


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


def test_an_installed_model_is_what_its_file_says(tmp_path: Path, starter_model_dir: Path) -> None:
    (found,) = installed(ModelStore(starter_model_dir), Shapes(tmp_path), 4096)
    assert (found.id, found.quantization, found.is_chat) == (STARTER, "Q4_1", True)
    assert (found.context_tokens, found.max_context_tokens) == (4096, 8192)
    assert found.size_bytes == 98_362_432
    assert found.parameters == 134_515_008


def test_no_window_is_larger_than_the_one_that_the_model_was_trained_on(
    tmp_path: Path, starter_model_dir: Path
) -> None:
    (found,) = installed(ModelStore(starter_model_dir), Shapes(tmp_path), 100_000)
    assert found.context_tokens == 8192


def test_a_model_whose_file_is_gone_is_still_listed(
    tmp_path: Path, starter_model_dir: Path
) -> None:
    manifest = (starter_model_dir / STARTER / "model.json").read_bytes()
    (tmp_path / STARTER).mkdir()
    (tmp_path / STARTER / "model.json").write_bytes(manifest)
    (found,) = installed(ModelStore(tmp_path), Shapes(tmp_path / "data"), 4096)
    assert (found.id, found.size_bytes, found.parameters) == (STARTER, 98_362_432, None)
