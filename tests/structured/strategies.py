"""Hypothesis strategies: schemas as people write them, and answers as an engine may give them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

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
FORMATS = ["date", "time", "date-time", "email", "uri", "uuid", "ipv4", "hostname", "of-my-own"]

_small = st.integers(0, 6)


def _bounded(low: str, high: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(_small, _small).map(lambda pair: {low: min(pair), high: max(pair)})


_strings = st.one_of(
    st.just({"type": "string"}),
    _bounded("minLength", "maxLength").map(lambda bounds: {"type": "string", **bounds}),
    st.sampled_from(PATTERNS).map(lambda pattern: {"type": "string", "pattern": pattern}),
    st.sampled_from(FORMATS).map(lambda name: {"type": "string", "format": name}),
)
_numbers = st.one_of(
    st.sampled_from([{"type": "integer"}, {"type": "number"}, {"minimum": 3}]),
    _bounded("minimum", "maximum").map(lambda bounds: {"type": "integer", **bounds}),
    _bounded("minimum", "maximum").map(lambda bounds: {"type": "number", **bounds}),
    st.just({"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 1e20, "multipleOf": 5}),
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
                {"propertyNames": {"maxLength": 4}},
            ]
        ),
    )


def _arrays(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    lists = st.builds(
        lambda items, bounds, more: {"type": "array", "items": items, **bounds, **more},
        inner,
        _bounded("minItems", "maxItems"),
        st.sampled_from([{}, {"uniqueItems": True}, {"contains": {"type": "string"}}]),
    )
    tuples = st.lists(inner, min_size=1, max_size=3).map(
        lambda prefix: {"type": "array", "prefixItems": prefix, "minItems": 1}
    )
    return st.one_of(lists, tuples)


def _combined(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    several = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        st.builds(lambda word, subs: {word: subs}, st.sampled_from(["anyOf", "oneOf"]), several),
        st.builds(lambda a, b: {"allOf": [a], "anyOf": [b]}, inner, inner),
        st.builds(lambda a, b, c: {"if": a, "then": b, "else": c}, inner, inner, inner),
        st.builds(lambda a, b: {"allOf": [a, {"not": b}]}, inner, inner),
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
    return _ANSWERS[schema["type"]](schema)


def _string_answers(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    if "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True).filter(lambda s: "\n" not in s)
    letters = st.characters(exclude_categories=["Cs"])
    return st.text(letters, min_size=schema.get("minLength", 0), max_size=schema.get("maxLength"))


def _number_answers(schema: dict[str, Any]) -> st.SearchStrategy[float]:
    bounds = {"min_value": schema.get("minimum"), "max_value": schema.get("maximum")}
    if schema["type"] == "integer":
        return st.integers(**bounds)
    return st.floats(allow_nan=False, allow_infinity=False)


def _array_answers(schema: dict[str, Any]) -> st.SearchStrategy[list[Any]]:
    if "prefixItems" in schema:
        return st.tuples(*[answers(item) for item in schema["prefixItems"]]).map(list)
    low, high = schema.get("minItems", 0), schema["maxItems"]
    return st.lists(answers(schema["items"]), min_size=low, max_size=min(high, low + 3))


def _object_answers(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    if "properties" not in schema:
        extra = schema.get("additionalProperties", {"type": "boolean"})
        return st.dictionaries(st.text(max_size=5), answers(extra), max_size=2)
    known = {name: answers(sub) for name, sub in schema["properties"].items()}
    required = {name: known.pop(name) for name in schema.get("required", [])}
    return st.fixed_dictionaries(required, optional=known)


_ANSWERS = {
    "null": lambda schema: st.none(),
    "boolean": lambda schema: st.booleans(),
    "string": _string_answers,
    "integer": _number_answers,
    "number": _number_answers,
    "array": _array_answers,
    "object": _object_answers,
}
