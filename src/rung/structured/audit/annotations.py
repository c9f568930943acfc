"""A Python annotation, as written, to a JSON Schema: what pydantic would make of it."""

from __future__ import annotations

import ast
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, cast

from rung.chat import JsonObject
from rung.structured.audit.bounds import UNREAD, Resolver, constrained, literal, name_of

_LISTS = {
    *("list", "List", "Sequence", "Iterable", "Collection", "MutableSequence", "deque", "Deque"),
    *("conlist", "Generator", "Iterator"),
}
_SETS = {"set", "Set", "frozenset", "FrozenSet", "AbstractSet", "MutableSet", "conset"}
_DICTS = {"dict", "Dict", "Mapping", "MutableMapping", "defaultdict", "OrderedDict"}
_TUPLES = {"tuple", "Tuple"}
_WRAPPERS = {"Required", "NotRequired", "ReadOnly", "Final", "Annotated", "SkipValidation"}


@cache
def _plain() -> dict[str, JsonObject]:
    text = files(__package__ or "").joinpath("types.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def schema_of(node: ast.expr, names: Resolver) -> JsonObject:
    """The schema of an annotation; what only importing it would tell is marked as `UNREAD`."""
    found = _known(node, names)
    if found is None:
        why = f"its type, {ast.unparse(node)[:80]}, is not defined in the files read"
        return {UNREAD: why}
    return found


def _known(node: ast.expr, names: Resolver) -> JsonObject | None:
    match node:
        case ast.Constant(value=None):
            return {"type": "null"}
        case ast.Constant(value=str() as text):
            try:
                return schema_of(ast.parse(text.strip(), mode="eval").body, names)
            except (SyntaxError, ValueError, RecursionError):
                return None
        case ast.Name() | ast.Attribute():
            return _of_name(name_of(node), names, [])
        case ast.BinOp(op=ast.BitOr()):
            return _union(_operands(node), names)
        case ast.Subscript():
            return _of_subscript(name_of(node.value), arguments_of(node), names)
        case ast.Call():
            return _of_call(node, names)
        case _:
            return None


def _operands(node: ast.expr) -> list[ast.expr]:
    """`A`, `B` and `C` of `A | B | C`; not by recursion, for it may be long."""
    found: list[ast.expr] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        found.append(node.right)
        node = node.left
    return [node, *reversed(found)]


def arguments_of(node: ast.Subscript) -> list[ast.expr]:
    """The arguments of `Name[…]`."""
    return list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]


def _of_name(name: str, names: Resolver, arguments: list[JsonObject]) -> JsonObject | None:
    own = names.schema(name, arguments)
    if own is not None:
        return own
    for group, plain in ((_LISTS, "list"), (_SETS, "set"), (_DICTS, "dict"), (_TUPLES, "tuple")):
        if name in group:
            name = plain
    return dict(_plain()[name]) if name in _plain() else None


def _of_subscript(name: str, arguments: list[ast.expr], names: Resolver) -> JsonObject | None:
    if not arguments:
        return None
    first = arguments[0]
    if name == "Literal":
        return _literal(arguments, names)
    if name == "Union":
        return _union(arguments, names)
    if name == "Optional":
        return _union([first, ast.Constant(value=None)], names)
    if name in _WRAPPERS:
        inner = schema_of(first, names)
        for metadata in arguments[1:]:
            inner = constrained(inner, metadata, names)
        return inner
    if name in _DICTS:
        return _dictionary(arguments, names)
    if name in _LISTS | _SETS:
        unique = {"uniqueItems": True} if name in _SETS else {}
        return {"type": "array", "items": schema_of(first, names), **unique}
    if name in _TUPLES:
        return _tuple(arguments, names)
    if name in ("type", "Type", "Callable", "ClassVar"):
        return None
    return _of_name(name, names, [schema_of(argument, names) for argument in arguments])


def _literal(arguments: list[ast.expr], names: Resolver) -> JsonObject | None:
    values = [literal(names.expression(argument)) for argument in arguments]
    if any(value is ... for value in values):
        return None  # a member of an Enum, or an alias of another Literal
    return {"const": values[0]} if len(values) == 1 else {"enum": values}


def _dictionary(arguments: list[ast.expr], names: Resolver) -> JsonObject:
    found: JsonObject = {"type": "object"}
    if len(arguments) > 1 and name_of(arguments[0]) not in ("str", "Any"):
        # The text of a key says nothing of its type: only what bounds it counts.
        keys = schema_of(arguments[0], names)
        if {"$ref", "enum", "const", "pattern", "minLength", "maxLength"} & keys.keys():
            found["propertyNames"] = keys
    return {**found, "additionalProperties": schema_of(arguments[-1], names) or True}


def _tuple(arguments: list[ast.expr], names: Resolver) -> JsonObject:
    last = arguments[-1]
    if isinstance(last, ast.Constant) and last.value is ...:
        return {"type": "array", "items": schema_of(arguments[0], names)}
    items = [schema_of(argument, names) for argument in arguments]
    return {
        "type": "array",
        "prefixItems": items,
        "minItems": len(items),
        "maxItems": len(items),
    }


def _of_call(node: ast.Call, names: Resolver) -> JsonObject | None:
    """`constr(max_length=5)`, `conlist(str, max_length=3)`, `NewType("Id", int)`."""
    name = name_of(node.func)
    if name == "NewType" and len(node.args) == 2:
        return schema_of(node.args[1], names)
    if not name.startswith("con"):
        return None
    if name in ("conlist", "conset") and node.args:
        base = _of_subscript(name, node.args[:1], names)
    else:
        base = _of_name(name, names, [])
    return None if base is None else constrained(base, node, names)


def _union(options: list[ast.expr], names: Resolver) -> JsonObject:
    branches: list[JsonObject] = []
    for option in options:
        found = schema_of(option, names)
        inner: Any = found.get("anyOf") if found.keys() == {"anyOf"} else None
        parts = cast("list[JsonObject]", inner) if isinstance(inner, list) else [found]
        branches += [part for part in parts if part not in branches]
    return branches[0] if len(branches) == 1 else {"anyOf": branches}
