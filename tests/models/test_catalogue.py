import pytest

from rung.errors import ModelError
from rung.models.catalogue import catalogue, find_model, parse_catalogue, validate_id

ENTRY = """
[{id}]
title = "T"
parameters = 1
quantization = "Q4_1"
context_tokens = 1
file = "{file}"
size_bytes = 1
sha256 = "{sha}"
source = {{ kind = "file", path = "/x" }}
{more}
"""


def entry(name: str = "tiny", file: str = "t.gguf", sha: str = "0" * 64, more: str = "") -> str:
    return ENTRY.format(id=name, file=file, sha=sha, more=more)


def test_every_entry_is_complete_and_says_where_it_comes_from() -> None:
    for model_id, model in catalogue().items():
        assert model.id == model_id
        assert model.license
        assert model.tier
        assert str(model.source)
        assert find_model(model_id) is model


@pytest.mark.parametrize("model_id", ["a", "smollm2-135m", "qwen2.5-0.5b_q4", "0" * 64])
def test_plain_ids_are_accepted(model_id: str) -> None:
    assert validate_id(model_id) == model_id


@pytest.mark.parametrize(
    "model_id",
    [
        "",
        ".",
        "..",
        "../../evil",
        "a/b",
        "a\\b",
        "/etc",
        "A",
        "a b",
        "a\n",
        "é",
        "-a",
        ".a",
        "0" * 65,
    ],
)
def test_ids_that_could_leave_the_folder_are_refused(model_id: str) -> None:
    with pytest.raises(ModelError, match="is not a model id"):
        validate_id(model_id)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (entry('"../evil"'), "is not a model id"),
        (entry(file="../../evil.gguf"), "tiny: .*regex"),
        (entry(file="evil.sh"), "tiny: .*regex"),
        (entry(sha="beef"), "tiny: .*regex"),
        (entry(more='lisence = "MIT"'), "tiny: .*lisence"),
        ('[tiny]\nsource = { kind = "torrent" }', "tiny: .*"),
    ],
)
def test_a_wrong_entry_is_an_error_that_names_it(text: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        parse_catalogue(text)
