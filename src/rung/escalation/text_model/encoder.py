"""The encoder's opinion of a request: multilingual-e5-small with adapters and heads of our own.

A BERT encoder in numpy (Devlin et al. 2018), its last layers adapted at low rank (LoRA, Hu et al.
2021), the mean of its last states read by a linear head. There are several such readers, trained
from different seeds: their mean errs less than each. One request at a time, in float32.
"""

from __future__ import annotations

import math
import platform
import re
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rung.escalation.text_model.linear import log_softmax

if TYPE_CHECKING:
    from rung.escalation.text_model.e5_file import E5File, Floats

FILE = "adapters.npz"
ABOUT = "about"
MAX_CHARS, MAX_PATH_CHARS = 1_500, 500
MAX_TOKENS, LAST_TOKENS = 160, 40
MATRICES = ("q", "k", "v", "ao", "fi", "fo")
EPSILON = 1e-12
_LAYER = re.compile(r"\d+\.l(\d+)\.")
NOT_INSTALLED = "it is not installed"


def as_read(text: str, paths: Sequence[str]) -> str:
    """The request as the encoder is given it."""
    files = f"\nfiles: {' '.join(paths)[:MAX_PATH_CHARS]}" if paths else ""
    return f"query: {text[:MAX_CHARS]}{files}"


def cut(numbers: list[int]) -> list[int]:
    """The first and the last pieces of a long text."""
    if len(numbers) <= MAX_TOKENS:
        return numbers
    return numbers[: MAX_TOKENS - LAST_TOKENS] + numbers[-LAST_TOKENS:]


@dataclass(frozen=True)
class Reader:
    """Last layers and a head, which come to an opinion."""

    layers: Sequence[Mapping[str, Floats]]
    head: Floats
    bias: Floats


class Encoder:
    """The model in memory, about 130 MB: `layers` that all readers share, and the readers."""

    def __init__(self, file: E5File, ours: Mapping[str, Floats]) -> None:
        """`ours` are the readers' weights: `0.head.w`, `0.l8.q.down`, …

        Raises ValueError where the file or the adapters lack something.
        """
        from threadpoolctl import ThreadpoolController  # pyright: ignore[reportMissingTypeStubs]

        self._threads: Any = ThreadpoolController()
        self._file, self._unigram, self._sizes = file, file.unigram, file.sizes
        width = self._sizes.width
        self._positions = file.vector("emb.pos").reshape(-1, width)
        self._kind = file.vector("emb.type")[:width]
        self._first_norm = file.vector("emb.ln.w"), file.vector("emb.ln.b")
        adapted = [int(found[1]) for name in ours if (found := _LAYER.match(name))]
        first = min(adapted, default=self._sizes.layers)
        self.layers = [self._layer(n, {}) for n in range(first)]
        numbers = sorted({name.partition(".")[0] for name in ours})
        self._readers = [self._reader(number, first, ours) for number in numbers]
        if not self._readers:
            raise ValueError(f"{FILE} has no weights")

    def _reader(self, number: str, first: int, ours: Mapping[str, Floats]) -> Reader:
        own = {
            name.removeprefix(f"{number}."): value
            for name, value in ours.items()
            if name.startswith(f"{number}.")
        }
        try:
            head, bias = own["head.w"], own["head.b"]
        except KeyError as error:
            raise ValueError(f"{FILE}: reader {number} has no {error}") from None
        layers = [self._layer(n, own) for n in range(first, self._sizes.layers)]
        return Reader(layers, head, bias)

    def _layer(self, n: int, ours: Mapping[str, Floats]) -> dict[str, Floats]:
        width = self._sizes.width
        found: dict[str, Floats] = {}
        for name in MATRICES:
            found[f"{name}.b"] = bias = self._file.vector(f"l{n}.{name}.b")
            inner = 4 * width if name == "fo" else width
            weights = self._file.matrix(f"l{n}.{name}.w", inner).T.copy()
            if f"l{n}.{name}.down" in ours:
                weights += ours[f"l{n}.{name}.down"] @ ours[f"l{n}.{name}.up"]
            if weights.shape != (inner, len(bias)):
                raise ValueError(f"layer {n}: {name} has the shape {weights.shape}")
            found[f"{name}.w"] = weights
        for name in ("aln.w", "aln.b", "oln.w", "oln.b"):
            key = f"l{n}.{name}"
            found[name] = ours[key] if key in ours else self._file.vector(key)
        return found

    def scores(self, text: str, paths: Sequence[str]) -> list[float]:
        """The logarithms of the probabilities of TASK_TYPES."""
        states = self.embedded(self.numbers(text, paths))
        # Threads that wait for each other cost more than they save: on two busy cores four times.
        with self._threads.limit(limits=1, user_api="blas"):
            for layer in self.layers:
                states = self._through(layer, states)
            opinions = [self._opinion(reader, states) for reader in self._readers]
        return log_softmax([sum(scores) / len(opinions) for scores in zip(*opinions, strict=True)])

    def _opinion(self, reader: Reader, states: Floats) -> list[float]:
        for layer in reader.layers:
            states = self._through(layer, states)
        return log_softmax((states.mean(0) @ reader.head + reader.bias).tolist())

    def numbers(self, text: str, paths: Sequence[str]) -> list[int]:
        """The pieces of a request, without the middle of a long one."""
        return cut(self._unigram.ids_of(as_read(text, paths)))

    def embedded(self, numbers: list[int]) -> Floats:
        """The states below the first layer."""
        words = self._file.rows("emb.word", numbers, self._sizes.width)
        return _normal(words + self._positions[: len(numbers)] + self._kind, *self._first_norm)

    def _through(self, layer: Mapping[str, Floats], states: Floats) -> Floats:
        import numpy as np

        heads = self._sizes.heads
        size = self._sizes.width // heads
        query, key, value = (
            _linear(layer, name, states).reshape(-1, heads, size).swapaxes(0, 1) for name in "qkv"
        )
        seen = query @ key.swapaxes(1, 2) / np.float32(math.sqrt(size))
        seen = np.exp(seen - seen.max(-1, keepdims=True))
        seen /= seen.sum(-1, keepdims=True)
        context = (seen @ value).swapaxes(0, 1).reshape(len(states), -1)
        states = _normal(states + _linear(layer, "ao", context), layer["aln.w"], layer["aln.b"])
        inner = _gelu(_linear(layer, "fi", states))
        return _normal(states + _linear(layer, "fo", inner), layer["oln.w"], layer["oln.b"])


def _linear(layer: Mapping[str, Floats], name: str, states: Floats) -> Floats:
    return states @ layer[f"{name}.w"] + layer[f"{name}.b"]


def _normal(states: Floats, weight: Floats, bias: Floats) -> Floats:
    import numpy as np

    away = states - states.mean(-1, keepdims=True)
    return away / np.sqrt((away * away).mean(-1, keepdims=True) + EPSILON) * weight + bias


def _gelu(x: Floats) -> Floats:
    """x times the normal distribution's share below x (Abramowitz and Stegun 7.1.26, to 1.5e-7)."""
    import numpy as np

    z = np.abs(x) * np.float32(math.sqrt(0.5))
    t = 1 / (1 + np.float32(0.3275911) * z)
    series = np.float32(1.061405429)
    for factor in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series = series * t + np.float32(factor)
    above = np.float32(0.5) * series * t * np.exp(-z * z)
    return x * np.where(x < 0, above, 1 - above)


def loaded(model: Path, adapters: bytes) -> Encoder:
    """The encoder of two files. Raises OSError or ValueError saying what is wrong with them."""
    import io

    import numpy as np

    from rung.escalation.text_model.e5_file import E5File

    try:
        with np.load(io.BytesIO(adapters), allow_pickle=False) as stored:
            ours = {n: stored[n].astype(np.float32) for n in stored.files if n != ABOUT}
    except (zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"{FILE}: {error}") from None
    return Encoder(E5File(model), ours)


def _has_wheel() -> bool:
    return sys.platform == "linux" and platform.machine() == "x86_64"


@cache
def packaged() -> Encoder | str:
    """The encoder if the extra is installed, or why there is none."""
    try:
        from rung.escalation.text_model.e5_file import model_file

        model = model_file()
        if model is None:
            return NOT_INSTALLED if _has_wheel() else "its weights come for Linux on x86-64 only"
        adapters = resources.files("rung.escalation.text_model").joinpath(FILE).read_bytes()
        return loaded(model, adapters)
    except ImportError:
        return NOT_INSTALLED
    except (OSError, ValueError) as error:
        return str(error)
