"""Keywords of schemas that hold together, gathered into one value each.

A keyword whose value is not what it should be is passed over: older drafts let such values stand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any, cast

from rung.chat import JsonObject
from rung.structured.patterns import rewrite
from rung.structured.shapes import Number, Shape, Text, Values, json_key

TYPES = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})
ANNOTATIONS = frozenset(
    {"title", "description", "default", "examples", "example", "$comment", "deprecated", "$schema"}
)
FAMILIES = {
    "string": {"minLength", "maxLength", "pattern", "format"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
    "array": {
        "items",
        "additionalItems",
        "prefixItems",
        "unevaluatedItems",
        "minItems",
        "maxItems",
        "uniqueItems",
        "contains",
    },
    "object": {
        "properties",
        "required",
        "additionalProperties",
        "unevaluatedProperties",
        "patternProperties",
        "propertyNames",
        "minProperties",
        "maxProperties",
    },
}


def types_in(value: Any) -> frozenset[str]:
    """The types that a `type` keyword allows; "number" always comes with "integer"."""
    if value is None:
        return TYPES
    named = frozenset(cast("list[str]", value) if isinstance(value, list) else [cast(str, value)])
    return (named | {"integer"} if "number" in named else named) & TYPES


def types_of(schemas: Iterable[JsonObject]) -> frozenset[str]:
    """The types that all schemas allow."""
    allowed = TYPES
    for schema in schemas:
        allowed &= types_in(schema.get("type"))
    return allowed


def allowed_values(schemas: Iterable[JsonObject]) -> list[Any] | None:
    """The values that all `enum`, `const` and `not` keywords leave, or None if open."""
    values: list[Any] | None = None
    excluded: list[Any] = []
    for schema in schemas:
        for listed in _listed(schema):
            values = listed if values is None else _common(values, listed)
        excluded += _excluded(schema)
    if values is None:
        return None
    outside = set(map(json_key, excluded))
    return [value for value in values if json_key(value) not in outside]


def excluded_values(schemas: Iterable[JsonObject]) -> list[Any]:
    """The values that `not` with an `enum` or `const` rules out."""
    return [value for schema in schemas for value in _excluded(schema)]


def is_value_list(schema: Any) -> bool:
    """Whether the schema says nothing but which values are allowed."""
    if not isinstance(schema, dict):
        return False
    said = cast(JsonObject, schema).keys() - ANNOTATIONS
    return bool(said) and said <= {"enum", "const"}


def inferred_types(schemas: Iterable[JsonObject]) -> frozenset[str]:
    """The types that the keywords are about: an author who says only maxLength means a string."""
    keywords = {keyword for schema in schemas for keyword in schema}
    return frozenset(kind for kind, family in FAMILIES.items() if family & keywords)


def type_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return "integer"
    named = {float: "number", str: "string", list: "array", dict: "object"}
    return named[cast("type[Any]", type(value))]


def text(schemas: list[JsonObject]) -> Shape | None:
    low, high = count(schemas, "minLength", max), count(schemas, "maxLength", min)
    if high is not None and high < (low or 0):
        return None
    patterns = dict.fromkeys(s["pattern"] for s in schemas if isinstance(s.get("pattern"), str))
    formats = dict.fromkeys(s["format"] for s in schemas if isinstance(s.get("format"), str))
    fitted = [rewrite(pattern, 0, high) for pattern in patterns] if high is not None else []
    if high is not None and any(one is not None and one.shortest > high for one in fitted):
        return None
    return Text(low or 0, high, tuple(patterns), tuple(formats))


def number(schemas: list[JsonObject], is_whole: bool) -> Shape | None:
    multiples, is_whole = _multiples(schemas, is_whole)
    low, is_low_open = _bound(schemas, "minimum", "exclusiveMinimum", max)
    high, is_high_open = _bound(schemas, "maximum", "exclusiveMaximum", min)
    if is_whole and low is not None:
        low, is_low_open = (math.floor(low) + 1 if is_low_open else math.ceil(low)), False
    if is_whole and high is not None:
        high, is_high_open = (math.ceil(high) - 1 if is_high_open else math.floor(high)), False
    if low is not None and high is not None:
        if low > high or (low == high and (is_low_open or is_high_open)):
            return None
        if low == high and not multiples:
            return Values((low,))
        if any(_has_none(n, low, high, is_low_open, is_high_open) for n in multiples):
            return None
    return Number(is_whole, low, high, is_low_open, is_high_open, multiples)


def _multiples(schemas: list[JsonObject], is_whole: bool) -> tuple[tuple[float, ...], bool]:
    """What the number must be a multiple of, and whether that makes it whole."""
    found = [n for n in _numbers(schemas, "multipleOf") if n > 0]
    wholes = [int(n) for n in found if n % 1 == 0]
    parts = dict.fromkeys(n for n in found if n % 1)
    if is_whole or wholes:
        parts = {n: None for n in parts if Fraction(str(n)).numerator != 1}
    step = math.lcm(*wholes)
    return (*([step] if step > 1 else []), *parts), is_whole or bool(wholes)


def _has_none(step: float, low: float, high: float, is_low_open: bool, is_high_open: bool) -> bool:
    """Whether no multiple of `step` is between the bounds."""
    exact, first, last = Decimal(str(step)), Decimal(str(low)), Decimal(str(high))
    if (last - first) / exact > 2:
        return False
    start = (first / exact).to_integral_value("ROUND_CEILING") * exact
    start += exact if is_low_open and start == first else 0
    return start > last or (is_high_open and start == last)


def count(
    schemas: list[JsonObject], keyword: str, strictest: Callable[[list[float]], float]
) -> int | None:
    """A length or number of things: the strictest that any schema asks for."""
    found = _numbers(schemas, keyword)
    return int(strictest(found)) if found else None


def names(schemas: Iterable[JsonObject], keyword: str) -> list[str]:
    """The strings in a list, such as `required`, in order and once each."""
    lists = [cast("list[Any]", s[keyword]) for s in schemas if isinstance(s.get(keyword), list)]
    return list(dict.fromkeys(n for found in lists for n in found if isinstance(n, str)))


def mapping(schema: JsonObject, keyword: str) -> JsonObject:
    found = schema.get(keyword)
    return cast(JsonObject, found) if isinstance(found, dict) else {}


def prefix(schema: JsonObject) -> list[Any]:
    """The schemas of the first items, by position; until 2019-09 they stood in `items`."""
    found = schema.get("prefixItems", schema.get("items"))
    return cast("list[Any]", found) if isinstance(found, list) else []


def rest(schema: JsonObject) -> Any:
    """The schema of the items after the first ones."""
    keywords = ["additionalItems", "unevaluatedItems"]
    if not isinstance(schema.get("items"), list):
        keywords = ["items", "unevaluatedItems"]
    return next((schema[keyword] for keyword in keywords if keyword in schema), True)


def _listed(schema: JsonObject) -> list[list[Any]]:
    lists = [cast("list[Any]", schema["enum"])] if isinstance(schema.get("enum"), list) else []
    return [*lists, [schema["const"]]] if "const" in schema else lists


def _excluded(schema: JsonObject) -> list[Any]:
    inner = schema.get("not")
    if not is_value_list(inner):
        return []
    lists = _listed(cast(JsonObject, inner))
    return lists[0] if len(lists) == 1 else _common(*lists)


def _common(values: list[Any], others: list[Any]) -> list[Any]:
    keys = set(map(json_key, others))
    return [value for value in values if json_key(value) in keys]


def _bound(
    schemas: list[JsonObject], closed: str, opened: str, strictest: Callable[[list[float]], float]
) -> tuple[float | None, bool]:
    """The strictest bound, and whether it is open; in draft 4 `exclusiveMinimum` is a boolean."""
    closed_at = _numbers([s for s in schemas if s.get(opened) is not True], closed)
    open_at = _numbers([s for s in schemas if s.get(opened) is True], closed)
    open_at += _numbers(schemas, opened)
    if not closed_at + open_at:
        return None, False
    bound = strictest(closed_at + open_at)
    return bound, bound in open_at


def _numbers(schemas: list[JsonObject], keyword: str) -> list[float]:
    found = [schema.get(keyword) for schema in schemas]
    return [n for n in found if isinstance(n, int | float) and not isinstance(n, bool)]
