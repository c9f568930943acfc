from __future__ import annotations

from typing import Any

import pytest

from rung.errors import SchemaError
from rung.structured import check_schema, violations


def deep(levels: int) -> Any:
    schema: Any = {}
    for _ in range(levels):
        schema = {"not": schema}
    return schema


def looped() -> Any:
    schema: dict[str, Any] = {}
    schema["not"] = schema
    return schema


@pytest.mark.parametrize(
    ("schema", "complaint"),
    [
        (None, "not nothing"),
        ("{}", "not a str"),
        ([], "not a list"),
        ({"type": "strin"}, "/type: "),
        ({"properties": {"a/b": {"minLength": -1}}}, "/properties/a~1b/minLength: "),
        ({"properties": {"a": {"pattern": "("}}}, "/properties/a/pattern: .*regex"),
        ({"pattern": "\\cA[\\d-\\w]"}, "/pattern: "),
        ({"required": "name"}, "/required: "),
        ({"items": {"$ref": "#/$defs/gone"}}, "/items: .*no '[$]defs'"),
        ({"$ref": "http://127.0.0.1:9/schema"}, "outside this schema"),
        ({"minimum": float("nan")}, "not JSON"),
        ({"enum": [{1, 2}]}, "not JSON"),
        ({"const": "\ud800"}, "not JSON"),
        (deep(150), "100 levels"),
        (deep(100_000), "nested too deeply"),
        (looped(), "nested too deeply|not JSON"),
    ],
)
def test_what_is_no_schema_is_refused_with_its_place_and_cause(schema: Any, complaint: str) -> None:
    with pytest.raises(SchemaError, match=complaint):
        check_schema(schema)


@pytest.mark.parametrize(
    "schema",
    [
        True,
        False,
        {},
        {
            "$schema": "http://json-schema.org/draft-04/schema#",
            "exclusiveMinimum": True,
            "minimum": 1,
        },
        {"$schema": "https://example.com/my-own-dialect", "type": "string"},
        {"items": [{"type": "string"}]},
        {"minimum": 1, "exclusiveMinimum": True},
        {"pattern": "(?<=a)b(?!c)"},
        {"format": "of-my-own"},
        {"enum": []},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$anchor": "x"}}},
    ],
)
def test_schemas_of_every_draft_in_use_are_accepted(schema: Any) -> None:
    check_schema(schema)


def test_violations_name_the_place_and_the_cause() -> None:
    schema = {
        "type": "object",
        "properties": {"a/b": {"items": {"type": "integer"}}, "when": {"format": "date"}},
        "required": ["id"],
    }
    found = violations({"a/b": [1, "two"], "when": "2023-02-31"}, schema)
    assert sorted(text.split(":")[0] for text in found) == ["/", "/a~1b/1", "/when"]
    assert any('"two" is not of type "integer"' in text for text in found)
    assert violations({"id": 1}, schema) == []


def test_a_failed_union_says_what_each_branch_has_against_the_value() -> None:
    schema = {"anyOf": [{"type": "null"}, {"properties": {"n": {"minimum": 3}}}]}
    (found,) = violations({"n": 1}, schema)
    assert 'not of type "null"' in found
    assert "at n: 1 is less than the minimum of 3" in found


def test_no_more_than_twenty_violations_of_bounded_length_are_given() -> None:
    found = violations(["x" * 5000] * 500, {"items": {"type": "integer"}})
    assert len(found) == 20
    assert max(map(len, found)) < 400


@pytest.mark.parametrize(
    ("instance", "schema"),
    [
        ("a" * 5000 + "!", {"pattern": "^(a+)+(?!b)$"}),
        ("\ud800", {"type": "string", "maxLength": 9}),
        ({1: 2}, {"type": "object"}),
        (object(), {}),
    ],
)
def test_what_cannot_be_checked_is_not_valid(instance: Any, schema: Any) -> None:
    assert violations(instance, schema)


def test_numbers_of_any_size_are_judged() -> None:
    assert violations(10**400, {"type": "integer"}) == []
    assert violations(10**400, {"maximum": 5})
    assert violations(float("inf"), {"type": "number"})
