from __future__ import annotations

from typing import Any

import pytest

from rung.chat import Completion
from rung.errors import EngineError
from rung.structured import RefusedError, compile_schema, require_object, violations, with_refusal
from rung.structured.targets import TARGETS

NAME = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}
NO = {"cannot_answer": {"reason": "there is no such person"}}
TREE = {
    "type": "object",
    "properties": {"kids": {"type": "array", "items": {"$ref": "#"}}},
    "required": ["kids"],
    "additionalProperties": False,
}
PEOPLE = {"$ref": "#/definitions/name", "definitions": {"name": NAME}}


def completion(text: str) -> Completion:
    return Completion(text=text, engine="e", model="m")


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        (NAME, {"name": "Ada"}, {"nom": "Ada"}),
        (TREE, {"kids": [{"kids": []}]}, {"kids": [{"kid": []}]}),
        (PEOPLE, {"name": "Ada"}, {}),
        ({**PEOPLE, "$schema": "http://json-schema.org/draft-07/schema#"}, {"name": "A"}, {}),
        ({**PEOPLE, "$schema": "http://json-schema.org/draft-04/schema#"}, {"name": "A"}, {}),
        (
            {**TREE, "$schema": "http://json-schema.org/draft-04/schema#"},
            {"kids": [{"kids": []}]},
            {"kids": [{"kid": []}]},
        ),
        (
            {"$id": "https://example.com/a", "$ref": "#/$defs/n", "$defs": {"n": NAME}},
            {"name": "A"},
            {},
        ),
        ({"$defs": {"n": {"$anchor": "n", **NAME}}, "$ref": "#n"}, {"name": "A"}, {}),
        ({"type": "array", "items": {"type": "integer"}}, [1], ["x"]),
        (True, {"name": "A"}, None),
    ],
)
def test_a_wrapped_schema_allows_what_it_allowed_and_a_refusal(
    schema: Any, good: Any, bad: Any
) -> None:
    wrapped = with_refusal(schema)
    assert violations(good, wrapped) == []
    assert violations(NO, wrapped) == []
    assert bad is None or violations(bad, wrapped)


@pytest.mark.parametrize("target", sorted(TARGETS))
@pytest.mark.parametrize(
    ("schema", "good"),
    [
        (NAME, {"name": "Ada"}),
        (TREE, {"kids": [{"kids": []}]}),
        (PEOPLE, {"name": "Ada"}),
        ({**PEOPLE, "$schema": "http://json-schema.org/draft-04/schema#"}, {"name": "Ada"}),
        ({"$id": "https://a.b/c", "$ref": "c#/$defs/n", "$defs": {"n": NAME}}, {"name": "Ada"}),
        ({"$defs": {"n": {"$anchor": "n", **NAME}}, "$ref": "#n"}, {"name": "Ada"}),
        ({"$defs": {"n": {"$id": "n.json", **NAME}}, "$ref": "n.json"}, {"name": "Ada"}),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 3}, [1]),
        ({"enum": ["yes", "no"]}, "no"),
        ({"anyOf": [NAME, {"type": "null"}]}, {"name": "Ada"}),
    ],
)
def test_a_wrapped_schema_compiles_with_both_branches_for_every_engine(
    schema: Any, good: Any, target: str
) -> None:
    wrapped = with_refusal(schema)
    assert violations(good, wrapped) == []
    compiled = compile_schema(wrapped, target, 400).schema
    assert violations(NO, compiled) == []
    assert violations(good, compiled) == []


def test_a_refusal_is_an_error_with_the_models_reason() -> None:
    with pytest.raises(RefusedError, match="there is no such person") as caught:
        require_object(
            completion('```json\n{"cannot_answer": {"reason": "there is no such person"}}\n```'),
            NAME,
            may_refuse=True,
        )
    assert isinstance(caught.value, EngineError)
    assert (caught.value.kind, caught.value.reason) == ("refused", "there is no such person")


def test_a_model_that_was_not_asked_whether_it_can_has_no_refusal() -> None:
    with pytest.raises(EngineError) as caught:
        require_object(completion('{"cannot_answer": {"reason": "no"}}'), NAME)
    assert caught.value.kind == "bad_output"


def test_a_callers_own_schema_may_have_that_word() -> None:
    own = {"type": "object", "properties": {"cannot_answer": {"type": "object"}}}
    answer = require_object(completion('{"cannot_answer": {"reason": "x"}}'), own, may_refuse=True)
    assert answer.parsed == {"cannot_answer": {"reason": "x"}}


@pytest.mark.parametrize("text", ['{"cannot_answer": {"reason": ""}}', '{"cannot_answer": {}}'])
def test_a_refusal_without_a_reason_is_a_bad_answer(text: str) -> None:
    with pytest.raises(EngineError) as caught:
        require_object(completion(text), NAME, may_refuse=True)
    assert caught.value.kind == "bad_output"
