"""What fails a keyword of a schema, as schemas: some of all there is, and nothing that does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from rung.chat import JsonObject
from rung.structured import keywords
from rung.structured.keywords import TYPES

_OPPOSITE_BOUNDS: dict[str, Callable[[Any], JsonObject]] = {
    "minimum": lambda n: {"type": "number", "exclusiveMaximum": n},
    "maximum": lambda n: {"type": "number", "exclusiveMinimum": n},
    "minLength": lambda n: {"type": "string", "maxLength": n - 1},
    "maxLength": lambda n: {"type": "string", "minLength": n + 1},
    "minItems": lambda n: {"type": "array", "maxItems": n - 1},
    "maxItems": lambda n: {"type": "array", "minItems": n + 1},
}


def failures(keyword: str, value: Any, can_fail: Callable[[Any], bool]) -> list[Any]:
    """Schemas of what fails one keyword; `can_fail` knows whether a subschema can be negated."""
    if keyword == "not":
        return [value]
    if keyword in ("enum", "const"):
        return [{"not": {keyword: value}}]
    if keyword == "type":
        others = TYPES - keywords.types_in(value)
        # JSON Schema has no type for the numbers that are not integers.
        others = others if "integer" in others else others - {"number"}
        return [{"type": sorted(others)}] if others else []
    if keyword == "required":
        return [{"type": "object", "properties": {name: False}} for name in _list(value)]
    if keyword == "allOf":
        return [{"not": sub} for sub in _list(value) if can_fail(sub)]
    if keyword == "anyOf":
        branches = _list(value)
        can_all_fail = all(map(can_fail, branches))
        return [{"allOf": [{"not": sub} for sub in branches]}] if can_all_fail else []
    if keyword == "properties" and isinstance(value, dict):
        return [
            {"type": "object", "required": [name], "properties": {name: {"not": sub}}}
            for name, sub in cast(JsonObject, value).items()
            if can_fail(sub)
        ]
    if keyword in ("minLength", "minItems") and value == 0:
        return []  # nothing is shorter
    if keyword in _OPPOSITE_BOUNDS and isinstance(value, int | float):
        return [_OPPOSITE_BOUNDS[keyword](value)]
    return []


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []
