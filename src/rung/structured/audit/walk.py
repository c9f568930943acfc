"""The parts of a schema, each with where it stands in the schema and in the answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import unquote

from rung.chat import JsonObject
from rung.structured.references import Schema, escaped

_MAX_NODES = 20_000
_SAME_PLACE = ("allOf", "anyOf", "oneOf")
_CONDITIONS = ("then", "else")


@dataclass(frozen=True, slots=True)
class Node:
    """A subschema. `pointer` is its place in the schema; `at` the one in the answer.

    Both are JSON Pointers; in an answer `*` is every item, or every free key. `followed` are the
    references that led here.
    """

    schema: JsonObject
    pointer: str
    at: str
    is_required: bool = True
    followed: frozenset[str] = frozenset()


def nodes(schema: Schema) -> list[Node]:
    """Every subschema, outermost first; references are followed, but never into themselves."""
    found: list[Node] = []
    pending: deque[Node] = deque([Node(schema, "", "")] if isinstance(schema, dict) else [])
    while pending and len(found) < _MAX_NODES:
        node = pending.popleft()
        found.append(node)
        pending += _below(node, schema)
    return found


def loops_of(parts: Sequence[Node]) -> dict[str, str]:
    """For each place of an answer where its schema begins anew, the place where it began."""
    first: dict[str, str] = {}
    for node in parts:
        first.setdefault(node.pointer, node.at)
    return {
        node.at: first[_pointer(reference)]
        for node in parts
        for reference in [node.schema.get("$ref")]
        if isinstance(reference, str)
        and reference in node.followed
        and node.at.startswith(f"{first.get(_pointer(reference), node.at)}/")
    }


def path_of(name: str, at: str) -> str:
    """`Model.field[].part` for a pointer into the answer."""
    path = name
    for token in at.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        path += "[]" if key == "*" else f"[{key}]" if key.isdecimal() else f".{key}"
    return path


def _below(node: Node, root: Schema) -> Iterator[Node]:
    schema = node.schema
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference not in node.followed:
        target = target_of(root, reference)
        if target is not None:
            followed = node.followed | {reference}
            yield Node(target, _pointer(reference), node.at, node.is_required, followed)
    for keyword in _SAME_PLACE:
        for index, part in enumerate(parts_of(schema.get(keyword))):
            yield from _child(node, part, f"{keyword}/{index}", "", node.is_required)
    for keyword in _CONDITIONS:
        yield from _child(node, schema.get(keyword), keyword, "", node.is_required)
    required = parts_of(schema.get("required"))
    for name, part in mapping(schema.get("properties")).items():
        place = escaped(name)
        yield from _child(node, part, f"properties/{place}", f"/{place}", name in required)
    for keyword in ("additionalProperties", "items"):
        yield from _child(node, schema.get(keyword), keyword, "/*", True)
    for name, part in mapping(schema.get("patternProperties")).items():
        yield from _child(node, part, f"patternProperties/{escaped(name)}", "/*", True)
    for keyword in ("prefixItems", "items"):
        for index, part in enumerate(parts_of(schema.get(keyword))):
            yield from _child(node, part, f"{keyword}/{index}", f"/{index}", True)


def _child(node: Node, part: Any, below: str, at: str, is_required: bool) -> Iterator[Node]:
    if isinstance(part, dict):
        pointer = f"{node.pointer}/{below}"
        found = cast(JsonObject, part)
        yield Node(found, pointer, node.at + at, is_required, node.followed)


def target_of(root: Schema, reference: str) -> JsonObject | None:
    """The object that a `#/…` reference leads to, if it leads to one."""
    if not reference.startswith("#"):
        return None
    value: Any = root
    for token in _pointer(reference).split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        value = mapping(value).get(key)
    return cast(JsonObject, value) if isinstance(value, dict) else None


def _pointer(reference: str) -> str:
    return unquote(reference.removeprefix("#"))


def parts_of(value: Any) -> list[Any]:
    """The value if it is a list; a schema may have anything in its place."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def mapping(value: Any) -> JsonObject:
    """The value if it is an object."""
    return cast(JsonObject, value) if isinstance(value, dict) else {}
