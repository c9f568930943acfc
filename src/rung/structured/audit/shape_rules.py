"""What can be seen in a schema itself: references, defaults, unions, missing bounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rung.chat import JsonObject
from rung.structured.audit.finding import Finding, Found
from rung.structured.audit.notes import note_findings
from rung.structured.audit.rules import finding
from rung.structured.audit.walk import Node, mapping, parts_of, path_of, target_of
from rung.structured.references import Schema
from rung.structured.targets import TARGETS

_BOUNDING = {"maxLength", "enum", "const", "pattern", "format"}


def shape_findings(
    found: Found, parts: Sequence[Node], targets: Sequence[str]
) -> Iterator[Finding]:
    """Findings about the schema as its author wrote it; each part is looked at once."""
    # What is not known of a part may be the very bound that it seems to lack.
    seen = {part for gap, _ in found.gaps for part in (gap, gap.rpartition("/")[0])}
    for node in parts:
        if node.pointer in seen:
            continue
        seen.add(node.pointer)
        for rule, why in _causes(node, found.schema, targets):
            place = found.line_of(node.pointer)
            yield finding(rule, place, path_of(found.name, node.at), why)
    for pointer, why in found.gaps:
        node = next((part for part in parts if part.pointer == pointer), None)
        path = path_of(found.name, node.at if node else "")
        yield finding("unread", found.line_of(pointer), path, why)


def _causes(node: Node, root: Schema, targets: Sequence[str]) -> Iterator[tuple[str, str]]:
    schema = node.schema
    reference = schema.get("$ref")
    target = target_of(root, reference) if isinstance(reference, str) else None
    # Only Enums: a nested model has no other form, and Rung inlines both.
    if target is not None and "enum" in target:
        yield "reference", f"an Enum becomes {reference}, which not every grammar follows"
    if not node.is_required and schema.get("default") is not None:
        yield "default", "an answer that stops before it is filled in with the default, unnoticed"
    if _is_ambiguous(schema, root):
        yield "union", "its branches are objects that no required constant tells apart"
    kinds = _types(schema)
    bounded = [name for name in targets if TARGETS[name].is_bounded]
    by_whom = f"; Rung bounds it for {', '.join(bounded)}" if bounded else ""
    if "string" in kinds and not _BOUNDING & schema.keys():
        yield "unbounded-string", f"it may grow until the tokens are used up{by_whom}"
    if "array" in kinds and not {"maxItems", "enum", "const", "prefixItems"} & schema.keys():
        yield "unbounded-array", f"it may grow until the tokens are used up{by_whom}"
    yield from note_findings(_described(schema))


def _described(schema: JsonObject) -> JsonObject:
    """A schema with its description and the bounds that hold with it: of null's other branch."""
    branches = [mapping(branch) for branch in parts_of(schema.get("anyOf"))]
    others = [branch for branch in branches if branch.get("type") != "null"]
    return {**others[0], **schema} if len(others) == 1 else schema


def _types(schema: JsonObject) -> list[Any]:
    kind = schema.get("type")
    return parts_of(kind) or [kind]


def _is_ambiguous(schema: JsonObject, root: Schema) -> bool:
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
