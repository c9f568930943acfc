"""Objects with free keys: as they are, with a bound on their keys, or with a few fixed ones."""

from __future__ import annotations

import math
from random import Random

from rung.chat import JsonObject
from rung.structured.instances import random_instance
from rung.structured.leaves import Leaf, length_of
from rung.structured.patterns import rewrite
from rung.structured.shapes import Object, Text

# What a dictionary is taken to need where nothing bounds it, and gets where something does.
ENTRIES = 4
_KEY_CHARACTERS = 24
_KEY = rf"^[A-Za-z0-9_.-]{{1,{_KEY_CHARACTERS}}}$"
_TRIES = 8
_MAX_SLOTS = 100
_BRACKETS = 5
_PAIR = 6


def free_keys(shape: Object, value: Leaf, entries: float) -> Leaf:
    """Any keys at all, which no bound is put on: `entries` is how many are reckoned with."""
    relaxed = value.relaxed
    if shape.key is not None or shape.min_properties or shape.max_properties is not None:
        relaxed += ("names and number of the keys: are not enforced",)
    schema: JsonObject = {"type": "object"}
    if value.schema:
        schema["additionalProperties"] = value.schema
    return Leaf(schema, _BRACKETS + entries * (_KEY_CHARACTERS + value.characters), relaxed)


def bounded_keys(shape: Object, value: Leaf, cap: int | None) -> Leaf:
    """Keys under a pattern, at most `cap` of them, for engines that enforce both."""
    key = shape.key or Text()
    longest = max(_KEY_CHARACTERS, key.min_length)
    if key.max_length is not None:
        longest = min(longest, key.max_length)
    fitted = rewrite(key.patterns[0] if key.patterns else _KEY, key.min_length, longest)
    relaxed = value.relaxed
    if fitted is None or len(key.patterns) > 1 or key.formats:
        relaxed += ("names of the keys: are not enforced",)
    limits = [n for n in (shape.max_properties, cap or ENTRIES) if n is not None]
    most = max(min(limits), shape.min_properties)
    schema: JsonObject = {
        "type": "object",
        "patternProperties": {_KEY if fitted is None else fitted.pattern: value.schema},
        "additionalProperties": False,
        "minProperties": shape.min_properties,
        "maxProperties": most,
    }
    return Leaf(schema, _BRACKETS + most * (longest + 2 + value.characters + _PAIR), relaxed)


def hinted_keys(shape: Object, value: Leaf) -> Leaf:
    """All that the author says of keys, for a model that is only shown it."""
    limits = {"minProperties": shape.min_properties or None, "maxProperties": shape.max_properties}
    schema: JsonObject = {"type": "object"}
    schema |= {keyword: limit for keyword, limit in limits.items() if limit is not None}
    key = shape.key or Text()
    if key.patterns:
        schema["patternProperties"] = {key.patterns[0]: value.schema}
        schema["additionalProperties"] = False
    elif value.schema:
        schema["additionalProperties"] = value.schema
    is_whole = key in (Text(), Text(patterns=key.patterns[:1]))
    relaxed = () if is_whole else ("names of the keys: are not enforced",)
    return Leaf(schema, math.inf, (*value.relaxed, *relaxed))


def fixed_keys(shape: Object, value: Leaf, slots: int) -> Leaf:
    """`slots` keys that Rung makes up, or as many as the author asks for."""
    count = min(max(slots, shape.min_properties), _MAX_SLOTS)
    if shape.max_properties is not None:
        count = min(count, shape.max_properties)
    names = slot_names(shape.key, count)
    schema: JsonObject = {
        "type": "object",
        "properties": dict.fromkeys(names, value.schema),
        "required": names[: shape.min_properties],
        "additionalProperties": False,
    }
    offered = f"free keys: only {', '.join(names)} are offered" if names else "free keys: left out"
    relaxed = (*value.relaxed, offered)
    if len(names) < shape.min_properties:
        relaxed += (f"minProperties {shape.min_properties}: is not enforced",)
    characters = sum(length_of(name) + value.characters + _PAIR for name in names)
    return Leaf(schema, _BRACKETS + characters, relaxed)


def slot_names(key: Text | None, count: int) -> list[str]:
    """Up to `count` different keys, always the same ones, that `key` allows; None allows all."""
    plain = [f"key_{n}" for n in range(1, count + 1)]
    if key is None or (not key.patterns and all(_has_room(key, name) for name in plain)):
        return plain
    room = _KEY_CHARACTERS if key.max_length is None else min(key.max_length, _KEY_CHARACTERS)
    pattern = key.patterns[0] if key.patterns else "^[a-z]*$"
    fitted = rewrite(pattern, key.min_length, max(room, key.min_length))
    if fitted is None:
        return plain
    random = Random(0)  # noqa: S311 (for names, not for secrets)
    schema = {"type": "string", "pattern": fitted.pattern}
    found = (random_instance(schema, random) for _ in range(count * _TRIES))
    return [name for name in dict.fromkeys(found) if _has_room(key, name)][:count]


def _has_room(key: Text, name: str) -> bool:
    return key.min_length <= len(name) and (key.max_length is None or len(name) <= key.max_length)
