"""Random answers under a compiled schema: what an engine might say that knows nothing but it."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from random import Random
from typing import Any, cast

from rung.chat import JsonObject
from rung.structured.formats import FORMATS
from rung.structured.patterns import rewrite
from rung.structured.regex import Chars, Choice, Node, Repeat, UnsupportedError, parse
from rung.structured.validate import is_valid_under

# Ends for what the schema leaves open. Strings and lists stay short: it is their parts that count.
_MORE_CHARACTERS = 12
_MORE_ITEMS = 3
_MORE_KEYS = 2
_TRIES = 4
_WIDE = 1_000
_LETTERS = "abcdefghijklmnopqrstuvwxyz ABCXYZ 0123456789 ,.-_äπ漢"
_LOOKAROUND = re.compile(r"\(\?<?[=!](?:[^()\\]|\\.)*\)")
_SIMPLE: JsonObject = {"anyOf": [{"type": kind} for kind in ("string", "number", "boolean")]}


def random_instance(schema: JsonObject, random: Random) -> Any:
    """One answer under `schema`, which has only keywords that compiled schemas have.

    A compiled schema is finite and free of references, so this ends. Where `random` leaves a
    choice of length, an end is as likely as the middle: mistakes are at the ends.
    """
    if "anyOf" in schema:
        return random_instance(random.choice(schema["anyOf"]), random)
    if "enum" in schema:
        return random.choice(schema["enum"])
    match schema.get("type"):
        case "string":
            return _string(schema, random)
        case "integer" | "number":
            return _number(schema, random)
        case "array":
            return _array(schema, random)
        case "object":
            return _object(schema, random)
        case "boolean":
            return random.random() < 0.5
        case "null":
            return None
        case _:
            return random_instance(_SIMPLE, random)


def _string(schema: JsonObject, random: Random) -> str:
    low, high = schema.get("minLength", 0), schema.get("maxLength")
    pattern = schema.get("pattern") or FORMATS.get(schema.get("format", ""))
    if pattern is not None:
        return _matching_string(pattern, low, high, random)
    length = _between(low, high, _MORE_CHARACTERS, random)
    return "".join(random.choices(_LETTERS, k=length))


def _matching_string(pattern: str, low: int, high: int | None, random: Random) -> str:
    """A string for a pattern; what looks ahead or back in it is met by chance, if at all."""
    plain = _LOOKAROUND.sub("", pattern)
    if low or high is not None:
        fitted = rewrite(plain, low, low + _MORE_CHARACTERS if high is None else high, True)
        plain = plain if fitted is None else fitted.pattern
    try:
        node = parse(plain)
    except (UnsupportedError, RecursionError):
        node = Repeat(Choice(tuple(Chars(((ord(c), ord(c)),)) for c in _LETTERS)), low, high)
    found = _matching(node, random)
    for _ in range(0 if plain == pattern else _TRIES):
        if is_valid_under(found, {"pattern": pattern}):
            break
        found = _matching(node, random)
    return found


def _matching(node: Node, random: Random, room: int = _MORE_CHARACTERS) -> str:
    """A match; repetitions inside others get less and less `room`, else it would never end."""
    if isinstance(node, Chars):
        low, high = random.choice(node.ranges)
        return chr(random.randint(low, high))
    if isinstance(node, Choice):
        return _matching(random.choice(node.options), random, room)
    if isinstance(node, Repeat):
        times = _between(node.low, node.high, room, random)
        return "".join(_matching(node.part, random, room // 2) for _ in range(times))
    return "".join(_matching(part, random, room) for part in node.parts)


def _number(schema: JsonObject, random: Random) -> float:
    """A multiple of `multipleOf`, else a whole number, or one with two decimals."""
    step = schema.get("multipleOf") or (1 if schema["type"] == "integer" else 0.01)
    digits = schema.get("maxDigits", schema.get("maxDigitsInteger"))
    wide = _WIDE * max(step, 1) if digits is None else min(_WIDE, 10**digits - 1)
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is None:
        low = -wide if high is None else high - wide
    if high is None:
        high = low + 2 * wide
    try:
        first = (
            math.floor(low / step) + 1 if "exclusiveMinimum" in schema else math.ceil(low / step)
        )
        last = (
            math.ceil(high / step) - 1 if "exclusiveMaximum" in schema else math.floor(high / step)
        )
    except OverflowError:  # a step that is next to nothing: any number is as good
        return low
    first += "exclusiveMinimum" in schema and first * step == low
    last -= "exclusiveMaximum" in schema and last * step == high
    steps = random.randint(first, max(first, last))
    return steps * step if isinstance(step, int) else float(steps * Decimal(str(step)))


def _array(schema: JsonObject, random: Random) -> list[Any]:
    prefix = schema.get("prefixItems", [])
    if prefix:
        return [random_instance(item, random) for item in prefix]
    low = schema.get("minItems", 0)
    length = _between(low, schema.get("maxItems"), _MORE_ITEMS, random)
    return [random_instance(schema.get("items", _SIMPLE), random) for _ in range(length)]


def _object(schema: JsonObject, random: Random) -> JsonObject:
    required = set(cast("list[str]", schema.get("required", [])))
    found = {
        name: random_instance(sub, random)
        for name, sub in schema.get("properties", {}).items()
        if name in required or random.random() < 0.5
    }
    for pattern, sub in schema.get("patternProperties", {}).items():
        most, least = schema.get("maxProperties"), schema.get("minProperties", 0)
        count = _between(least, most, _MORE_KEYS, random)
        for _ in range(count * _TRIES):  # some keys come twice
            if len(found) < count:
                key = _string({"pattern": pattern}, random)
                found[key] = random_instance(sub or _SIMPLE, random)
    extra = schema.get("additionalProperties", True)
    if extra is not False:
        for _ in range(random.randint(0, _MORE_KEYS)):
            key = "".join(random.choices(_LETTERS, k=random.randint(1, _MORE_CHARACTERS)))
            found[key] = random_instance(_SIMPLE if extra is True else extra, random)
    return found


def _between(low: int, high: int | None, room: int, random: Random) -> int:
    top = low + room if high is None else min(high, low + room)
    ends = [end for end in (low, high) if end is not None and end <= low + 4 * room]
    return random.choice(ends) if random.random() < 0.3 else random.randint(low, top)
