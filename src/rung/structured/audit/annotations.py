"""A Python annotation, as written, to a JSON Schema: what pydantic would make of it."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, cast

from rung.chat import JsonObject

_PLAIN: dict[str, JsonObject] = {
    "str": {"type": "string"},
    "bytes": {"type": "string", "format": "binary"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "None": {"type": "null"},
    "Any": {},
    "object": {},
    "dict": {"type": "object", "additionalProperties": True},
    "list": {"type": "array"},
    "set": {"type": "array", "uniqueItems": True},
    "tuple": {"type": "array"},
    "datetime": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
    "time": {"type": "string", "format": "time"},
    "timedelta": {"type": "string", "format": "duration"},
    "UUID": {"type": "string", "format": "uuid"},
    "UUID4": {"type": "string", "format": "uuid"},
    "Path": {"type": "string", "format": "path"},
    "EmailStr": {"type": "string", "format": "email"},
    "AnyUrl": {"type": "string", "format": "uri", "minLength": 1},
    "HttpUrl": {"type": "string", "format": "uri", "minLength": 1, "maxLength": 2083},
    "Decimal": {"anyOf": [{"type": "number"}, {"type": "string"}]},
    "PositiveInt": {"type": "integer", "exclusiveMinimum": 0},
    "NonNegativeInt": {"type": "integer", "minimum": 0},
    "PositiveFloat": {"type": "number", "exclusiveMinimum": 0},
    "NonNegativeFloat": {"type": "number", "minimum": 0},
    "StrictStr": {"type": "string"},
    "StrictInt": {"type": "integer"},
    "StrictBool": {"type": "boolean"},
    "StrictFloat": {"type": "number"},
    "JsonValue": {},
    "constr": {"type": "string"},
    "conint": {"type": "integer"},
    "confloat": {"type": "number"},
}
_LISTS = {
    *("list", "List", "Sequence", "Iterable", "Collection", "MutableSequence", "deque"),
    "conlist",
}
_SETS = {"set", "Set", "frozenset", "FrozenSet", "AbstractSet", "conset"}
_DICTS = {"dict", "Dict", "Mapping", "MutableMapping", "defaultdict", "OrderedDict"}
_WRAPPERS = {"Required", "NotRequired", "ReadOnly", "Final", "Annotated", "SkipValidation"}
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

Named = Callable[[str], JsonObject | None]


def name_of(node: ast.expr | None) -> str:
    """The last name of `a.b.Name`; "" for anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def schema_of(node: ast.expr, named: Named) -> JsonObject | None:
    """The schema of an annotation, or None where only importing it would tell.

    `named` gives the schema of a name that the module defines or imports.
    """
    match node:
        case ast.Constant(value=None):
            return {"type": "null"}
        case ast.Constant(value=str() as text):
            try:
                return schema_of(ast.parse(text, mode="eval").body, named)
            except (SyntaxError, ValueError, RecursionError):
                return None
        case ast.Name() | ast.Attribute():
            return _of_name(name_of(node), named)
        case ast.BinOp(op=ast.BitOr()):
            return _union([node.left, node.right], named)
        case ast.Subscript():
            return _of_subscript(name_of(node.value), _arguments(node.slice), named)
        case ast.Call():
            return _of_call(node, named)
        case _:
            return None


def constrained(schema: JsonObject, call: ast.expr) -> JsonObject:
    """The schema with the bounds and the description that `Field(…)` or `Gt(0)` give."""
    if not isinstance(call, ast.Call):
        return schema
    given = {keyword.arg: _value(keyword.value) for keyword in call.keywords if keyword.arg}
    name = name_of(call.func)
    if name in _BOUNDS | _LENGTHS and call.args:
        given[name] = _value(call.args[0])
    elif name == "Len":
        given |= dict(zip(("min_length", "max_length"), map(_value, call.args), strict=False))
    for argument, value in given.items():
        if value is not None:
            schema = _with(schema, argument, value)
    return schema


def _with(schema: JsonObject, argument: str, value: Any) -> JsonObject:
    if argument in ("description", "title"):
        return {**schema, argument: value}
    if argument not in _BOUNDS and argument not in _LENGTHS:
        return schema
    branches = schema.get("anyOf")
    if isinstance(branches, list):
        bounded = [_with(branch, argument, value) for branch in cast("list[JsonObject]", branches)]
        return {**schema, "anyOf": bounded}
    kind = schema.get("type")
    if argument in _BOUNDS:
        return schema if kind in ("null", "array") else {**schema, _BOUNDS[argument]: value}
    unit = {"string": "Length", "array": "Items", "object": "Properties"}.get(str(kind))
    return {**schema, f"{_LENGTHS[argument]}{unit}": value} if unit else schema


def _of_name(name: str, named: Named) -> JsonObject | None:
    own = named(name)
    if own is not None:
        return own
    if name in _PLAIN:
        return dict(_PLAIN[name])
    for names, plain in ((_LISTS, "list"), (_SETS, "set"), (_DICTS, "dict")):
        if name in names:
            return dict(_PLAIN[plain])
    return dict(_PLAIN["tuple"]) if name == "Tuple" else None


def _of_subscript(name: str, arguments: list[ast.expr], named: Named) -> JsonObject | None:
    first = arguments[0] if arguments else None
    if first is None:
        return None
    if name == "Literal":
        values = [_value(argument) for argument in arguments]
        return {"const": values[0]} if len(values) == 1 else {"enum": values}
    if name == "Union":
        return _union(arguments, named)
    if name == "Optional":
        return _union([first, ast.Constant(value=None)], named)
    if name in _WRAPPERS:
        inner = schema_of(first, named)
        for metadata in arguments[1:]:
            inner = None if inner is None else constrained(inner, metadata)
        return inner
    if name in _DICTS:
        values = schema_of(arguments[-1], named)
        return {"type": "object", "additionalProperties": values or True}
    if name in _LISTS | _SETS:
        unique = {"uniqueItems": True} if name in _SETS else {}
        return {"type": "array", "items": schema_of(first, named) or {}, **unique}
    if name in ("tuple", "Tuple"):
        return _tuple(arguments, named)
    return _of_name(name, named)


def _tuple(arguments: list[ast.expr], named: Named) -> JsonObject:
    last = arguments[-1]
    if isinstance(last, ast.Constant) and last.value is ...:
        return {"type": "array", "items": schema_of(arguments[0], named) or {}}
    items = [schema_of(argument, named) or {} for argument in arguments]
    return {
        "type": "array",
        "prefixItems": items,
        "minItems": len(items),
        "maxItems": len(items),
    }


def _of_call(node: ast.Call, named: Named) -> JsonObject | None:
    """`constr(max_length=5)`, `conlist(str, max_length=3)` and their like."""
    name = name_of(node.func)
    if not name.startswith("con"):
        return None
    if name in ("conlist", "conset") and node.args:
        base = _of_subscript(name, node.args[:1], named)
    else:
        base = _of_name(name, named)
    return None if base is None else constrained(base, node)


def _union(options: list[ast.expr], named: Named) -> JsonObject | None:
    branches: list[JsonObject] = []
    for option in options:
        if isinstance(option, ast.BinOp) and isinstance(option.op, ast.BitOr):
            found = _union([option.left, option.right], named)
        else:
            found = schema_of(option, named)
        if found is None:
            return None
        inner = found.get("anyOf") if found.keys() == {"anyOf"} else None
        branches += cast("list[JsonObject]", inner) if isinstance(inner, list) else [found]
    return {"anyOf": branches}


def _arguments(node: ast.expr) -> list[ast.expr]:
    return list(node.elts) if isinstance(node, ast.Tuple) else [node]


def _value(node: ast.expr) -> Any:
    """A literal's value; None where it is computed."""
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
