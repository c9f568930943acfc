import os
import struct
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.chat import LoadOptions
from rung.errors import ModelError
from rung.models.catalogue import find_model
from rung.models.fit import Budget, budget
from rung.models.gguf import check_gguf
from tests.models.builders import SHAPE, gguf_bytes, text
from tests.starter import STARTER

SMALL = gguf_bytes(values=64)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.gguf"


def test_the_shape_is_read(path: Path) -> None:
    path.write_bytes(SMALL)
    found = check_gguf(path)
    assert (found.architecture, found.name, found.quantization) == ("llama", "Tiny", "F32")
    assert (found.layers, found.kv_heads, found.key_length, found.value_length) == (
        2,
        (2, 2),
        16,
        16,
    )
    assert (found.context_tokens, found.parameters, found.size_bytes) == (1024, 64, len(SMALL))


def test_layers_may_differ_in_their_kv_heads(path: Path) -> None:
    shape = SHAPE | {"llama.attention.head_count_kv": [2, 0], "llama.attention.key_length": 128}
    path.write_bytes(gguf_bytes(shape, values=64))
    found = check_gguf(path)
    assert (found.kv_heads, found.key_length, found.value_length) == ((2, 0), 128, 16)


def test_what_the_file_does_not_say_is_not_invented(path: Path) -> None:
    path.write_bytes(gguf_bytes({"general.architecture": "new"}, values=64))
    found = check_gguf(path)
    assert (found.context_tokens, found.layers, found.kv_heads, found.name) == (None, 0, (), "")


@pytest.mark.parametrize("cut", [1, 8, 64])
def test_a_file_that_ends_before_its_tensors_is_truncated(path: Path, cut: int) -> None:
    path.write_bytes(SMALL[:-cut])
    message = rf"truncated: tensor 'token_embd.weight' ends at byte {len(SMALL)}"
    with pytest.raises(ModelError, match=message):
        check_gguf(path)


def test_a_file_cut_anywhere_is_never_accepted(path: Path) -> None:
    for length in range(len(SMALL)):
        path.write_bytes(SMALL[:length])
        with pytest.raises(ModelError, match=r"empty|truncated|not a gguf"):
            check_gguf(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>", "is not a gguf file"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "little-endian"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 0), "claims 1152921504606846976 tensors"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 60), "metadata keys"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1 << 60), "bytes of a key"),
        (b"GGUF" + struct.pack("<IQQQ1sI", 3, 0, 1, 1, b"k", 99), "value type 99"),
        (b"GGUF" + struct.pack("<IQQQ1sIIQ", 3, 0, 1, 1, b"k", 9, 4, 1 << 60), "array items"),
        (b"GGUF" + struct.pack("<IQQQ1sIIQ", 3, 0, 1, 1, b"k", 9, 9, 1), "array of value type 9"),
        (b"GGUF" + struct.pack("<IQQQ1sIQ", 3, 0, 1, 1, b"k", 8, 1 << 60), "bytes of text"),
        (b"GGUF" + struct.pack("<IQQQI", 3, 1, 0, 0, 1 << 30), "1073741824 dimensions"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 0), "names no architecture"),
        (gguf_bytes(SHAPE | {"general.alignment": 0}, values=64), "alignment of 0"),
        (gguf_bytes(SHAPE | {"llama.block_count": 1 << 30}, values=64), "1073741824 layers"),
        (gguf_bytes(SHAPE | {"general.architecture": "x" * 65}, values=64), "no architecture"),
    ],
)
def test_impossible_claims_are_named(path: Path, content: bytes, message: str) -> None:
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message):
        check_gguf(path)


def test_a_tensor_of_an_unknown_type_has_no_more_values_than_the_file_has_room_for(
    path: Path,
) -> None:
    head, body = SMALL.split(text("token_embd.weight"))
    huge = struct.pack("<I4QIQ", 4, *[1 << 62] * 4, 99, 0)
    path.write_bytes(head + text("token_embd.weight") + huge + body)
    with pytest.raises(ModelError, match=r"'token_embd.weight' claims \d+ values"):
        check_gguf(path)


ARRAY_OF_TEXTS = text("k") + struct.pack("<IIQ", 9, 8, 1 << 32)
LONG_TEXT = text("k") + struct.pack("<IQ", 8, 1 << 24)


@pytest.mark.parametrize("claim", [ARRAY_OF_TEXTS, LONG_TEXT * 8], ids=["words", "texts"])
def test_a_sparse_file_cannot_make_its_header_endless(path: Path, claim: bytes) -> None:
    first, *more = claim.split(text("k"))[1:]
    with path.open("wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, 0, 1 + len(more)))
        for value in (first, *more):
            file.write(text("k") + value)
            if more:
                file.seek(1 << 24, 1)
        file.truncate(1 << 40)
    with pytest.raises(ModelError, match="its header goes on after byte 67108864"):
        check_gguf(path)


def test_a_shape_of_absurd_numbers_can_still_be_reckoned_with_and_kept(path: Path) -> None:
    most = (1 << 32) - 1
    absurd = {
        key: most if isinstance(value, int) and value > 1 else value for key, value in SHAPE.items()
    }
    path.write_bytes(gguf_bytes(absurd | {"llama.block_count": 4096}, values=64))
    options = LoadOptions(context_tokens=most, slots=64)
    found = budget(check_gguf(path), options)
    assert 1 << 40 < found.total_bytes < 1 << 63
    assert msgspec.json.decode(msgspec.json.encode(found), type=Budget) == found


def test_a_pipe_is_refused_and_not_waited_for(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(ModelError, match="it is no file"):
        check_gguf(path)


@pytest.mark.parametrize("name", ["absent.gguf", "."])
def test_a_path_that_is_no_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        check_gguf(tmp_path / name)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(SMALL) - 1), st.integers(0, 255)), min_size=1, max_size=12
    )
)
def test_flipped_bytes_give_a_shape_or_a_model_error(
    tmp_path_factory: pytest.TempPathFactory, flips: list[tuple[int, int]]
) -> None:
    damaged = bytearray(SMALL)
    for at, value in flips:
        damaged[at] = value
    path = tmp_path_factory.getbasetemp() / "flipped.gguf"
    path.write_bytes(damaged)
    try:
        check_gguf(path)
    except ModelError as error:
        assert str(path) in str(error)


def test_the_starter_model_is_what_the_catalogue_says(starter_model_dir: Path) -> None:
    entry = find_model(STARTER)
    found = check_gguf(starter_model_dir / STARTER / entry.file)
    assert found.size_bytes == entry.size_bytes
    assert found.context_tokens == entry.context_tokens
    assert found.quantization == entry.quantization
    assert found.parameters == pytest.approx(entry.parameters, rel=0.01)
    assert (found.layers, set(found.kv_heads), found.key_length) == (30, {3}, 64)
