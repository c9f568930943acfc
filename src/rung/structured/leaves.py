"""How values and numbers are written for a target, and how long they can get."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from rung.chat import JsonObject
from rung.structured.grid import grid
from rung.structured.shapes import Number, Values
from rung.structured.targets import Target

MAX_VALUES = 1_000
# What a decimal may take under llama.cpp's grammar: 16 digits, a point, 16 more, and an exponent.
_DECIMAL_CHARACTERS = 52
_INTEGER_CHARACTERS = 17
_MAX_DIGITS = 15
# How far numbers go where nothing else would end their digits.
_LARGEST = 10**12
_LAST_DECIMAL = 0.0001


@dataclass(frozen=True, slots=True)
class Leaf:
    """`characters` is the length of the longest answer; `relaxed` says what is not enforced."""

    schema: JsonObject
    characters: float
    relaxed: tuple[str, ...] = ()


def values_leaf(shape: Values) -> Leaf:
    values = shape.values[:MAX_VALUES]
    relaxed = ()
    if len(shape.values) > len(values):
        relaxed = (f"only the first {MAX_VALUES} listed values are offered",)
    characters = max(map(length_of, values))
    if values == (None,):
        return Leaf({"type": "null"}, characters, relaxed)
    if len(values) == 2 and all(isinstance(value, bool) for value in values):
        return Leaf({"type": "boolean"}, characters, relaxed)
    named = {"type": "string"} if all(isinstance(value, str) for value in values) else {}
    return Leaf({**named, "enum": list(values)}, characters, relaxed)


def length_of(value: Any) -> int:
    """The characters of a value as JSON."""
    if isinstance(value, str) and value.isalnum():  # nothing to escape: most names and values
        return len(value) + 2
    return len(json.dumps(value, ensure_ascii=False))


@lru_cache(maxsize=4096)
def number_leaf(shape: Number, target: Target) -> Leaf:
    asked = shape
    relaxed: tuple[str, ...] = ()
    enforced = _enforced(shape, target)
    if enforced != shape:
        most = target.max_listed_integers if shape.is_whole else target.max_listed_decimals
        if values := grid(shape, most):
            return values_leaf(Values(values))
        relaxed = ("bounds or multiples of the number: are not enforced",)
    shape = _ended(enforced, target) if target.has_endless_numbers else enforced
    bounds = {
        "exclusiveMinimum" if shape.is_low_open else "minimum": shape.low,
        "exclusiveMaximum" if shape.is_high_open else "maximum": shape.high,
    }
    given = {keyword: bound for keyword, bound in bounds.items() if bound is not None}
    kept = {k: bound for k, bound in given.items() if abs(bound) <= target.max_integer}
    if len(kept) < len(given):
        relaxed = (*relaxed, "bounds that large: are not enforced")
    schema: JsonObject = {"type": "integer" if shape.is_whole else "number", **kept}
    if shape.multiples:
        schema["multipleOf"] = shape.multiples[0]
    if target.has_digits:
        schema |= _digits(asked)
    if not shape.is_whole:
        return Leaf(schema, _DECIMAL_CHARACTERS, relaxed)
    is_short = len(kept) == 2
    width = max(map(_width, kept.values())) if is_short else _INTEGER_CHARACTERS
    return Leaf(schema, width, relaxed)


def whole(shape: Number) -> Number:
    """The whole numbers within a decimal's bounds; itself where it has none, or none lies there."""
    is_open = shape.low is None and shape.high is None
    low, high = shape.low, shape.high
    if low is not None:
        low = math.floor(low) + 1 if shape.is_low_open else math.ceil(low)
    if high is not None:
        high = math.ceil(high) - 1 if shape.is_high_open else math.floor(high)
    is_empty = low is not None and high is not None and low > high
    if shape.is_whole or shape.multiples or is_open or is_empty:
        return shape
    return Number(True, low, high)


def _digits(shape: Number) -> JsonObject:
    """As many digits as the number may have, in the keywords of Outlines."""
    if not shape.is_whole:
        parts = {"Integer": _MAX_DIGITS, "Fraction": _MAX_DIGITS, "Exponent": 2}
        ends = {f"maxDigits{part}": most for part, most in parts.items()}
        return {**ends, "minDigitsFraction": 1, "minDigitsExponent": 1}
    if shape.low is None or shape.high is None:
        return {"maxDigits": _MAX_DIGITS}
    return {"maxDigits": max(len(str(abs(int(bound)))) for bound in (shape.low, shape.high))}


def _enforced(shape: Number, target: Target) -> Number:
    """What the target enforces of a number: a bound that it passes over is no bound."""
    has_bounds = target.has_bounds if shape.is_whole else target.has_decimal_bounds
    kept = shape if has_bounds else Number(shape.is_whole, multiples=shape.multiples)
    return replace(kept, multiples=shape.multiples[:1] if target.has_multiples else ())


def _ended(shape: Number, target: Target) -> Number:
    """With bounds, and a last decimal, where its author gave none."""
    low, high = shape.low, shape.high
    if low is None:
        low = -_LARGEST if high is None or high > 0 else high - _LARGEST
    if high is None:
        high = _LARGEST if low < 0 else low + _LARGEST
    multiples = shape.multiples
    if not shape.is_whole and not multiples and target.has_multiples:
        multiples = (_LAST_DECIMAL,)
    return replace(shape, low=low, high=high, multiples=multiples)


def _width(number: float) -> int:
    return len(str(int(number)))
