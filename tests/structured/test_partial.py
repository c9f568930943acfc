from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rung.structured.parse import NotJsonError, parse
from rung.structured.partial import PartialObject
from tests.structured.strategies import json_values

BEFORE = ("", " \n", "\ufeff", "Sure {well} [see note]:\n", "```json\n", '<think>{"a": 1}</think>')
AFTER = ("", "\n```", " Is that {all}?", ' {"b": [2')


def is_json_container(value: Any) -> bool:
    text = json.dumps(value)
    return isinstance(value, dict | list) and "NaN" not in text and "Infinity" not in text


containers = json_values.filter(is_json_container)


def is_prefix(part: Any, whole: Any) -> bool:
    """Whether `part` can grow into `whole`: by its last string, its last value, or more values."""
    if isinstance(part, str) and isinstance(whole, str):
        return whole.startswith(part)
    if isinstance(part, list) and isinstance(whole, list):
        done = len(part) - 1
        return len(part) <= len(whole) and (
            not part or (same(part[:done], whole[:done]) and is_prefix(part[done], whole[done]))
        )
    if isinstance(part, dict) and isinstance(whole, dict):
        keys = list(part)
        return list(whole)[: len(keys)] == keys and is_prefix(
            list(part.values()), list(whole.values())[: len(keys)]
        )
    return same(part, whole)


def same(one: Any, other: Any) -> bool:
    return json.dumps(one) == json.dumps(other)


def views(pieces: list[str]) -> list[Any]:
    partial, found = PartialObject(), []
    for piece in pieces:
        partial.feed(piece)
        found.append(partial.view())
    return found


@st.composite
def cut_texts(draw: st.DrawFn) -> tuple[Any, list[str]]:
    value = draw(containers)
    indent = draw(st.sampled_from((None, 1)))
    text = json.dumps(value, ensure_ascii=draw(st.booleans()), indent=indent)
    text = draw(st.sampled_from(BEFORE)) + text + draw(st.sampled_from(AFTER))
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=20)))
    return value, [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@settings(deadline=None)
@given(cut_texts())
def test_every_view_is_a_prefix_of_the_value_and_of_all_later_views(
    case: tuple[Any, list[str]],
) -> None:
    value, pieces = case
    seen = views(pieces)
    assert same(seen[-1], value)
    shown = [view for view in seen if view is not None]
    for earlier, later in pairwise(shown):
        assert is_prefix(earlier, later)
    assert all(is_prefix(view, value) for view in shown)


@settings(deadline=None)
@given(cut_texts())
def test_feeding_says_whether_the_view_has_grown(case: tuple[Any, list[str]]) -> None:
    partial, before = PartialObject(), "null"
    for piece in case[1]:
        has_grown = partial.feed(piece)
        after = json.dumps(partial.view())
        assert has_grown == (after != before)
        before = after


@settings(deadline=None)
@given(containers)
def test_character_by_character_is_the_same_as_at_once(value: Any) -> None:
    text = json.dumps(value)
    assert same(views(list(text))[-1], views([text])[0])


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet='{}[]",:\\u12dDe-.tfn \n') | st.text())
@example('{"a": [{a [1]')
@example('"\\ud83d\\ude00\\ud83d')
def test_whatever_comes_views_only_grow_and_agree_with_the_parser(text: str) -> None:
    shown = [view for view in views(list(text)) if view is not None]
    for earlier, later in pairwise(shown):
        assert is_prefix(earlier, later)
    partial = PartialObject()
    partial.feed(text)
    try:
        value = parse(text)
    except NotJsonError:
        return
    if isinstance(value, dict | list | str):
        assert partial.is_whole
        assert same(partial.view(), value)


@pytest.mark.parametrize(
    ("text", "view"),
    [
        ("", None),
        ("{", None),
        ('{"na', None),
        ('{"name"', None),
        ('{"name":', {}),
        ('{"name": "A', {"name": "A"}),
        ('{"name": "Ada", "age": 4', {"name": "Ada"}),
        ('{"name": "Ada", "age": 41 ', {"name": "Ada", "age": 41}),
        ('{"is": tru', {}),
        ('{"is": true}', {"is": True}),
        ('{"t": "\\u00e', {"t": ""}),
        ('{"t": "\\ud83d', {"t": ""}),
        ('{"t": "\\ud83d\\ude', {"t": ""}),
        ('{"t": "\\ud83d\\ude00', {"t": "😀"}),
        ('{"a": [1, {"b": [2, "x', {"a": [1, {"b": [2, "x"]}]}),
        ("[", None),
        ("[[", None),
        ("[[]", [[]]),
        ("[1", None),
        ("[1,", [1]),
        ('"half', "half"),
        ("[as asked]: [1, 2]", [1, 2]),
        ('{name: {"first": "A"}}', None),
        ("[as: [1, 2]] {see} {'a': [3]}", None),
        ('[null, {"a": 1}', [None, {"a": 1}]),
    ],
)
def test_a_view_has_strings_in_part_and_all_else_whole(text: str, view: Any) -> None:
    assert views([text]) == [view]


@pytest.mark.parametrize(
    "more",
    [
        ', "a": 2}',
        ", b",
        "]",
        "x",
        ', "c": 01,',
        ', "c": "\\x',
        ', "c": "\\ud83dx',
        ', "c":' + "[" * 70,
    ],
)
def test_after_what_is_not_json_the_last_view_stays(more: str) -> None:
    partial = PartialObject()
    partial.feed('{"a": 1 ')
    partial.feed(more)
    partial.feed(', "d": 4}')
    assert partial.view()["a"] == 1
    assert "d" not in partial.view()
    assert not (partial.is_open or partial.is_whole)


def test_json_that_is_wrong_is_not_searched_for_parts() -> None:
    assert views(["{'a': {\"b\": 1}}"]) == [None]


def test_a_view_that_was_given_out_does_not_change() -> None:
    partial = PartialObject()
    partial.feed('{"a": [1, "x')
    view = partial.view()
    partial.feed('y", {"b": 2}]}')
    assert view == {"a": [1, "x"]}
    assert partial.view() == {"a": [1, "xy", {"b": 2}]}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"items": [{"n": 1}, {"n": 2}, {"n": ', (("items",), {"items": [{"n": 1}, {"n": 2}]})),
        ('{"a": {"b": [1, 2', (("a", "b"), {"a": {"b": [1]}})),
        ('[["x"], ["y", "z', ((), [["x"]])),
        ('{"items": [1], "text": "cut', None),
        ('{"items": [1]}', None),
    ],
)
def test_the_whole_items_of_a_list_that_is_cut_off(text: str, found: Any) -> None:
    partial = PartialObject()
    partial.feed(text)
    assert partial.whole_items() == found


@pytest.mark.parametrize("unit", ["{a ", "[ ", '{"a":', '["\\', "<think>", "{'", '{"a": "\\u'])
def test_hostile_text_takes_no_more_than_linear_time(unit: str) -> None:
    partial = PartialObject()
    partial.feed(unit * 100_000)
    for _ in range(20_000):
        partial.feed(unit)
    partial.view()
