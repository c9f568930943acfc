from __future__ import annotations

import json

import pytest
from hypothesis import given, settings

from rung.structured.parse import NotJsonError, parse
from rung.structured.syntax import rewritten
from tests.structured.strategies import json_values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (
            "{'name': 'Ada', 'is': True, 'not': False, 'none': None}",
            {"name": "Ada", "is": True, "not": False, "none": None},
        ),
        (
            """{'said': "it's", 'and': 'a "word"', 'so': 'it\\'s'}""",
            {"said": "it's", "and": 'a "word"', "so": "it's"},
        ),
        ("{name: 'Ada', $age_2: 41, e5: 1e5}", {"name": "Ada", "$age_2": 41, "e5": 1e5}),
        ('{"a": [1, 2, ], "b": {"c": 3,\n},}', {"a": [1, 2], "b": {"c": 3}}),
        ('{"a": 1, // one\n "b": 2, /* two */ # more\n}', {"a": 1, "b": 2}),
        (
            '{"url": "http://a/b#c", "text": "True, None, [1,]"}',
            {"url": "http://a/b#c", "text": "True, None, [1,]"},
        ),
        ('{"a": "line\nbreak\tand\x01"}', {"a": "line\nbreak\tand\x01"}),
        ('{"a": undefined}', {"a": None}),
        (
            '{"a": +1, "b": .5, "c": -5., "d": 0x1F, "e": -0xa}',
            {"a": 1, "b": 0.5, "c": -5.0, "d": 31, "e": -10},
        ),
        ('{“a”: ‘it is "x"’, “b”: [“1”]}', {"a": 'it is "x"', "b": ["1"]}),
        ('{"a"：1，"b"：2}', {"a": 1, "b": 2}),
        (
            '{"a": 1\n "b": "x" "c": {"d": [1]} "e": null}',
            {"a": 1, "b": "x", "c": {"d": [1]}, "e": None},
        ),
        ('[{"a": 1} {"a": 2}\n{"a": 3}, [4] [5]]', [{"a": 1}, {"a": 2}, {"a": 3}, [4], [5]]),
        ('{"a": 1 // one\n "b": [1/* and */, 2]}', {"a": 1, "b": [1, 2]}),
    ],
)
def test_other_ways_of_writing_data_become_json(text: str, value: object) -> None:
    assert parse(rewritten(text)) == value


@pytest.mark.parametrize(
    "text",
    [
        "{'a': 'it's'}",
        '{"a": 1, "b"',
        '{"a": [1, 2',
        "{'a': 'cut o",
        '{"price": 1,299}',
        '{"a": "x" y "z"}',
        '["a" "b"]',
        "[1 2]",
        "[1/**/2]",
        '{"a" "b": 1}',
        '{"a": 1 b: 2}',
        "[,]",
        "[1,,2]",
        '{"a": +-1, "b": 007}',
        '{"a": 0x1FFFFFFFFFFFFFFF}',
        '{"a": 1.2.3}',
        '{"a": Infinity}',
        "{“a”: “he said “no””}",
        '{"a": 1, ... }',
        '{"a": 1, // ... and so on\n}',
        '{"a": 1, // {"b": 2}\n}',
        '{"a": 1, // "b": 2\n}',
        '{"a": 1} // {"a": 2}',
        '{"a": word}',
        "{'a': NaN}",
        "('a', 'b')",
        "{'a': 1} {'b': 2}",
        "{'a': 1, 'a': 2}",
        "{'a': '\\x41'}",
    ],
)
def test_what_could_mean_two_things_or_is_half_is_still_no_json(text: str) -> None:
    with pytest.raises(NotJsonError):
        parse(rewritten(text))


@settings(deadline=None)
@given(json_values)
def test_json_stays_what_it_is(value: object) -> None:
    for text in (json.dumps(value), json.dumps(value, indent=2)):
        assert rewritten(text) == text


@settings(deadline=None)
@given(json_values)
def test_what_python_prints_becomes_the_same_value_or_stays_no_json(value: object) -> None:
    try:
        read = parse(rewritten(repr(value)))
    except NotJsonError:
        return
    assert json.dumps(read) == json.dumps(value)


@settings(deadline=None)
@given(json_values)
def test_a_cut_off_text_never_becomes_whole(value: object) -> None:
    text = json.dumps([value, "end"])
    for end in range(1, len(text)):
        with pytest.raises(NotJsonError):
            parse(rewritten(text[:end]))


@pytest.mark.parametrize("unit", ["/*", "'", '"', "{a", ", ", "a:", "\\'", "#\n", "//"])
def test_hostile_text_is_rewritten_in_linear_time(unit: str) -> None:
    assert len(rewritten(unit * 200_000)) >= 0
