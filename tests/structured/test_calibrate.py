"""Schemas that are tried out before any model is asked."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from rung.errors import SchemaError
from rung.structured import compile_schema, violations
from rung.structured.budget import BudgetError, shortest
from rung.structured.calibrate import trial
from rung.structured.instances import random_instance
from rung.structured.normal import normal_form
from rung.structured.targets import TARGETS
from rung.structured.validate import is_valid_under
from tests.structured.strategies import answers, schemas

quick = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
BOUNDED = sorted(name for name, target in TARGETS.items() if target.is_bounded)


def record(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


@quick
@given(schemas, st.sampled_from(sorted(TARGETS)), st.integers(0, 1000))
def test_a_random_answer_is_one_that_the_compiled_schema_allows(
    schema: Any, target: str, seed: int
) -> None:
    try:
        compiled = compile_schema(schema, target).schema
    except SchemaError:
        assume(False)
    assert is_valid_under(random_instance(compiled, Random(seed)), compiled)


@quick
@given(schemas, st.sampled_from(BOUNDED), st.sampled_from([None, 60, 400]))
def test_a_compiled_schema_accepts_something_valid_wherever_its_original_does(
    schema: Any, target: str, max_tokens: int | None
) -> None:
    try:
        result = compile_schema(schema, target, max_tokens)
    except SchemaError:
        assume(False)
    answers = [random_instance(result.schema, Random(seed)) for seed in range(40)]
    hard = [what for what in result.relaxed if "not enforced" in what or "may not" in what]
    assert hard or any(violations(answer, schema) == [] for answer in answers)


@quick
@given(schemas)
def test_no_answer_is_shorter_than_the_shortest(schema: Any) -> None:
    try:
        form = normal_form(schema)
    except SchemaError:
        assume(False)
    with pytest.raises(BudgetError) if shortest(form.shape) > 4 else _nothing():
        compile_schema(schema, "llamacpp", 1)


class _nothing:  # noqa: N801
    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


@settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))
@given(st.data())
@pytest.mark.parametrize("target", BOUNDED)
def test_another_generator_finds_nothing_that_the_original_refuses(
    target: str, data: st.DataObject
) -> None:
    schema = record(
        day={"type": "string", "format": "date"},
        share={"enum": [0, 0.25, 1]},
        code={"type": "string", "pattern": r"^[A-Z]{2}-\d+$", "maxLength": 12},
        tags={"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 1},
        kind={"oneOf": [{"const": 1}, {"type": "string", "minLength": 2}]},
    )
    answer = data.draw(answers(compile_schema(schema, target, 400).schema))
    assert violations(answer, schema) == []


def test_keys_that_have_to_follow_a_pattern_are_made_up_where_free_ones_would_be_wrong() -> None:
    schema = {
        "type": "object",
        "patternProperties": {"^x-[a-z]{2,5}$": {"type": "integer"}},
        "additionalProperties": False,
    }
    result = compile_schema(schema, "llamacpp")
    assert result.calibrated == 1
    assert all(name.startswith("x-") for name in result.schema["properties"])
    assert any("free keys: only x-" in what for what in result.relaxed)


def test_llguidance_bounds_the_keys_of_a_dictionary_and_keeps_them_free() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "boolean"}, "minProperties": 2}
    compiled = compile_schema(schema, "llguidance", 300).schema
    assert list(compiled["patternProperties"].values()) == [{"type": "boolean"}]
    assert compiled["minProperties"] == 2
    assert compiled["maxProperties"] >= 2
    assert compiled["x-guidance"] == {"whitespace_flexible": False}


def test_a_length_that_a_pattern_does_not_keep_is_kept_with_care() -> None:
    schema = {"type": "string", "format": "uri", "minLength": 20, "maxLength": 200}
    compiled = compile_schema(schema, "llamacpp")
    assert compiled.calibrated == 1


def test_an_optional_part_that_an_engine_gets_wrong_is_left_out_and_said() -> None:
    odd = {"type": "string", "pattern": "^(?=.*[0-9]{9}).{40,}$"}
    schema = {**record(a={"type": "boolean"}), "additionalProperties": False}
    schema["properties"]["odd"] = odd
    result = compile_schema(schema, "llamacpp")
    assert list(result.schema["properties"]) == ["a"]
    assert "/odd: is left out, for this engine would get it wrong" in result.relaxed
    assert result.calibrated == 1


def test_a_required_part_that_an_engine_gets_wrong_stays_and_its_share_is_said() -> None:
    result = compile_schema(
        record(odd={"type": "string", "pattern": "^(?=.*[0-9]{9}).{40,}$"}), "llamacpp"
    )
    assert list(result.schema["properties"]) == ["odd"]
    assert result.calibrated == 0
    assert "/: 0% of random answers are valid under the original" in result.relaxed


def test_a_trial_is_the_same_every_time() -> None:
    compiled = compile_schema(record(n={"type": "number", "minimum": 0}), "generic").schema
    strict = record(n={"type": "number", "minimum": 5})
    assert trial(compiled, strict) == trial(compiled, strict)
    assert trial(compiled, strict).places <= {"/n"}


def test_lengths_are_patterns_for_those_who_know_no_lengths() -> None:
    schema = record(a={"type": "string", "minLength": 1}, b={"type": "string", "maxLength": 9})
    compiled = compile_schema(schema, "openai")
    assert compiled.schema["properties"]["a"]["pattern"] == r"^[\s\S]+$"
    assert compiled.schema["properties"]["b"]["pattern"] == r"^[\s\S]{0,9}$"
    assert compiled.calibrated == 1


def test_who_refuses_patterns_is_sent_none_and_it_is_said() -> None:
    schema = record(a={"type": "string", "maxLength": 9}, b={"type": "string", "pattern": "^x+$"})
    compiled = compile_schema(schema, "anthropic")
    assert "pattern" not in str(compiled.schema)
    assert any("maxLength" in said for said in compiled.relaxed)
    assert any("pattern" in said for said in compiled.relaxed)


def test_numbers_end_where_an_engine_would_let_their_digits_run_on() -> None:
    schema = record(n={"type": "number"}, m={"type": "integer", "minimum": 5})
    compiled = compile_schema(schema, "llguidance").schema["properties"]
    assert compiled["n"]["multipleOf"] == 0.0001
    assert compiled["m"]["minimum"] == 5
    assert compiled["m"]["maximum"] > 10**9
