"""A bounded number as a list of values, for engines that enforce values but not such bounds."""

from __future__ import annotations

from decimal import Decimal
from itertools import count, takewhile
from typing import Any

from rung.structured.shapes import Number

_STEPS = ("0.01", "0.05", "0.1", "0.5")
_MOST_STEPS = 10**15  # from zero; what is further away is no longer exact


def grid(shape: Number, most: int) -> tuple[Any, ...]:
    """All values of a number, decimals at the finest step that gives at most `most`, or none."""
    if shape.low is None or shape.high is None or len(shape.multiples) > 1:
        return ()
    low, high = Decimal(str(shape.low)), Decimal(str(shape.high))
    steps = ["1"] if shape.is_whole else list(_STEPS)
    for step in map(Decimal, map(str, shape.multiples) if shape.multiples else steps):
        if (high - low) / step > most or max(-low, high) / step > _MOST_STEPS:
            continue
        first = (low / step).to_integral_value("ROUND_CEILING") * step
        points = takewhile(lambda p: p <= high, (first + i * step for i in count()))
        inside = [
            point
            for point in points
            if not (shape.is_low_open and point == low)
            and not (shape.is_high_open and point == high)
            and not (shape.is_whole and point % 1)
        ]
        return tuple(int(point) if point % 1 == 0 else float(point) for point in inside)
    return ()
