"""What `Field(…)`, `Gt(0)` and their like say of a field, as keywords of JSON Schema."""

from __future__ import annotations

import ast
from typing import Any, Protocol, cast

from rung.chat import JsonObject

# On a part of a schema: why it could not be read in full. It is taken off before anyone sees it.
UNREAD = "x-unread"
# Arguments of Field, StringConstraints and annotated_types, by type of the value they bound.
_BOUNDS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "Ge": "minimum",
    "Gt": "exclusiveMinimum",
    "Le": "maximum",
    "Lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
    "MultipleOf": "multipleOf",
    "pattern": "pattern",
    "regex": "pattern",
}
_LENGTHS = {
    "min_length": "min",
    "max_length": "max",
    "min_items": "min",
    "max_items": "max",
    "MinLen": "min",
    "MaxLen": "max",
}
_UNITS = {"string": "Length", "array": "Items", "object": "Properties"}
_NOTES = {"description", "title"}


class Resolver(Protocol):
    """What names mean where an annotation stands."""

    def schema(self, name: str, arguments: list[JsonObject]) -> JsonObject | None:
        """The schema of a class or an alias, or None if it is not in the files read."""
        ...

    def expression(self, node: ast.expr) -> ast.expr:
        """What a name stands for; the node itself if it is no name that is known."""
        ...


def name_of(node: ast.AST | None) -> str:
    """The last name of `a.b.Name`; "" for anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def constrained(schema: JsonObject, call: ast.expr, names: Resolver) -> JsonObject:
    """The schema with the bounds and the description that `Field(…)` or `Gt(0)` give."""
    call = names.expression(call)
    if not isinstance(call, ast.Call):
        return schema
    given = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    name = name_of(call.func)
    if name in _BOUNDS | _LENGTHS and call.args:
        given[name] = call.args[0]
    elif name == "Len":
        given |= dict(zip(("min_length", "max_length"), call.args, strict=False))
    elif name == "Discriminator" and call.args:
        given["discriminator"] = call.args[0]
    for argument, node in given.items():
        if argument == "discriminator":
            schema = _one_of(schema)
        elif argument in _BOUNDS or argument in _LENGTHS or argument in _NOTES:
            schema = _bounded(schema, argument, node, names)
    return schema


def literal(node: ast.expr) -> Any:
    """The value of a literal; `...` where it is computed."""
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return ...


def _bounded(schema: JsonObject, argument: str, node: ast.expr, names: Resolver) -> JsonObject:
    value = literal(names.expression(node))
    if isinstance(value, str | int | float) or value is None:
        return schema if value is None else _with(schema, argument, value)
    if argument in _NOTES:
        return schema
    return {**schema, UNREAD: f"its {argument}, {ast.unparse(node)[:80]}, is computed"}


def _with(schema: JsonObject, argument: str, value: str | float) -> JsonObject:
    if argument in _NOTES:
        return {**schema, argument: value}
    branches = schema.get("anyOf")
    if isinstance(branches, list):
        bounded = [_with(branch, argument, value) for branch in cast("list[JsonObject]", branches)]
        return {**schema, "anyOf": bounded}
    kind = schema.get("type")
    if argument in _BOUNDS:
        return schema if kind in ("null", "array") else {**schema, _BOUNDS[argument]: value}
    unit = _UNITS.get(str(kind))
    return {**schema, f"{_LENGTHS[argument]}{unit}": value} if unit else schema


def _one_of(schema: JsonObject) -> JsonObject:
    """A union with a discriminator, as pydantic writes it: null is a choice of its own."""
    rest = {keyword: value for keyword, value in schema.items() if keyword != "anyOf"}
    branches = cast("list[JsonObject]", schema.get("anyOf", []))
    null = {"type": "null"}
    tagged = [branch for branch in branches if branch != null]
    if len(tagged) < 2:
        return schema
    if len(tagged) == len(branches):
        return {**rest, "oneOf": tagged}
    return {**rest, "anyOf": [{"oneOf": tagged}, null]}
