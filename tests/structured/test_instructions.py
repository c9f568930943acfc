from __future__ import annotations

from typing import Any

from rung.structured import instructions
from rung.structured.instructions import MAX_CHARACTERS


def form(schema: Any) -> str:
    return instructions(schema).split("\n", 1)[1]


def test_every_field_has_its_meaning_type_values_and_bounds() -> None:
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 80, "description": "As in\n the register"},
            "kind": {"enum": ["a", "b"]},
            "when": {"type": ["string", "null"], "format": "date"},
            "code": {"type": "string", "pattern": "^[A-Z]{3}$", "minLength": 3, "maxLength": 3},
            "share": {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
            "count": {"type": "integer", "exclusiveMinimum": 1, "multipleOf": 2},
            "tags": {
                "type": "array",
                "items": {"type": "string"},
                "minItems": 2,
                "uniqueItems": True,
            },
            "point": {"type": "array", "prefixItems": [{"type": "number"}, {"const": 0}]},
            "none": {"type": "array", "maxItems": 0},
            "extra": {"type": "object", "additionalProperties": {"type": "boolean"}},
            "any": {},
            "unit": {"type": "object", "additionalProperties": False},
        },
        "required": ["name", "kind"],
    }
    assert (
        form(schema)
        == """\
{
  "name": string (at most 80 characters), // As in the register
  "kind": "a" | "b",
  "when"?: string (date) | null,
  "code"?: string (3 characters, matching ^[A-Z]{3}$),
  "share"?: number (at least 0, below 1),
  "count"?: integer (at least 2, a multiple of 2),
  "tags"?: [string, …] (at least 2 items, all different),
  "point"?: [number, 0, any JSON value, …],
  "none"?: [],
  "extra"?: {
    any key: true | false
  },
  "any"?: any JSON value,
  "unit"?: {},
}"""
    )


def test_the_same_schema_gives_the_same_text_and_the_fixed_part_stands_first() -> None:
    one, other = instructions({"type": "string"}), instructions({"type": "integer"})
    assert one == instructions({"type": "string"})
    assert one.split("\n")[0] == other.split("\n")[0]


def test_a_large_schema_is_told_in_a_bounded_text() -> None:
    wide = {f"field_{i}": {"type": "string", "description": "x" * 300} for i in range(100)}
    assert len(form({"type": "object", "properties": wide})) <= MAX_CHARACTERS
    deep: Any = {"type": "null"}
    for i in range(6):
        deep = {"type": "object", "properties": {f"{i}-{j}": deep for j in range(4)}}
    assert len(form(deep)) <= MAX_CHARACTERS
    assert '"5-0"?: {' in form(deep)
    values = {"enum": [f"value number {i}" for i in range(900)]}
    assert form(values).endswith("| …")


def test_a_recursive_schema_is_told_to_its_second_level() -> None:
    tree = {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#"}}}}
    assert form(tree).count('"kids"') == 2
