"""A bounded decimal as a list of values, for engines that enforce values but not decimal bounds."""

from __future__ import annotations

from decimal import Decimal
from itertools import count, takewhile
from typing import Any

from rung.structured.shapes import Number

_STEPS = ("0.01", "0.05", "0.1", "0.5")
_MAX_VALUES = 250


def grid(shape: Number) -> tuple[Any, ...]:
    """All values of a number at the finest step that gives few enough of them, or none."""
    if shape.low is None or shape.high is None or len(shape.multiples) > 1:
        return ()
    low, high = Decimal(str(shape.low)), Decimal(str(shape.high))
    steps = [str(shape.multiples[0])] if shape.multiples else list(_STEPS)
    for step in map(Decimal, steps):
        if (high - low) / step > _MAX_VALUES:
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
