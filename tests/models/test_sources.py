from pathlib import Path

import pytest

from rung.errors import ModelError
from rung.models.sources import EngineModel, HubFile, LocalFile, Named, Wanted, parse_source


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("smollm2-135m", Named("smollm2-135m")),
        ("local:smollm2-135m", Named("smollm2-135m")),
        ("embedded/smollm2-135m", Named("smollm2-135m")),
        ("./a/model.gguf", LocalFile(Path("a/model.gguf"))),
        ("model.gguf", LocalFile(Path("model.gguf"))),
        ("ollama/qwen3:8b", EngineModel("ollama", "qwen3:8b")),
        ("lmstudio/org/model@q4_k_m", EngineModel("lmstudio", "org/model@q4_k_m")),
        ("hf:Org/Repo-GGUF", HubFile(repo="Org/Repo-GGUF")),
        ("hf:o/r:Q4_K_M", HubFile(repo="o/r", quantization="Q4_K_M")),
        ("hf:o/r:Q4_K_M@v1", HubFile(repo="o/r", quantization="Q4_K_M", revision="v1")),
        ("hf:o/r/sub/f.gguf", HubFile(repo="o/r", path="sub/f.gguf")),
        (
            "hf:o/r/f (1).gguf@refs/pr/2",
            HubFile(repo="o/r", path="f (1).gguf", revision="refs/pr/2"),
        ),
    ],
)
def test_a_source_is_read_as_what_it_names(text: str, wanted: Wanted) -> None:
    assert parse_source(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "hf:",
        "hf:repo",
        "hf:/repo",
        "hf:o/",
        "hf:../r",
        "hf:o/..",
        "hf:o/r/../../x.gguf",
        "hf:o/r/./x.gguf",
        "hf:o/r//x.gguf",
        "hf:o/r/x.safetensors",
        "hf:o/r/x?y=1.gguf",
        "hf:o/r/x%2e%2e.gguf",
        "hf:o/r/a\\b.gguf",
        "hf:o/r/x.gguf:Q4_0",
        "hf:o/r:",
        "hf:o/r:Q4 0",
        "hf:o/r@",
        "hf:o/r@../main",
        "hf:o/r@a..b",
        "hf:o/r/\n.gguf",
        "hf:https://huggingface.co/o/r",
    ],
)
def test_what_names_nothing_on_the_hub_is_refused_with_the_form_it_should_have(text: str) -> None:
    with pytest.raises(ModelError, match=r"write hf:ORG/REPO/FILE\.gguf"):
        parse_source(text)
