from __future__ import annotations

from typing import Any

import pytest

from rung.structured.items import (
    MissingItems,
    missing_after_cut,
    missing_items,
    right_items,
    with_items,
)
from rung.structured.validate import violations

LEVER = {
    "type": "object",
    "properties": {"id": {"enum": [1, 2, 3, 4]}, "name": {"type": "string", "minLength": 1}},
    "required": ["id", "name"],
    "additionalProperties": False,
}


def levers(**bounds: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "levers": {"type": "array", "items": {"$ref": "#/$defs/lever"}, **bounds},
        },
        "required": ["title", "levers"],
        "$defs": {"lever": LEVER},
    }


def item(number: int) -> dict[str, Any]:
    return {"id": number, "name": f"lever {number}"}


ODD = {"id": 103, "name": "an id that was made up"}


def missing(value: Any, schema: Any) -> MissingItems:
    found = missing_items(value, schema)
    assert found is not None
    return found


def test_right_items_are_kept_and_only_the_wrong_ones_are_missing() -> None:
    found = missing({"title": "t", "levers": [item(1), ODD, item(3), {"id": 4}]}, levers())
    assert found.kept == (item(1), item(3))
    assert found.value == {"title": "t", "levers": [item(1), item(3)]}
    assert (found.path, found.least, found.most) == (("levers",), 2, 2)
    assert violations([item(2), item(4)], found.schema) == []
    assert violations([item(2)], found.schema)
    assert violations([ODD, item(4)], found.schema)


def test_a_list_that_is_too_short_lacks_what_its_minimum_asks_for() -> None:
    found = missing({"title": "t", "levers": [item(1)]}, levers(minItems=3))
    assert (found.kept, found.least, found.most) == ((item(1),), 2, 2)


def test_repeated_items_are_missing_once_where_that_makes_the_list_too_short() -> None:
    schema = {"type": "array", "items": {"type": "string"}, "minItems": 3, "uniqueItems": True}
    found = missing(["a", "b", "a"], schema)
    assert (found.kept, found.least) == (("a", "b"), 1)


@pytest.mark.parametrize(
    "value",
    [
        {"title": 1, "levers": [item(1), ODD]},
        {"levers": [item(1), ODD]},
        {"title": "t", "levers": [ODD]},
        {"title": "t", "levers": "none"},
        {"title": "t", "levers": [item(1), item(2), item(3)]},
        [],
    ],
)
def test_an_answer_that_lacks_more_than_items_is_not_salvaged(value: Any) -> None:
    assert missing_items(value, levers(maxItems=2)) is None


def test_wrong_items_in_two_lists_are_too_much() -> None:
    one = {"type": "array", "items": {"type": "integer"}}
    schema = {"type": "object", "properties": {"a": one, "b": one}}
    assert missing_items({"a": [1, "x"], "b": [2, "y"]}, schema) is None


def test_a_list_deep_inside_is_found() -> None:
    inner = {"type": "array", "items": {"type": "integer"}}
    schema = {"properties": {"a": {"type": "object", "properties": {"b": inner}}}}
    assert missing({"a": {"b": [1, "x"]}}, schema).path == ("a", "b")


def test_of_a_list_that_is_cut_off_the_whole_items_are_kept() -> None:
    text = '{"title": "t", "levers": [{"id": 1, "name": "lever 1"}, {"id": 2, "na'
    found = missing_after_cut(text, levers(minItems=3, maxItems=4))
    assert found is not None
    assert (found.kept, found.least, found.most) == ((item(1),), 2, 3)


@pytest.mark.parametrize(
    "text",
    [
        '{"levers": [{"id": 1, "name": "lever 1"}, {"id": 2',
        '{"title": "t", "levers": [{"id": 9, "name": "x"}, {"id": 2',
        '{"title": "t", "levers": [{"id": 1',
        '{"title": "cut',
        "no JSON",
    ],
)
def test_a_cut_off_answer_that_lacks_more_than_items_is_not_salvaged(text: str) -> None:
    assert missing_after_cut(text, levers()) is None


def test_new_items_stand_after_those_that_were_kept_and_repeats_are_passed_over() -> None:
    schema = levers(minItems=3)
    found = missing({"title": "t", "levers": [item(1), ODD, ODD]}, schema)
    whole = with_items(found, [item(1), item(2), item(3), item(4)], schema)
    assert whole == ({"title": "t", "levers": [item(1), item(2), item(3)]}, 0)


def test_what_is_right_is_kept_alone_only_where_the_schema_allows_so_few() -> None:
    value = {"title": "t", "levers": [item(1), item(2), ODD]}
    assert with_items(missing(value, levers()), [], levers()) == (
        {"title": "t", "levers": [item(1), item(2)]},
        1,
    )
    strict = levers(minItems=3)
    assert with_items(missing(value, strict), [], strict) is None


def test_of_new_items_too_the_right_ones_are_kept() -> None:
    schema = {"type": "array", "items": LEVER, "minItems": 2, "maxItems": 2}
    assert right_items([item(1), ODD], schema) == [item(1)]
    assert right_items({"a": 1}, schema) == []
    assert right_items(None, schema) == []


def test_a_value_is_not_changed_in_place() -> None:
    value = {"title": "t", "levers": [item(1), ODD]}
    missing(value, levers())
    assert len(value["levers"]) == 2
