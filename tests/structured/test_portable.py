from __future__ import annotations

import json
from typing import Any

import pytest

from rung.errors import SchemaError, UsageError
from rung.structured import compile_schema, violations
from rung.structured.budget import BudgetError
from rung.structured.portable import tokens_needed
from rung.structured.targets import TARGETS


def llamacpp(schema: Any, max_tokens: int | None = None) -> dict[str, Any]:
    return compile_schema(schema, "llamacpp", max_tokens).schema


def relaxed(schema: Any, target: str = "llamacpp") -> str:
    return "\n".join(compile_schema(schema, target).relaxed)


def record(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


TREE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "value": {"type": "integer"},
                "kids": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
            "required": ["value"],
        }
    },
    "$ref": "#/$defs/node",
}


def test_an_unknown_target_is_refused_with_the_names_of_those_there_are() -> None:
    with pytest.raises(UsageError, match="generic, llamacpp, llguidance, openai"):
        compile_schema({}, "gpt")


@pytest.mark.parametrize("anything", [True, {}, {"description": "whatever"}, {"type": "object"}])
def test_a_schema_that_asks_nothing_still_gives_an_object(anything: Any) -> None:
    assert llamacpp(anything) == {"type": "object"}
    assert "number and length of free keys" in relaxed(anything)


@pytest.mark.parametrize(
    "impossible",
    [
        False,
        {"enum": []},
        {"type": "string", "minLength": 3, "maxLength": 2},
        {"type": "string", "pattern": "^[a-z]{3}", "maxLength": 2},
        {"allOf": [{"type": "string"}, {"type": "integer"}]},
        {"type": "object", "required": ["a"], "properties": {"a": False}},
        {"type": "object", "required": ["a", "b"], "maxProperties": 1},
        {"type": "array", "items": {"enum": [1, 2]}, "uniqueItems": True, "minItems": 3},
        {"$ref": "#"},
        {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]},
        {"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 4},
    ],
)
def test_what_nothing_can_satisfy_is_said_before_the_call(impossible: Any) -> None:
    with pytest.raises(SchemaError, match="no answer can satisfy"):
        llamacpp(impossible)


@pytest.mark.parametrize(
    "reference",
    [
        "#/$defs/a~1b~0c%25d",
        "#/properties/own",
        "#word",
        "http://x.test/leaf",
        "leaf",
        "leaf#/type/..",
    ],
)
def test_local_references_of_every_form_are_inlined_with_what_stands_beside_them(
    reference: str,
) -> None:
    leaf = {"type": "string", "minLength": 2}
    schema = {
        "$id": "http://x.test/root",
        "type": "object",
        "properties": {"p": {"$ref": reference, "maxLength": 5}, "own": leaf},
        "required": ["p"],
        "$defs": {
            "a/b~c%d": leaf,
            "anchored": {**leaf, "$anchor": "word"},
            "named": {**leaf, "$id": "leaf"},
        },
    }
    if reference.endswith(".."):
        with pytest.raises(SchemaError, match=r"/properties/p.*there is no"):
            llamacpp(schema)
    else:
        assert llamacpp(schema)["properties"]["p"] == {**leaf, "maxLength": 5}


def test_a_reference_inside_a_resource_is_relative_to_it() -> None:
    inner = {"$id": "inner", "$ref": "#/$defs/x", "$defs": {"x": {"const": "inner"}}}
    schema = {
        "$id": "http://x.test/",
        **record(p={"$ref": "inner"}, q={"$ref": "#/$defs/x"}),
        "$defs": {"x": {"const": "outer"}, "i": inner},
    }
    assert llamacpp(schema)["properties"] == {
        "p": {"type": "string", "enum": ["inner"]},
        "q": {"type": "string", "enum": ["outer"]},
    }


def test_a_remote_reference_is_refused_with_its_place() -> None:
    schema = record(deep={"items": {"$ref": "https://example.com/schema.json"}})
    with pytest.raises(SchemaError, match=r"/properties/deep/items.*outside this schema"):
        llamacpp(schema)


def test_references_in_data_are_data() -> None:
    schema = {"const": {"$ref": "#/nowhere", "$id": "x"}, "default": {"$ref": "#/nowhere"}}
    assert llamacpp(schema) == {"enum": [{"$ref": "#/nowhere", "$id": "x"}]}


def test_recursion_is_unrolled_twice_and_said() -> None:
    schema = compile_schema(TREE, "llamacpp").schema
    levels = 0
    while "items" in (kids := schema["properties"].get("kids", {})) and kids["maxItems"]:
        schema, levels = kids["items"], levels + 1
    assert levels == 2
    assert "/kids/*/kids/*/kids/*: recursion is cut at depth 2" in relaxed(TREE)
    assert violations({"value": 1, "kids": [{"value": 2, "kids": []}]}, TREE) == []


def test_a_tree_that_does_not_fit_loses_depth_before_its_nodes_lose_properties() -> None:
    schema = compile_schema(TREE, "llamacpp", 180).schema
    assert set(schema["properties"]) == {"value", "kids"}
    inside = schema["properties"]["kids"]["items"]["properties"]
    assert inside["value"] == {"type": "integer"}
    assert inside["kids"]["maxItems"] == 0


def test_properties_keep_the_authors_order_even_through_references() -> None:
    schema = {
        "allOf": [{"$ref": "#/$defs/z"}, {"properties": {"a": {"type": "null"}}}],
        "$defs": {"z": record(zebra={"type": "null"}, apple={}, mango={"type": "null"})},
    }
    assert list(llamacpp(schema)["properties"]) == ["zebra", "apple", "mango", "a"]


def test_all_of_is_merged_to_the_strictest() -> None:
    schema = {
        "allOf": [
            record(x={"type": ["string", "integer"], "minLength": 2}),
            {"properties": {"x": {"type": "string", "maxLength": 4}}},
        ]
    }
    assert llamacpp(schema)["properties"]["x"] == {"type": "string", "minLength": 2, "maxLength": 4}


def test_a_closed_part_of_an_all_of_closes_the_whole() -> None:
    schema = {
        "allOf": [
            {"properties": {"a": {"type": "null"}}, "additionalProperties": False},
            {"properties": {"a": {}, "b": {"type": "null"}}},
        ]
    }
    assert list(llamacpp(schema)["properties"]) == ["a"]


def test_type_lists_and_constants_become_unions_and_enums() -> None:
    schema = record(a={"type": ["string", "null"], "maxLength": 3}, b={"const": 5})
    assert llamacpp(schema)["properties"] == {
        "a": {"anyOf": [{"type": "string", "maxLength": 3}, {"type": "null"}]},
        "b": {"enum": [5]},
    }


def test_enums_keep_only_values_that_the_other_keywords_allow() -> None:
    schema = {
        "enum": ["a", "long", 1, 2.5, True, None],
        "type": ["string", "integer"],
        "maxLength": 1,
    }
    assert llamacpp(schema) == {"enum": ["a", 1]}
    assert llamacpp({"enum": [1, True, 1.0], "not": {"const": 1}}) == {"enum": [True]}


def test_a_word_about_strings_without_a_type_means_a_string() -> None:
    assert llamacpp({"minLength": 2, "maxLength": 3}) == {
        "type": "string",
        "minLength": 2,
        "maxLength": 3,
    }


def test_the_branches_of_a_discriminated_union_stay_apart() -> None:
    cat = record(kind={"const": "cat"}, lives={"type": "integer"})
    dog = record(kind={"const": "dog"}, name={"type": "boolean"})
    options = llamacpp({"oneOf": [cat, dog]})["anyOf"]
    assert [option["properties"]["kind"]["enum"] for option in options] == [["cat"], ["dog"]]
    assert "oneOf" not in relaxed({"oneOf": [cat, dog]})


def test_one_of_two_keys_never_gives_both() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "null"}, "b": {"type": "null"}},
        "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
    }
    assert [list(option["properties"]) for option in llamacpp(schema)["anyOf"]] == [["a"], ["b"]]


def test_an_overlap_of_one_of_that_cannot_be_kept_apart_is_said() -> None:
    text = [{"type": "string", "pattern": "^a"}, {"type": "string", "pattern": "z$"}]
    schema = {"oneOf": [*text, {"type": "null"}]}
    assert "oneOf: that only one branch matches is not enforced" in relaxed(schema)
    assert len(llamacpp(schema)["anyOf"]) == 3


def test_conditions_become_branches() -> None:
    schema = {
        **record(country={"enum": ["US", "DE"]}),
        "if": {"properties": {"country": {"const": "US"}}, "required": ["country"]},
        "then": record(state={"type": "null"}),
        "else": record(land={"type": "null"}),
    }
    found = {
        option["properties"]["country"]["enum"][0]: set(option["required"])
        for option in llamacpp(schema)["anyOf"]
    }
    assert found == {"US": {"country", "state"}, "DE": {"country", "land"}}


def test_what_not_excludes_is_left_out_or_said() -> None:
    without = {"type": "object", "properties": {"a": {}, "b": {}}, "not": {"required": ["b"]}}
    assert list(llamacpp(without)["properties"]) == ["a"]
    assert llamacpp({"type": ["string", "null"], "not": {"type": "string"}}) == {"type": "null"}
    assert "not: is not enforced" in relaxed({"type": "string", "not": {"pattern": "^x"}})


def test_an_exclusion_that_leaves_nothing_rung_knows_of_is_said_not_kept() -> None:
    assert "not: is not enforced" in relaxed({"type": "array", "not": {"minItems": 0}})
    nested = {"oneOf": [{"type": "string"}, {"type": "string", "pattern": "^[a-z]+$"}]}
    assert "oneOf" in relaxed({"oneOf": [{"type": "string"}, nested]})


def test_a_dependent_property_comes_with_what_it_needs() -> None:
    schema = {
        "type": "object",
        "properties": {"card": {"type": "null"}, "address": {"type": "null"}},
        "dependentRequired": {"card": ["address"]},
    }
    with_address, without_card = llamacpp(schema)["anyOf"]
    assert with_address["required"] == ["address"]
    assert "card" not in without_card["properties"]


@pytest.mark.parametrize("draft", ["prefixItems", "items"])
def test_a_tuple_has_its_shape_by_position(draft: str) -> None:
    schema = {"type": "array", draft: [{"type": "integer"}, {"type": "null"}], "minItems": 2}
    assert llamacpp(schema) == {
        "type": "array",
        "minItems": 2,
        "maxItems": 2,
        "prefixItems": [{"type": "integer"}, {"type": "null"}],
    }


def test_a_dictionary_keeps_its_free_keys_and_says_that_they_are_not_bounded() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "integer"}}
    assert llamacpp(schema) == {"type": "object", "additionalProperties": {"type": "integer"}}
    assert "free keys" in relaxed(schema)
    by_pattern = {"type": "object", "patternProperties": {"^x-": {"type": "null"}}}
    assert llamacpp(by_pattern)["additionalProperties"] == {"type": "null"}
    assert "names and number of the keys: are not enforced" in relaxed(by_pattern)


def test_an_open_object_with_declared_properties_is_closed() -> None:
    assert llamacpp(record(a={"type": "null"}))["additionalProperties"] is False


def test_required_but_undeclared_properties_get_the_shape_of_additional_ones() -> None:
    schema = {"required": ["x-a", "b"], "patternProperties": {"^x-": {"type": "null"}}}
    schema |= {"additionalProperties": {"type": "boolean"}}
    assert llamacpp(schema)["properties"] == {"x-a": {"type": "null"}, "b": {"type": "boolean"}}


def test_an_object_that_may_not_be_empty_is_never_offered_empty() -> None:
    schema = {"properties": {"a": {"type": "null"}, "b": {"type": "null"}}, "minProperties": 1}
    found = [(list(o["properties"]), o["required"]) for o in llamacpp(schema)["anyOf"]]
    assert found == [(["a", "b"], ["a"]), (["b"], ["b"])]


def test_property_names_are_held_against_their_schema() -> None:
    schema = {"type": "object", "properties": {"ok": {}, "too-long": {}}}
    schema |= {"propertyNames": {"maxLength": 3}}
    assert list(llamacpp(schema)["properties"]) == ["ok"]


def test_integers_keep_their_bounds_and_small_ranges_of_decimals_become_lists() -> None:
    low_open = {"type": "integer", "exclusiveMinimum": 0, "maximum": 9.5}
    assert llamacpp(low_open) == {"type": "integer", "minimum": 1, "maximum": 9}
    assert llamacpp({"type": "integer", "minimum": 0, "exclusiveMinimum": True})["minimum"] == 1
    share = llamacpp({"type": "number", "minimum": 0, "exclusiveMaximum": 1})["enum"]
    assert share[0] == 0
    assert share[33] == 0.33
    assert share[-1] == 0.99
    assert llamacpp({"type": "integer", "minimum": 1, "maximum": 20, "multipleOf": 5}) == {
        "enum": [5, 10, 15, 20]
    }


def test_bounds_that_the_engine_passes_over_are_said() -> None:
    assert "are not enforced" in relaxed({"type": "number", "minimum": 0})
    assert "are not enforced" in relaxed({"type": "integer", "multipleOf": 7})
    assert "are not enforced" in relaxed({"type": "integer", "maximum": 10**20})
    assert "uniqueItems" in relaxed({"type": "array", "items": {}, "uniqueItems": True})
    assert "contains" in relaxed({"type": "array", "contains": {"const": 1}})
    assert "minProperties" in relaxed({"properties": {"a": {}, "b": {}}, "minProperties": 2})
    assert "nullable" in relaxed({"type": "string", "nullable": True})


def test_the_authors_bounds_are_narrowed_to_fit_but_not_below_their_minima() -> None:
    text = {"type": "string", "minLength": 90, "maxLength": 5000}
    assert llamacpp(text, 100) == {"type": "string", "minLength": 90, "maxLength": 90}
    items = {"type": "array", "items": {"type": "boolean"}, "minItems": 40}
    fitted = llamacpp(items, 100)
    assert (fitted["minItems"], fitted["maxItems"]) == (40, 40)
    assert llamacpp({"type": "string", "maxLength": 7})["maxLength"] == 7


def test_more_tokens_give_more_room() -> None:
    schema = record(title={"type": "string"}, tags={"type": "array", "items": {"type": "string"}})
    small, large = llamacpp(schema, 200)["properties"], llamacpp(schema, 4000)["properties"]
    assert small["title"]["maxLength"] < large["title"]["maxLength"]
    assert small["tags"]["maxItems"] < large["tags"]["maxItems"]


def test_required_parts_stay_and_optional_ones_go_when_the_tokens_are_few() -> None:
    optional = {f"o{i}": {"type": "string"} for i in range(9)}
    schema = {**record(need={"type": "string"}), "additionalProperties": False}
    schema["properties"] = {**optional, **schema["properties"]}
    result = compile_schema(schema, "llamacpp", 150)
    assert "need" in result.schema["properties"]
    assert 0 < len(result.schema["properties"]) < 10
    assert "/o8: is left out, to fit the tokens" in result.relaxed


def test_an_optional_dictionary_goes_because_nothing_bounds_it() -> None:
    schema = record(a={"type": "null"})
    schema["properties"] = {**schema["properties"], "labels": {"type": "object"}}
    assert list(llamacpp(schema)["properties"]) == ["a"]
    assert "labels" in compile_schema(schema, "openai").schema["properties"]


MANY = record(**{f"long_name_of_a_field_{i}": {"type": "string"} for i in range(20)})


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_required_parts_that_cannot_fit_are_refused_with_the_tokens_they_need(target: str) -> None:
    with pytest.raises(BudgetError, match="raise max_tokens") as refused:
        compile_schema(MANY, target, 100)
    result = compile_schema(MANY, target, refused.value.tokens_needed)
    assert len(result.schema["properties"]) == 20
    assert not any("may not fit" in what for what in result.relaxed)


def test_required_parts_that_might_not_fit_are_kept_and_said_with_the_tokens_that_do() -> None:
    result = compile_schema(MANY, "llamacpp", 300)
    assert len(result.schema["properties"]) == 20
    needed = tokens_needed(result)
    assert f"/: may not fit 300 tokens; {needed} are sure to do" in result.relaxed
    assert tokens_needed(compile_schema(MANY, "llamacpp", needed)) <= needed


def test_the_tokens_that_are_sure_to_do_are_known_only_where_answers_are_bounded() -> None:
    assert tokens_needed(compile_schema(record(a={"type": "boolean"}), "llamacpp")) == 19
    assert tokens_needed(compile_schema(record(a={"type": "object"}), "openai")) is None


def test_minima_too_large_to_try_out_are_compiled_all_the_same() -> None:
    schema = {"type": "array", "items": {"type": "string", "minLength": 99}, "minItems": 10**9}
    assert llamacpp(schema)["minItems"] == 10**9
    with pytest.raises(BudgetError):
        llamacpp(schema, 1000)


def test_openai_gets_nulls_for_what_may_be_left_out() -> None:
    schema = record(a={"type": "string", "format": "date"})
    schema["properties"] = {**schema["properties"], "b": {"type": "integer", "description": "B"}}
    result = compile_schema(schema, "openai")
    assert result.is_strict
    assert result.schema["required"] == ["a", "b"]
    assert result.schema["properties"] == {
        "a": {"type": "string", "format": "date"},
        "b": {"description": "B", "anyOf": [{"type": "integer"}, {"type": "null"}]},
    }


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "array", "items": {"type": "null"}},
        record(d={"type": "object"}),
    ],
)
def test_what_strict_mode_refuses_is_sent_without_it(schema: Any) -> None:
    result = compile_schema(schema, "openai")
    assert not result.is_strict
    assert any("so it is off" in what for what in result.relaxed)


def test_anthropic_gets_what_may_be_left_out_as_it_is_and_no_bounds() -> None:
    schema = record(
        a={"type": "string", "format": "uri", "maxLength": 9},
        n={"type": "integer", "minimum": 1},
        t={"type": "array", "items": {"type": "null"}, "minItems": 2},
    )
    schema["properties"] = {**schema["properties"], "b": {"type": "integer"}}
    result = compile_schema(schema, "anthropic")
    assert result.is_strict
    assert result.schema == {
        "type": "object",
        "properties": {
            "a": {"type": "string", "format": "uri"},
            "n": {"type": "integer"},
            "t": {"type": "array", "items": {"type": "null"}, "minItems": 1},
            "b": {"type": "integer"},
        },
        "required": ["a", "n", "t"],
        "additionalProperties": False,
    }
    assert [what.partition(":")[0] for what in result.relaxed[:-1]] == ["/a", "/n", "/t"]


def test_anthropic_has_no_mode_for_free_keys() -> None:
    assert not compile_schema(record(d={"type": "object"}), "anthropic").is_strict


def test_where_strict_mode_is_off_the_schema_says_all_that_is_wanted() -> None:
    schema = record(
        name={"type": "string", "minLength": 2, "pattern": "^(?!x)[a-z]+$"},
        share={"type": "number", "minimum": 0, "maximum": 1},
        labels={"type": "object", "additionalProperties": {"type": "integer"}, "maxProperties": 9},
        pair={"type": "array", "prefixItems": [{"type": "null"}, {"type": "boolean"}]},
    )
    schema["properties"] = {**schema["properties"], "maybe": {"type": "null"}}
    for target in ("openai", "anthropic"):
        result = compile_schema(schema, target)
        assert not result.is_strict
        assert "maybe" not in result.schema["required"]
        for name in ("name", "share", "labels"):
            assert result.schema["properties"][name] == schema["properties"][name]
        assert len(result.schema["properties"]["pair"]["prefixItems"]) == 2


def numbered(count: int, schema: Any) -> dict[str, Any]:
    return {f"p{n}": schema for n in range(count)}


@pytest.mark.parametrize(
    ("target", "schema", "excess"),
    [
        ("anthropic", {"properties": numbered(25, {"type": "null"})}, "25 optional"),
        ("anthropic", record(**numbered(17, {"type": ["null", "string"]})), "17 unions"),
        (
            "openai",
            record(a={"enum": list(range(600))}, b={"enum": list(range(401))}),
            "1001 listed",
        ),
        ("openai", record(**{"n" * 120_001: {"type": "null"}}), "120001 name characters"),
    ],
)
def test_what_exceeds_the_limits_of_a_strict_mode_is_sent_without_it(
    target: str, schema: Any, excess: str
) -> None:
    result = compile_schema(schema, target)
    assert not result.is_strict
    assert excess in result.relaxed[0]


def test_a_schema_at_the_limit_is_enforced() -> None:
    assert compile_schema({"properties": numbered(24, {"type": "null"})}, "anthropic").is_strict
    unions = record(**numbered(16, {"type": ["null", "string"]}))
    assert compile_schema(unions, "anthropic").is_strict


@pytest.mark.parametrize("target", ["openai", "anthropic"])
def test_listed_objects_are_written_out_for_those_who_list_only_scalars(target: str) -> None:
    values = [{"a": 1, "b": [True, {}]}, "x", 2]
    compiled = compile_schema(record(v={"enum": values}), target)
    assert compiled.is_strict
    assert {"enum": ["x", 2]} in compiled.schema["properties"]["v"]["anyOf"]
    listed = [node["enum"] for node in nodes(compiled.schema) if "enum" in node]
    assert not any(isinstance(value, dict | list) for values in listed for value in values)


def nodes(schema: dict[str, Any]) -> list[dict[str, Any]]:
    parts = [*schema.get("properties", {}).values(), *schema.get("anyOf", [])]
    parts += [schema["items"]] if "items" in schema else []
    return [schema, *(node for part in parts for node in nodes(part))]


def test_a_bound_that_the_engine_passes_over_is_not_sent() -> None:
    schema = record(latitude={"type": "number", "minimum": -90, "maximum": 90})
    assert llamacpp(schema)["properties"]["latitude"] == {"type": "number"}
    assert compile_schema(schema, "openai").schema["properties"] == schema["properties"]


def test_digits_end_where_an_engine_knows_no_bounds_of_numbers() -> None:
    schema = record(i={"type": "integer"}, y={"type": "integer", "minimum": 0, "maximum": 2100})
    schema["properties"]["x"] = {"type": "number"}
    found = compile_schema(schema, "outlines").schema["properties"]
    assert found["i"] == {"type": "integer", "maxDigits": 15}
    assert found["y"] == {"type": "integer", "maxDigits": 4}
    # Without the least digits Outlines would let through "1." and "1e+".
    assert (found["x"]["minDigitsFraction"], found["x"]["minDigitsExponent"]) == (1, 1)


@pytest.mark.parametrize("kind", ["integer", "number"])
def test_multiples_of_whole_numbers_make_a_number_whole(kind: str) -> None:
    both = {"type": kind, "allOf": [{"multipleOf": 4}, {"multipleOf": 6}]}
    assert compile_schema(record(n=both), "openai").schema["properties"]["n"] == {
        "type": "integer",
        "multipleOf": 12,
    }
    halves = record(n={"type": "integer", "multipleOf": 0.5})
    assert llamacpp(halves)["properties"]["n"] == {"type": "integer"}


def test_a_description_is_kept_for_those_who_show_the_schema_to_the_model() -> None:
    schema = {
        **record(a={"$ref": "#/$defs/d"}),
        "$defs": {"d": {"title": "A  day", "type": "null"}},
    }
    assert compile_schema(schema, "generic").schema["properties"]["a"]["description"] == "A day"
    assert "description" not in llamacpp(schema)["properties"]["a"]


def test_a_schema_that_explodes_is_still_compiled() -> None:
    names = [f"d{i}" for i in range(12)]
    links = {name: {"$ref": f"#/$defs/{name}"} for name in names}
    schema = {
        **record(start={"$ref": "#/$defs/d0"}, note={"type": "string"}),
        "$defs": {name: {"type": "object", "properties": links} for name in names},
    }
    result = compile_schema(schema, "llamacpp")
    assert result.schema["required"] == ["start", "note"]
    assert result.relaxed


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "minProperties": 10**9},
        {"type": "object", "minProperties": 10**9, "propertyNames": {"pattern": "^[a-z]+$"}},
        {"type": "array", "prefixItems": [{"type": "null"}], "minItems": 10**8},
        {"type": "integer", "minimum": 10**30, "maximum": 10**30 + 5},
        {"type": "integer", "multipleOf": 1e-300},
        {"type": "number", "multipleOf": 1e-300, "minimum": 1e300, "maximum": 1.1e300},
    ],
)
@pytest.mark.parametrize("target", sorted(TARGETS))
def test_absurd_numbers_are_compiled_or_refused_and_never_expanded(
    target: str, schema: Any
) -> None:
    for max_tokens in (None, 300):
        try:
            compiled = compile_schema(schema, target, max_tokens)
        except SchemaError:
            continue
        assert len(json.dumps(compiled.schema)) < 100_000
