"""A linear model over features: the weights that are packaged, and what they say of a request."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources

import msgspec

from rung.escalation.task import TASK_TYPES

FILE = "linear.json"
FORMAT = 2


class LinearModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Weights by feature, in the order of TASK_TYPES, as whole numbers of `unit`.

    A request is critical from the probability `critical_from` on, or from
    `critical_from_if_rules_agree` where the rules alone say so. An encoder has a say of
    `encoder_share`.
    """

    format: int
    trained_on: str
    bias: tuple[float, float, float, float]
    unit: float
    critical_from: float
    critical_from_if_rules_agree: float
    encoder_share: float
    weights: dict[str, tuple[int, int, int, int]]

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ValueError(f"its format is {self.format}, not {FORMAT}")

    def scores(self, values: Mapping[str, float]) -> list[float]:
        """The logarithms of the probabilities of TASK_TYPES."""
        totals = [0.0] * len(TASK_TYPES)
        for name, value in sorted(values.items()):
            for at, weight in enumerate(self.weights[name]):
                totals[at] += weight * value
        return log_softmax([b + t * self.unit for b, t in zip(self.bias, totals, strict=True)])


def log_softmax(scores: Sequence[float]) -> list[float]:
    """Scores as logarithms of probabilities that add up to 1."""
    top = max(scores)
    total = top + math.log(sum(math.exp(score - top) for score in scores))
    return [score - total for score in scores]


def decoded(raw: bytes) -> LinearModel:
    """The model in a file. Raises ValueError saying what is wrong with it."""
    try:
        return msgspec.json.decode(raw, type=LinearModel)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from None


@cache
def packaged() -> LinearModel | str:
    """The model that comes with Rung, or why it cannot be used."""
    file = resources.files("rung.escalation.text_model").joinpath(FILE)
    try:
        return decoded(file.read_bytes())
    except (OSError, ValueError) as error:
        return f"{FILE}: {error}"
