"""How large a rendered schema is, for engines that refuse what is larger than they say."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, cast

from rung.chat import JsonObject
from rung.structured.targets import Limits

# What makes a level of nesting.
_NESTS = frozenset({"properties", "items"})


def exceeded(schema: JsonObject, limits: Limits) -> str | None:
    """The first limit that the schema exceeds, in words; None if it keeps to all."""
    size = size_of(schema)
    for field in fields(Limits):
        count, most = getattr(size, field.name), getattr(limits, field.name)
        if count > most:
            return f"{count} {field.name.replace('_', ' ')}, of {most} that there may be"
    return None


def size_of(schema: JsonObject) -> Limits:
    """What the schema has of each thing that is limited."""
    found = dict.fromkeys((field.name for field in fields(Limits)), 0)
    pending: list[tuple[JsonObject, int]] = [(schema, 0)]
    while pending:
        node, depth = pending.pop()
        depth += bool(_NESTS & node.keys())
        values = cast("list[Any]", node.get("enum", []))
        properties = cast("dict[str, JsonObject]", node.get("properties", {}))
        options = cast("list[JsonObject]", node.get("anyOf", []))
        named = [*properties, *(value for value in values if isinstance(value, str))]
        found["properties"] += len(properties)
        found["optional"] += len(properties) - len(node.get("required", []))
        found["unions"] += bool(options)
        found["listed_values"] += len(values)
        found["name_characters"] += sum(map(len, named))
        found["depth"] = max(found["depth"], depth)
        inner = [*properties.values(), *([node["items"]] if "items" in node else [])]
        pending += [(sub, depth) for sub in [*inner, *options]]
    return Limits(**found)
