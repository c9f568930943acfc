"""Unions whose branches nothing tells apart before they are read to their end."""

from __future__ import annotations

from typing import Any

from rung.chat import JsonObject
from rung.structured.audit.walk import mapping, parts_of, target_of
from rung.structured.references import Schema


def is_ambiguous(schema: JsonObject, root: Schema) -> bool:
    """Whether two or more branches are objects without a constant that tells them apart."""
    for keyword in ("anyOf", "oneOf"):
        branches = [_resolved(branch, root) for branch in parts_of(schema.get(keyword))]
        objects = [branch for branch in branches if "properties" in branch and len(branch) > 1]
        if len(objects) < 2:
            continue
        tags = [_constants(branch) for branch in objects]
        shared = set(tags[0]).intersection(*tags[1:])
        if not any(_are_distinct([tag[name] for tag in tags]) for name in shared):
            return True
    return False


def _are_distinct(values: list[set[str]]) -> bool:
    return len(set[str]().union(*values)) == sum(map(len, values))


def _constants(schema: JsonObject) -> dict[str, set[str]]:
    """The required properties that have listed values."""
    found: dict[str, set[str]] = {}
    required = parts_of(schema.get("required"))
    for name, part in mapping(schema.get("properties")).items():
        declared = mapping(part)
        values = [declared["const"]] if "const" in declared else parts_of(declared.get("enum"))
        if name in required and values:
            found[name] = {repr(value) for value in values}
    return found


def _resolved(schema: Any, root: Schema) -> JsonObject:
    found = mapping(schema)
    reference = found.get("$ref")
    return (target_of(root, reference) or {}) if isinstance(reference, str) else found
