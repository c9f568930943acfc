from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.chat import Completion, ToolCall
from rung.errors import EngineError, SchemaError
from rung.structured import BadOutputError, compile_schema, require_object, violations
from tests.structured.strategies import json_values

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "age": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
    },
    "required": ["name"],
    "additionalProperties": False,
}
ADA = '{"name": "Ada"}'
LOOSE = {"type": "object"}  # what a half of an answer would satisfy


def completion(text: str, **more: Any) -> Completion:
    return Completion(
        **{"text": text, "engine": "e", "model": "m", "finish_reason": "stop", **more}
    )


def read(text: str, schema: Any = PERSON, **more: Any) -> Completion:
    return require_object(completion(text, **more), schema)


def failure(text: str, schema: Any = PERSON, **more: Any) -> BadOutputError:
    with pytest.raises(BadOutputError) as caught:
        read(text, schema, **more)
    assert caught.value.kind == "bad_output"
    return caught.value


def test_a_clean_answer_needs_no_repair() -> None:
    answer = read(f"\n {ADA}\n")
    assert (answer.parsed, answer.repairs) == ({"name": "Ada"}, ())


@pytest.mark.parametrize(
    ("text", "repairs"),
    [
        (f"\ufeff{ADA}", ()),
        (f"```json\n{ADA}\n```", ("stripped_fence",)),
        (f"```{ADA}```", ("stripped_fence",)),
        (f"Here it is [as asked]:\n```json\n{ADA}\n```\nIs that well?", ("stripped_fence",)),
        (f"Sure! Here it is:\n```\n{ADA}\n``` Enjoy {{it}}", ("stripped_fence",)),
        (f"The answer is {ADA}. Anything else?", ("stripped_text",)),
        (f"{ADA}}}\n}} That is one brace too many.", ("stripped_text",)),
        (f"{ADA}\nor, again:\n{ADA}", ("stripped_text",)),
        (f"<think>a {{b}} c</think>{ADA}", ("stripped_thinking",)),
        (f"so, {{maybe}} \n</think>\n\n{ADA}", ("stripped_thinking",)),
        (f"<thinking>x</thinking>```json\n{ADA}```", ("stripped_thinking", "stripped_fence")),
    ],
)
def test_what_stands_around_the_one_json_value_is_stripped_and_said(
    text: str, repairs: tuple[str, ...]
) -> None:
    answer = read(text, repairs=("earlier",))
    assert answer.parsed == {"name": "Ada"}
    assert answer.repairs == ("earlier", *repairs)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": {"b": 1}, "c": "cut o',
        '{"a": [{"b": 1}, {"c": 2}, ',
        '[{"a": 1}, {"b"',
        '{"code": "```json\\n{}\\n```", "more": ',
        '{"code": "</think> {}", "more": ',
        "{'a': {\"b\": 1}, 'c': 'cut o",
        "[{'a': 1}, {'b'",
        "{'a': 1} and {'b': 2}",
        "{'a': 1}, {'b': ",
        '{"a": 1} and {"b": 2}',
        '```json\n{"a": 1}\n``` or ```json\n{"b": 2}\n```',
        '<think>{"a": 1}',
        '{"a": 1',
        '[null, {"a": 1}',
        '[null {"a": 1}]',
        '{"a": 1}, "b": 2}',
        '{"a": 1}], "b": 2}',
        '{"a": {"b": 1}, "c": 2}}',
        '"a": {"b": 1}, "c": 2}',
        "'a': {'b': 1}, 'c': 2}",
        'null, {"a": 1}]',
        '{name": {"a": 1}}',
        '{"a": 1} // or {"b": 2}',
        '```json\n{"a": 1}\n```\nNo, better {"b": 2}',
        "no JSON here",
    ],
)
def test_a_half_or_one_of_several_objects_is_never_the_answer(text: str) -> None:
    failure(text, LOOSE, finish_reason="length")


# What models have really answered when they were asked for PERSON, and what becomes of it.
SAID: list[tuple[str, str, Any]] = [
    ("single quotes", "{'name': 'Ada', 'age': 36}", {"name": "Ada", "age": 36}),
    ("a Python dict", "{'name': \"Ada's\", 'tags': ['x',]}", {"name": "Ada's", "tags": ["x"]}),
    ("a Python dict in a sentence", "Here you go: {'name': 'Ada'}.", {"name": "Ada"}),
    ("Python in a fence", "```python\n{'name': 'Ada'}\n```", {"name": "Ada"}),
    ("comments", '{"name": "Ada", // the first\n "age": 36}', {"name": "Ada", "age": 36}),
    ("a comma too many", '{"name": "Ada", "tags": ["x", ],}', {"name": "Ada", "tags": ["x"]}),
    ("a raw line end", '{"name": "Ada\nLovelace"}', {"name": "Ada\nLovelace"}),
    ("trailing text", '{"name": "Ada"}\n\nI hope this helps!', {"name": "Ada"}),
    ("encoded twice", '"{\\"name\\": \\"Ada\\"}"', {"name": "Ada"}),
    ("encoded inside", '{"name": "Ada", "age": "36"}', {"name": "Ada", "age": 36}),
    ("a wrapper", '{"person": {"name": "Ada"}}', {"name": "Ada"}),
    ("a list of one", '[{"name": "Ada"}]', {"name": "Ada"}),
    ("values in the schema", '{"type": "object", "properties": {"name": "A"}}', {"name": "A"}),
    ("the schema echoed", json.dumps(PERSON), None),
    ("the properties echoed", json.dumps({"properties": PERSON["properties"]}), None),
    ("a null", "null", None),
    ("a Python null", "None", None),
    ("nulls inside", '{"name": null}', None),
    ("cut off", '{"name": "Ada", "tags": ["a", "b', None),
    ("cut off Python", "{'name': 'Ada', 'tags': ['a', 'b", None),
    ("a key twice", "{'name': 'Ada', 'name': 'Eve'}", None),
    ("a key said again", "{'name': 'Ada', 'name': 'Ada'}", {"name": "Ada"}),
    ("one of two lacking a comma", '{"name": "Ada"\n "age": 36}', {"name": "Ada", "age": 36}),
    ("tags in the text", '<think>x</think>{"name": "a</think>b"}', {"name": "a</think>b"}),
    ("what is left out", '{"name": "Ada", // ... age and tags\n}', None),
    ("a quote too many", "{'name': 'Ada's'}", None),
    ("thinking only", "<think>The name is {'name': 'Ada'}", None),
    ("an apology", "I'm sorry, but I can't help with that.", None),
]


@pytest.mark.parametrize(("text", "value"), [s[1:] for s in SAID], ids=[s[0] for s in SAID])
def test_what_models_really_say_is_read_or_refused(text: str, value: Any) -> None:
    if value is None:
        failure(text)
    else:
        answer = read(text)
        assert answer.parsed == value
        assert answer.repairs


def test_an_echo_is_no_answer_even_where_it_is_valid() -> None:
    lax = {"type": "object", "properties": {"name": {"type": "string"}}}
    assert "the JSON Schema itself" in failure(json.dumps(lax), lax).message


def test_a_number_that_was_cut_off_is_half_a_number() -> None:
    assert read("12", {"type": "integer"}).parsed == 12
    failure("12", {"type": "integer"}, finish_reason="length")


def test_the_error_has_the_value_that_is_not_valid() -> None:
    assert failure('{"nom": "Ada"}').value == {"nom": "Ada"}
    assert failure("?").value is None


def test_a_cut_off_answer_that_is_whole_counts() -> None:
    assert read(f"{ADA}\n\n\n", finish_reason="length").parsed == {"name": "Ada"}


def test_an_answer_in_the_reasoning_field_counts_if_it_is_valid() -> None:
    answer = read("", reasoning=f"I think: {ADA}")
    assert answer.parsed == {"name": "Ada"}
    assert answer.repairs == ("recovered_from_reasoning", "stripped_text")
    assert read("", reasoning=f"So it is\n```json\n{ADA}\n```\n</think>\n").parsed
    assert read("", reasoning=f"{ADA}\n\n", finish_reason="length").parsed
    failure("", reasoning='{"nom": "Ada"}')
    failure('{"nom": "Ada"}', reasoning=ADA)


@pytest.mark.parametrize(
    ("reasoning", "finish_reason"),
    [
        (f"Maybe {ADA}? No, it was someone else.", "stop"),
        (f"Maybe {ADA}", "length"),
        (f"Either {ADA} or {{'name': 'Eve'}}", "stop"),
    ],
)
def test_a_draft_in_the_reasoning_is_no_answer(reasoning: str, finish_reason: str) -> None:
    failure("", reasoning=reasoning, finish_reason=finish_reason)


@pytest.mark.parametrize(
    ("more", "cause"),
    [
        ({}, "it is empty"),
        ({"reasoning": "hm" * 50}, "only reasoning.*100 characters of reasoning"),
        ({"reasoning": "hm", "finish_reason": "length"}, "all tokens went into reasoning"),
        ({"tool_calls": (ToolCall(id="1", name="f", arguments="{}"),)}, "called a tool"),
    ],
)
def test_an_empty_answer_says_why(more: dict[str, Any], cause: str) -> None:
    error = failure("", **more)
    assert error.completion.finish_reason in error.message
    with pytest.raises(EngineError, match=cause):
        read("", **more)


def test_a_null_is_no_object_even_where_the_schema_allows_it() -> None:
    assert failure("null", {"type": ["object", "null"]}).problems == ("it is null",)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ('{"name": "a", "name": "b"}', "given twice"),
        ('{"name": NaN}', "NaN"),
        ('{"name": "a", "age": -Infinity}', "Infinity"),
        ('{"name": "a", "age": 1e999}', "too large"),
        ('{"name": "a", "age": ' + "9" * 5000 + "}", "too long"),
        ('{"name": "\\ud800"}', "surrogate"),
        ('{"name": ' + "[" * 50_000 + "]" * 50_000 + "}", "64 levels"),
        ("[" * 50_000, "64 levels"),
        ('{"a":' * 50_000, "64 levels"),
    ],
)
def test_json_that_parsers_read_differently_is_refused(text: str, cause: str) -> None:
    assert cause in failure(text).message


def test_an_emoji_as_a_surrogate_pair_is_text() -> None:
    assert read('{"name": "\\ud83d\\ude00"}').parsed == {"name": "😀"}


def test_the_error_has_the_violations_the_finish_reason_and_the_start_of_the_answer() -> None:
    error = failure('{"name": "", "age": "x", "more": "' + "y" * 900 + '"}', finish_reason="length")
    assert {problem.split(":")[0] for problem in error.problems} == {"/", "/name", "/age"}
    assert "finish reason length" in error.message
    assert "y" * 400 in error.message
    assert "y" * 500 not in error.message
    assert (error.engine, error.model) == ("e", "m")


def test_an_answer_under_the_strict_schema_loses_its_nulls() -> None:
    strict = compile_schema(PERSON, "openai").schema
    text = '{"name": "Ada", "age": null, "tags": null}'
    assert violations({"name": "Ada", "age": None, "tags": None}, strict) == []
    answer = read(text)
    assert (answer.parsed, answer.repairs) == ({"name": "Ada"}, ("dropped_nulls",))


def test_nulls_are_dropped_inside_unions_but_never_where_they_are_meant() -> None:
    inner = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["y"]}
    schema = {"properties": {"a": {"anyOf": [{"type": "string"}, inner]}}}
    assert read('{"a": {"x": null, "y": null}}', schema).parsed == {"a": {"y": None}}
    failure('{"name": null}')


def test_repeated_items_are_said_once_where_none_may_repeat() -> None:
    answer = read('{"name": "Ada", "tags": ["a", "b", "a", "c", "b"]}')
    assert answer.parsed == {"name": "Ada", "tags": ["a", "b", "c"]}
    assert answer.repairs == ("dropped_repeated_items",)


def test_a_mend_that_does_not_make_the_answer_valid_is_undone() -> None:
    error = failure('{"name": "Ada", "age": null, "tags": "x"}')
    assert any(problem.startswith("/age") for problem in error.problems)


def test_a_bad_schema_is_the_callers_error() -> None:
    with pytest.raises(SchemaError):
        read(ADA, {"type": "strin"})


def test_the_original_schema_decides_not_what_the_engine_enforced() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "number", "minimum": 0}}}
    failure('{"n": -1}', schema)


@settings(deadline=None)
@given(st.text() | json_values.map(repr) | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_whatever_the_text_there_is_a_valid_object_or_a_typed_error(text: str) -> None:
    try:
        answer = read(text, LOOSE)
    except BadOutputError as error:
        assert error.problems
    else:
        assert isinstance(answer.parsed, dict)
