"""How values, strings and numbers are written for a target, and how long they can get."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from rung.chat import JsonObject
from rung.structured.formats import FORMATS
from rung.structured.grid import grid
from rung.structured.patterns import Fitted, rewrite
from rung.structured.shapes import Number, Text, Values
from rung.structured.targets import Target

MAX_VALUES = 1_000
# What a decimal may take under llama.cpp's grammar: 16 digits, a point, 16 more, and an exponent.
_DECIMAL_CHARACTERS = 52
_INTEGER_CHARACTERS = 17
# How far numbers go where nothing else would end their digits.
_LARGEST = 10**12
_LAST_DECIMAL = 0.0001
# Longer patterns than this are not offered, whatever the room.
_MAX_PATTERN_CHARACTERS = 256


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
def text_leaf(shape: Text, target: Target, cap: int | None, is_careful: bool = False) -> Leaf:
    """A string of at most `cap` characters, where its author left that open or wider.

    Where it `is_careful`, no string is offered that its pattern allows and its length does not.
    """
    longest = shape.max_length
    if cap is not None and (longest is None or longest > cap):
        longest = max(cap, shape.min_length)
    if target.has_plain_patterns:
        fitted, relaxed = _fitted_pattern(shape, longest, is_careful)
        if fitted is not None:
            schema: JsonObject = {"type": "string", "pattern": fitted.pattern}
            return Leaf(schema, fitted.longest + 2, relaxed)
        found: JsonObject = {}
    elif (pattern := _bounded_pattern(shape, target)) is not None:
        return Leaf({"type": "string", "pattern": pattern}, math.inf)
    else:
        found, relaxed = _native_pattern(shape, target)
    bounds = {"minLength": shape.min_length or None, "maxLength": longest}
    given = {keyword: bound for keyword, bound in bounds.items() if bound is not None}
    if target.has_lengths:
        found |= given
    elif given and not found and (pattern := _lengths_pattern(shape, target)):
        found["pattern"] = pattern
    elif given:
        relaxed = (*relaxed, "minLength and maxLength: are not enforced")
    return Leaf({"type": "string", **found}, math.inf if longest is None else longest + 2, relaxed)


def _fitted_pattern(
    shape: Text, longest: int | None, is_careful: bool
) -> tuple[Fitted | None, tuple[str, ...]]:
    """One rewritten pattern that stands for the pattern or format of a string."""
    relaxed: list[str] = []
    wanted = [("pattern", pattern) for pattern in shape.patterns]
    wanted += [(f"format {name}", FORMATS[name]) for name in shape.formats if name in FORMATS]
    fitted = None
    room = min(longest or _MAX_PATTERN_CHARACTERS, _MAX_PATTERN_CHARACTERS)
    for what, pattern in wanted:
        found = rewrite(pattern, shape.min_length, room, is_careful) if fitted is None else None
        if found is None:
            relaxed.append(f"{what}: is not enforced")
        fitted = fitted or found
    if fitted is not None and fitted.shortest < shape.min_length:
        relaxed.append(f"minLength {shape.min_length}: is not enforced")
    if fitted is not None and shape.max_length is not None and fitted.longest > shape.max_length:
        relaxed.append(f"maxLength {shape.max_length}: is not enforced")
    return fitted, tuple(relaxed)


def _native_pattern(shape: Text, target: Target) -> tuple[JsonObject, tuple[str, ...]]:
    found: JsonObject = {}
    relaxed: list[str] = []
    for pattern in shape.patterns:
        # What cannot be rewritten has parts, such as lookaround, that engines refuse.
        is_refused = "pattern" in target.refused or "pattern" in found
        if is_refused or rewrite(pattern, 0, _MAX_PATTERN_CHARACTERS) is None:
            relaxed.append("pattern: is not enforced")
        else:
            found["pattern"] = pattern
    for name in shape.formats:
        if name in target.formats and not found:
            found["format"] = name
        elif name in FORMATS:
            relaxed.append(f"format {name}: is not enforced")
    return found, tuple(relaxed)


def _bounded_pattern(shape: Text, target: Target) -> str | None:
    """A pattern that keeps the lengths too, for those who know no lengths; None if it cannot."""
    high = shape.max_length
    if target.has_lengths or "pattern" in target.refused or len(shape.patterns) != 1:
        return None
    if high is None or high > target.max_repeats:
        return None
    fitted = rewrite(shape.patterns[0], shape.min_length, high, is_careful=True)
    if fitted is None or fitted.shortest < shape.min_length or fitted.longest > high:
        return None
    return fitted.pattern


def _lengths_pattern(shape: Text, target: Target) -> str | None:
    """Lengths as a pattern, for those who know patterns only; None where that is too long."""
    low, high = shape.min_length, shape.max_length
    if "pattern" in target.refused or max(low, high or 0) > target.max_repeats:
        return None
    end = "" if high is None else str(high)
    return r"^[\s\S]+$" if (low, high) == (1, None) else rf"^[\s\S]{{{low},{end}}}$"


@lru_cache(maxsize=4096)
def number_leaf(shape: Number, target: Target) -> Leaf:
    relaxed: tuple[str, ...] = ()
    if _is_hard(shape, target):
        if values := grid(shape):
            return values_leaf(Values(values))
        relaxed = ("bounds or multiples of the number: are not enforced",)
    shape = _ended(shape, target) if target.has_endless_numbers else shape
    bounds = {
        "exclusiveMinimum" if shape.is_low_open else "minimum": shape.low,
        "exclusiveMaximum" if shape.is_high_open else "maximum": shape.high,
    }
    given = {keyword: bound for keyword, bound in bounds.items() if bound is not None}
    kept = {k: bound for k, bound in given.items() if abs(bound) <= target.max_integer}
    if len(kept) < len(given):
        relaxed = (*relaxed, "bounds that large: are not enforced")
    schema: JsonObject = {"type": "integer" if shape.is_whole else "number", **kept}
    if len(shape.multiples) == 1:
        schema["multipleOf"] = shape.multiples[0]
    elif shape.multiples:
        relaxed = (*relaxed, "multipleOf: is not enforced")
    if not shape.is_whole:
        return Leaf(schema, _DECIMAL_CHARACTERS, relaxed)
    is_short = len(kept) == 2
    width = max(map(_width, kept.values())) if is_short else _INTEGER_CHARACTERS
    return Leaf(schema, width, relaxed)


def _is_hard(shape: Number, target: Target) -> bool:
    """Whether the target does not enforce what the number must be."""
    has_bounds = shape.low is not None or shape.high is not None
    if shape.multiples and (not target.has_decimal_bounds or "multipleOf" in target.refused):
        return True
    is_enforced = target.has_bounds if shape.is_whole else target.has_decimal_bounds
    return has_bounds and not is_enforced


def _ended(shape: Number, target: Target) -> Number:
    """With bounds, and a last decimal, where its author gave none."""
    low, high = shape.low, shape.high
    if low is None:
        low = -_LARGEST if high is None or high > 0 else high - _LARGEST
    if high is None:
        high = _LARGEST if low < 0 else low + _LARGEST
    multiples = shape.multiples
    if not shape.is_whole and not multiples and "multipleOf" not in target.refused:
        multiples = (_LAST_DECIMAL,)
    return replace(shape, low=low, high=high, multiples=multiples)


def _width(number: float) -> int:
    return len(str(int(number)))
