"""Hypothesis strategies: schemas as people write them, and answers as an engine may give them."""

from __future__ import annotations

from math import ceil, floor
from typing import Any

from hypothesis import strategies as st

from rung.structured.formats import FORMATS
from rung.structured.validate import is_valid_under

# A class that leaves characters out is built one by one: of all of Unicode that takes minutes.
ALPHABET = st.characters(max_codepoint=0x2FF)

NAMES = ["name", "kind", "a/b~c", "ünïcode", "next"]
PATTERNS = [
    r"^[a-z]+$",
    r"^\d{4}-\d{2}$",
    r"^https?://",
    r"[A-Z]",
    r"^(a|b|)c*$",
    r"^[^,;]+$",
    r"^\S+@\S+$",
    r"^(?!x).*$",
]
NAMED = ["date", "time", "date-time", "email", "uri", "uuid", "ipv4", "hostname", "of-my-own"]

_small = st.integers(0, 6)


def _bounded(low: str, high: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(_small, _small).map(lambda pair: {low: min(pair), high: max(pair)})


_strings = st.one_of(
    st.just({"type": "string"}),
    _bounded("minLength", "maxLength").map(lambda bounds: {"type": "string", **bounds}),
    st.sampled_from(PATTERNS).map(lambda pattern: {"type": "string", "pattern": pattern}),
    st.sampled_from(NAMED).map(lambda name: {"type": "string", "format": name}),
)
_numbers = st.one_of(
    st.sampled_from([{"type": "integer"}, {"type": "number"}, {"minimum": 3}]),
    _bounded("minimum", "maximum").map(lambda bounds: {"type": "integer", **bounds}),
    _bounded("minimum", "maximum").map(lambda bounds: {"type": "number", **bounds}),
    st.just({"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 1e20, "multipleOf": 5}),
    st.sampled_from(
        [
            {"type": "number", "exclusiveMinimum": 0, "maximum": 2.5, "multipleOf": 0.5},
            {"type": "number", "multipleOf": 3, "minimum": -4},
            {"type": "integer", "minimum": -3, "exclusiveMaximum": 400},
        ]
    ),
)
_leaves = st.one_of(
    _strings,
    _numbers,
    st.sampled_from(
        [
            True,
            {},
            {"type": "boolean"},
            {"type": ["string", "null"], "maxLength": 9},
            {"const": "only"},
            {"enum": [1, "one", True, None, {"x": [1]}]},
            {"$ref": "#/$defs/leaf"},
            {"$ref": "#/$defs/tree"},
            {"not": {"enum": ["no"]}},
            {"type": "string", "nullable": True},
        ]
    ),
)


def _objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    properties = st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
    return st.builds(
        lambda properties, required, more: {
            "type": "object",
            "properties": properties,
            "required": required,
            **more,
        },
        properties,
        st.lists(st.sampled_from(NAMES), max_size=2, unique=True),
        st.sampled_from(
            [
                {},
                {"additionalProperties": False},
                {"additionalProperties": {"type": "integer"}},
                {"minProperties": 1},
                {"maxProperties": 2},
                {"patternProperties": {"^n": {"type": ["string", "object"]}}},
                {"dependentRequired": {"name": ["kind"]}},
                {"dependentSchemas": {"kind": {"required": ["next"], "maxProperties": 3}}},
                {"propertyNames": {"maxLength": 4}},
                {"propertyNames": {"pattern": "^[a-z]+$"}},
                {"unevaluatedProperties": False},
                {"unevaluatedProperties": {"type": "boolean"}},
            ]
        ),
    )


def _arrays(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    lists = st.builds(
        lambda items, bounds, more: {"type": "array", "items": items, **bounds, **more},
        inner,
        _bounded("minItems", "maxItems"),
        st.sampled_from(
            [
                {},
                {"uniqueItems": True},
                {"contains": {"type": "string"}},
                {"contains": {"const": 1}, "minContains": 0, "maxContains": 1},
            ]
        ),
    )
    tuples = st.builds(
        lambda prefix, rest: {"type": "array", "prefixItems": prefix, "minItems": 1, **rest},
        st.lists(inner, min_size=1, max_size=3),
        st.sampled_from([{}, {"items": False}, {"items": {}}, {"unevaluatedItems": False}]),
    )
    return st.one_of(lists, tuples)


def _combined(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    several = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        st.builds(lambda word, subs: {word: subs}, st.sampled_from(["anyOf", "oneOf"]), several),
        st.builds(lambda a, b: {"allOf": [a], "anyOf": [b]}, inner, inner),
        st.builds(lambda a, b, c: {"if": a, "then": b, "else": c}, inner, inner, inner),
        st.builds(lambda a, b: {"allOf": [a, {"not": b}]}, inner, inner),
        st.builds(lambda a, b: {"allOf": [a, b], "unevaluatedProperties": False}, inner, inner),
        st.builds(
            lambda a, b: {"allOf": [{"allOf": [a], "unevaluatedProperties": False}, b]},
            inner,
            inner,
        ),
        st.builds(lambda a, b: {"if": a, "then": False, "anyOf": [b, {"not": a}]}, inner, inner),
    )


_trees = st.recursive(
    _leaves,
    lambda inner: st.one_of(_objects(inner), _arrays(inner), _combined(inner)),
    max_leaves=8,
)
_DEFS = {
    "leaf": {"type": "string", "maxLength": 5},
    "tree": {
        "type": "object",
        "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/tree"}}},
    },
}

# Schemas that use references, combinators and bounds the way people do, sometimes in vain.
schemas = _trees.map(lambda tree: {**tree, "$defs": _DEFS} if isinstance(tree, dict) else tree)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=10,
)

_scalars = st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab-é", max_size=4)
_values = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
    ),
    max_leaves=5,
)


def around(value: Any, depth: int = 2) -> st.SearchStrategy[Any]:
    """Schemas that `value` is valid under, by how they are built."""
    plain = [st.just({"enum": [value, "other"]}), st.just({"const": value}), st.just({})]
    if isinstance(value, dict):
        plain.append(_around_members(value, depth))
    elif isinstance(value, list):
        plain.append(_around_items(value, depth))
    elif isinstance(value, str):
        plain += [
            st.just({"type": "string", "minLength": len(value), "maxLength": len(value)}),
            st.just({"pattern": "^[-abé]{0,4}$"}),
        ]
    elif isinstance(value, int) and not isinstance(value, bool):
        plain.append(st.just({"type": ["number"], "minimum": value, "exclusiveMaximum": value + 1}))
    if depth == 0:
        return st.one_of(plain)
    inner = around(value, depth - 1)
    return st.one_of(
        *plain,
        st.builds(lambda a, b: {"allOf": [a, b]}, inner, inner),
        st.builds(lambda a, b: {"anyOf": [a, b]}, _leaves, inner),
        st.builds(lambda a, b: {"if": a, "then": b, "else": False}, inner, inner),
        st.builds(lambda a, b: {"if": {"not": a}, "then": False, "else": b}, inner, inner),
        st.builds(lambda a: {"not": {"not": a}}, inner),
        st.builds(lambda a: {"oneOf": [a, False]}, inner),
    )


def _around_members(value: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
    members = {name: around(inner, max(depth - 1, 0)) for name, inner in value.items()}
    count = len(value)
    return st.builds(
        lambda properties, more: {"properties": properties, "required": list(value), **more},
        st.fixed_dictionaries(members),
        st.sampled_from(
            [
                {"type": "object"},
                {"additionalProperties": False, "minProperties": count, "maxProperties": count},
                {"unevaluatedProperties": False},
                {"dependentRequired": {"name": list(value)}},
            ]
        ),
    )


def _around_items(value: list[Any], depth: int) -> st.SearchStrategy[Any]:
    items = st.tuples(*[around(item, max(depth - 1, 0)) for item in value]).map(list)
    count = {"minItems": len(value), "maxItems": len(value)}
    return st.one_of(
        items.map(lambda prefix: {"type": "array", "prefixItems": prefix or [True], **count}),
        items.map(lambda options: {"type": "array", "items": {"anyOf": options or [True]}}),
    )


# Schemas with a value that is valid under them.
satisfied = _values.flatmap(
    lambda value: st.builds(
        lambda it, is_reference: (
            ({"$ref": "#/$defs/it"} if is_reference else it) | {"$defs": {**_DEFS, "it": it}},
            value,
        ),
        around(value),
        st.booleans(),
    )
)

_KEYWORDS = [
    "type", "properties", "required", "items", "enum", "const", "anyOf", "oneOf", "allOf", "not",
    "if", "then", "$ref", "$defs", "$id", "$anchor", "$schema", "pattern", "format", "minLength",
    "maximum", "exclusiveMinimum", "multipleOf", "minItems", "uniqueItems", "additionalProperties",
    "patternProperties", "propertyNames", "maxProperties", "dependencies", "dependentRequired",
    "prefixItems", "contains", "nullable", "unevaluatedProperties", "$dynamicRef",
]  # fmt: skip
_words = st.sampled_from(
    [*_KEYWORDS, "string", "object", "#", "#/$defs/a", "(", "^a+$", "http://x/"]
)

# Anything with the words of JSON Schema in it, mostly nonsense.
nonsense = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 5) | st.floats() | _words,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYWORDS), inner, max_size=4)
    ),
    max_leaves=14,
)


def answers(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Answers under a compiled schema: only the keywords that compiled schemas have."""
    if "anyOf" in schema:
        return st.one_of([answers(option) for option in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    return _ANSWERS[schema["type"]](schema) if "type" in schema else st.booleans()


def _string_answers(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    pattern = schema.get("pattern") or FORMATS.get(schema.get("format", ""))
    if pattern is not None:
        # What looks ahead or back is said to be unenforced, or only a hint: it is met by luck.
        texts = st.from_regex(pattern, fullmatch=True, alphabet=ALPHABET)
        return texts.filter(lambda s: "\n" not in s and is_valid_under(s, schema) is not False)
    letters = st.characters(exclude_categories=["Cs"])
    return st.text(letters, min_size=schema.get("minLength", 0), max_size=schema.get("maxLength"))


def _number_answers(schema: dict[str, Any]) -> st.SearchStrategy[float]:
    low = schema.get("minimum", schema.get("exclusiveMinimum", -(10**6)))
    high = schema.get("maximum", schema.get("exclusiveMaximum", 10**6))
    step = schema.get("multipleOf", 1 if schema["type"] == "integer" else 0.25)
    low, high = min(low, high), max(low, high)
    numbers = st.integers(ceil(low / step), floor(high / step)).map(lambda n: n * step)
    return numbers.filter(lambda n: is_valid_under(n, schema) is True)


def _array_answers(schema: dict[str, Any]) -> st.SearchStrategy[list[Any]]:
    if "prefixItems" in schema:
        return st.tuples(*[answers(item) for item in schema["prefixItems"]]).map(list)
    low = schema.get("minItems", 0)
    high = min(schema.get("maxItems", low + 3), low + 3)
    return st.lists(answers(schema.get("items", {})), min_size=low, max_size=high)


def _object_answers(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    if "properties" in schema:
        known = {name: answers(sub) for name, sub in schema["properties"].items()}
        required = {name: known.pop(name) for name in schema.get("required", [])}
        return st.fixed_dictionaries(required, optional=known)
    extra, keys = schema.get("additionalProperties", {}), st.text(max_size=5)
    for pattern, sub in schema.get("patternProperties", {}).items():
        extra, keys = sub, _string_answers({"pattern": pattern})
    low = schema.get("minProperties", 0)
    most = min(schema.get("maxProperties", low + 2), low + 2)
    return st.dictionaries(keys, answers(extra), min_size=low, max_size=most)


_ANSWERS = {
    "null": lambda schema: st.none(),
    "boolean": lambda schema: st.booleans(),
    "string": _string_answers,
    "integer": _number_answers,
    "number": _number_answers,
    "array": _array_answers,
    "object": _object_answers,
}
