from __future__ import annotations

from typing import Any

import pytest

from rung.structured.mend import is_echo, mended

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "home": {"anyOf": [{"type": "object", "required": ["city"]}, {"type": "null"}]},
    },
    "required": ["name"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("value", "whole"),
    [
        ('{"name": "Ada"}', {"name": "Ada"}),
        ({"name": "Ada", "age": "41"}, {"name": "Ada", "age": 41}),
        (
            {"name": "Ada", "home": '{"city": "London"}'},
            {"name": "Ada", "home": {"city": "London"}},
        ),
    ],
)
def test_json_in_a_string_is_decoded_where_no_string_may_stand(value: Any, whole: Any) -> None:
    assert mended(value, PERSON) == (whole, ("decoded_string",))


@pytest.mark.parametrize(
    "value",
    [
        {"name": "Ada", "age": "forty-one"},
        {"name": "Ada", "age": "41 years"},
        {"name": "Ada", "age": "41.5"},
        {"name": 41},
        '{"nom": "Ada"}',
        '{"name": "Ada"',
    ],
)
def test_what_does_not_become_valid_is_left_as_it_was(value: Any) -> None:
    assert mended(value, PERSON) == (value, ())


@pytest.mark.parametrize(
    "value",
    [
        {"person": {"name": "Ada"}},
        [{"name": "Ada"}],
        {"type": "object", "properties": {"name": "Ada"}, "required": ["name"]},
        {"$schema": "x", "title": "Person", "type": "object", "properties": {"name": "Ada"}},
    ],
)
def test_an_object_in_a_wrapper_is_taken_out_of_it(value: Any) -> None:
    assert mended(value, PERSON) == ({"name": "Ada"}, ("unwrapped",))


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        ({"home": {"name": "x"}}, {**PERSON, "required": []}),
        ([{"name": "Ada"}, {"name": "Eve"}], PERSON),
        ({"a": {"name": "Ada"}, "b": {"name": "Eve"}}, PERSON),
        ({"answer": {}}, {**PERSON, "required": []}),
        ({"type": "Feature", "properties": {"name": "Ada"}}, PERSON),
        ({"type": "object", "properties": {"name": "Ada"}, "tags": ["x"]}, PERSON),
    ],
)
def test_a_part_of_an_answer_is_never_taken_for_all_of_it(value: Any, schema: Any) -> None:
    assert mended(value, schema) == (value, ())


def test_a_schema_that_is_given_back_is_an_echo() -> None:
    lax = {"type": "object", "properties": {"name": {"type": "string"}}}
    assert is_echo(lax, lax)
    assert is_echo({"properties": {"name": {"type": "string"}}, "required": []}, lax)
    assert not is_echo({"name": "Ada"}, lax)
    assert not is_echo({}, {})
    assert not is_echo([1], {"type": "array"})
