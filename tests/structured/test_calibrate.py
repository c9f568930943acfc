"""Schemas that are tried out before any model is asked."""

from __future__ import annotations

import json
from math import ceil
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
from rung.structured.mend import mended
from rung.structured.normal import normal_form
from rung.structured.targets import TARGETS
from rung.structured.validate import is_valid_under
from tests.structured.strategies import answers, satisfied, schemas

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
        compiled = compile_schema(schema, target)
    except SchemaError:
        assume(False)
    # Where strict mode is off, the schema says all of the original, even what contradicts itself.
    assume(compiled.is_strict or TARGETS[target].is_bounded)
    answer = random_instance(compiled.schema, Random(seed))
    assert is_valid_under(answer, compiled.schema)


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
@given(satisfied, st.sampled_from(sorted(TARGETS)), st.booleans())
def test_nothing_is_refused_that_has_an_answer_which_may_fit_the_tokens(
    pair: tuple[Any, Any], target: str, is_tight: bool
) -> None:
    schema, value = pair
    assert violations(value, schema) == []
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    # Four characters a token are the most that is reckoned with.
    result = compile_schema(schema, target, ceil(len(text) / 4) if is_tight else None)
    answers = [random_instance(result.schema, Random(seed)) for seed in range(40)]
    read = [mended(answer, schema)[0] for answer in answers]
    hard = [what for what in result.relaxed if "not enforced" in what or "may not" in what]
    assert hard or any(violations(answer, schema) == [] for answer in read)


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


@pytest.mark.parametrize("target", ["openai", "anthropic"])
def test_lengths_are_patterns_for_those_who_know_no_lengths(target: str) -> None:
    schema = record(
        a={"type": "string", "minLength": 1},
        b={"type": "string", "maxLength": 9},
        c={"type": "string", "pattern": "^[a-z]+$", "minLength": 2, "maxLength": 7},
        d={"type": "string", "minLength": 1, "maxLength": 9_999},
    )
    compiled = compile_schema(schema, target)
    found = {name: sub["pattern"] for name, sub in compiled.schema["properties"].items()}
    assert found["a"] == r"^(.|\s)+$"
    assert found["b"] == r"^(.|\s){0,9}$"
    assert found["c"] == "^[a-z]{2,7}$"
    assert found["d"] == found["a"]
    assert [what for what in compiled.relaxed if "maxLength" in what] == [
        "/d: minLength and maxLength: are not enforced"
    ]
    assert compiled.calibrated == 1


def test_patterns_are_sent_as_their_author_wrote_them_to_those_who_know_them() -> None:
    schema = record(
        a={"type": "string", "pattern": r"^(?:\d+|x)-[^a]{2,5}$"},
        b={"type": "string", "pattern": "^(?=a)b$"},
        c={"type": "string", "pattern": "^[a-z]{0,200}$"},
        d={"type": "string", "format": "uri"},
    )
    for target, has_long in (("openai", True), ("anthropic", False)):
        found = compile_schema(schema, target).schema["properties"]
        assert found["a"]["pattern"] == r"^(\d+|x)-[^a]{2,5}$"
        assert found["b"] == {"type": "string"}
        assert ("pattern" in found["c"]) is has_long
        assert {"pattern", "format"} & found["d"].keys()


def test_a_uri_may_be_any_uri_where_no_grammar_has_to_be_small() -> None:
    pattern = compile_schema(record(u={"type": "string", "format": "uri"}), "openai")
    written = pattern.schema["properties"]["u"]
    for uri in ("https://a.b/c%20d?e=f#g", "mailto:a@b.c", "urn:isbn:1", "file:///tmp/x"):
        assert violations(uri, written) == []
    for text in ("", "no", "http://a b", "http://a:b/"):
        assert violations(text, written)


def test_a_part_is_not_left_out_because_an_engine_knows_no_bounds_of_decimals() -> None:
    schema = {"properties": {"price": {"type": "number", "minimum": 0}, "name": {"type": "string"}}}
    compiled = compile_schema(schema, "llamacpp")
    assert "price" in compiled.schema["properties"]
    assert compiled.calibrated < 1


def test_numbers_end_where_an_engine_would_let_their_digits_run_on() -> None:
    schema = record(n={"type": "number"}, m={"type": "integer", "minimum": 5})
    compiled = compile_schema(schema, "llguidance").schema["properties"]
    assert compiled["n"]["multipleOf"] == 0.0001
    assert compiled["m"]["minimum"] == 5
    assert compiled["m"]["maximum"] > 10**9


def test_a_decimal_is_drawn_as_its_digits_say() -> None:
    wide = {"type": "number", "minimum": -(10**12), "maximum": 10**12, "multipleOf": 0.0001}
    drawn = [random_instance(wide, Random(n)) for n in range(300)]
    assert all(is_valid_under(number, wide) for number in drawn)


def test_an_answer_is_drawn_no_longer_than_a_validator_can_judge() -> None:
    for pattern in ("^((((a{1,9}){1,9}){1,9}){1,9}){1,9}$", "^(((((a+)+)+)+)+)+$"):
        schema = {"type": "string", "pattern": pattern}
        drawn = [random_instance(schema, Random(n)) for n in range(20)]
        assert max(map(len, drawn)) <= 2_000
        assert violations(min(drawn, key=len), schema) == []
