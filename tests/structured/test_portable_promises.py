"""What holds for every schema, whatever it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from rung.errors import SchemaError
from rung.structured import compile_schema, instructions, violations
from rung.structured.mend import mended
from rung.structured.targets import TARGETS
from tests.structured.strategies import answers, json_values, nonsense, schemas

# What the converter of llama.cpp enforces; it passes over in silence what it does not know.
ENFORCED = {
    "null": set[str](),
    "boolean": set[str](),
    "string": {"minLength", "maxLength", "pattern"},
    "integer": {"minimum", "maximum"},
    "array": {"items", "prefixItems", "minItems", "maxItems"},
    "object": {"properties", "required", "additionalProperties"},
}
quick = settings(deadline=None, max_examples=80, suppress_health_check=list(HealthCheck))


def nodes(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    parts = [*schema.get("properties", {}).values(), *schema.get("anyOf", [])]
    parts += [
        *schema.get("prefixItems", []),
        schema.get("items"),
        schema.get("additionalProperties"),
    ]
    for part in parts:
        if isinstance(part, dict):
            yield from nodes(part)


def compiled(schema: Any, target: str, max_tokens: int | None = None) -> Any:
    try:
        return compile_schema(schema, target, max_tokens)
    except SchemaError:
        assume(False)


@quick
@given(schemas, st.data())
@pytest.mark.parametrize("target", sorted(TARGETS))
def test_what_the_compiled_schema_accepts_is_valid_unless_it_says_what_is_not_enforced(
    target: str, schema: Any, data: st.DataObject
) -> None:
    result = compiled(schema, target)
    assume(not any("not enforced" in what or "may not be" in what for what in result.relaxed))
    answer, _ = mended(data.draw(answers(result.schema)), schema)  # takes strict mode's nulls out
    assert violations(answer, schema) == []


@quick
@given(schemas, st.data())
def test_the_longest_answer_fits_the_tokens_unless_it_says_so(
    schema: Any, data: st.DataObject
) -> None:
    result = compiled(schema, "llamacpp", 500)
    assume(not any("may not fit" in what or "not bounded" in what for what in result.relaxed))
    answer = data.draw(answers(result.schema))
    # One character of a string is one character of the grammar, however JSON escapes it.
    assert len(json.dumps(answer, ensure_ascii=False)) - escapes(answer) <= 500


def escapes(answer: Any) -> int:
    texts = [answer] if isinstance(answer, str) else []
    if isinstance(answer, dict):
        texts = [*answer, *answer.values()]
    if isinstance(answer, list):
        texts = answer
    if texts == [answer]:
        return len(json.dumps(answer, ensure_ascii=False)) - 2 - len(answer)
    return sum(map(escapes, texts))


@quick
@given(schemas, st.sampled_from([None, 40, 300, 5000]))
def test_llamacpp_gets_only_what_its_converter_enforces(
    schema: Any, max_tokens: int | None
) -> None:
    result = compiled(schema, "llamacpp", max_tokens)
    for node in nodes(result.schema):
        if "anyOf" in node:
            assert node.keys() == {"anyOf"}
        elif "enum" in node:
            assert node["enum"]
            assert node.keys() <= {"type", "enum"}
        elif node["type"] != "number":
            assert node.keys() - {"type"} - ENFORCED[node["type"]] <= {"multipleOf"}


@quick
@given(schemas)
def test_every_string_and_array_for_llamacpp_is_bounded(schema: Any) -> None:
    for node in nodes(compiled(schema, "llamacpp").schema):
        if node.get("type") == "string" and "enum" not in node:
            assert "maxLength" in node or node["pattern"].endswith("$")
            assert not any(sign in node.get("pattern", "") for sign in ("*", "+", ",}"))
        if node.get("type") == "array" and node.get("maxItems") != 0:
            assert "maxItems" in node


@quick
@given(schemas)
def test_a_strict_schema_for_openai_is_closed_and_requires_everything(schema: Any) -> None:
    result = compiled(schema, "openai")
    assume(result.is_strict)
    assert result.schema["type"] == "object"
    for node in nodes(result.schema):
        if node.get("type") == "object":
            assert node["additionalProperties"] is False
            assert list(node["properties"]) == node.get("required", [])


@quick
@given(schemas)
def test_a_schema_for_anthropic_is_closed_and_has_no_bounds_that_it_refuses(schema: Any) -> None:
    result = compiled(schema, "anthropic")
    assume(result.is_strict)
    assert result.schema["type"] == "object"
    for node in nodes(result.schema):
        if node.get("type") == "object":
            assert node["additionalProperties"] is False
        if "type" in node:
            assert not {"minimum", "maximum", "multipleOf", "maxItems"} & node.keys()
            assert not {"minLength", "maxLength", "prefixItems"} & node.keys()
            assert node.get("minItems", 0) <= 1
        assert not any(isinstance(value, dict | list) for value in node.get("enum", []))
        assert "(?" not in node.get("pattern", "")


@quick
@given(schemas | nonsense | json_values, st.sampled_from(sorted(TARGETS)))
def test_anything_given_as_a_schema_compiles_or_is_refused_with_a_reason(
    schema: Any, target: str
) -> None:
    try:
        result = compile_schema(schema, target)
    except SchemaError as error:
        assert str(error)
        return
    assert not any("$ref" in node or "$defs" in node for node in nodes(result.schema))
    assert json.loads(json.dumps(result.schema, allow_nan=False)) == result.schema
    assert instructions(schema)


@quick
@given(schemas, st.sampled_from(sorted(TARGETS)))
def test_compiling_is_a_function_of_the_content(schema: Any, target: str) -> None:
    before = json.dumps(schema)
    result = compiled(schema, target)
    assert compile_schema(json.loads(before), target) == result
    assert json.dumps(schema) == before
