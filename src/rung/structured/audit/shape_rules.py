"""What can be seen in a schema itself: references, defaults, unions, missing bounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rung.chat import JsonObject
from rung.structured.audit.finding import Finding, Found, narrowed
from rung.structured.audit.notes import note_findings
from rung.structured.audit.rules import finding
from rung.structured.audit.unions import is_ambiguous
from rung.structured.audit.walk import Node, mapping, parts_of, path_of, target_of
from rung.structured.references import Schema
from rung.structured.targets import TARGETS

_BOUNDING = {"maxLength", "enum", "const", "pattern", "format"}


def shape_findings(
    found: Found, parts: Sequence[Node], targets: Sequence[str]
) -> Iterator[Finding]:
    """Findings about the schema as its author wrote it; each part is looked at once."""
    # What is not known of a part may be the very bound that it seems to lack.
    known = {node.pointer for node in parts}
    seen = {gap if gap in known else gap.rpartition("/")[0] for gap, _ in found.gaps}
    for node in parts:
        if node.pointer in seen:
            continue
        seen.add(node.pointer)
        place, path = found.line_of(node.pointer), path_of(found.name, node.at)
        for rule, why in _causes(node, found.schema, targets):
            yield finding(rule, place, path, why)
        if "outlines" in targets and _is_enum(node, found.schema):
            why = f"an Enum becomes {node.schema['$ref']}, which this engine cannot follow"
            yield finding("reference", place, path, why, narrowed(("outlines",), targets))
    for pointer, why in found.gaps:
        node = next((part for part in parts if part.pointer == pointer), None)
        path = path_of(found.name, node.at if node else "")
        yield finding("unread", found.line_of(pointer), path, why)


def _causes(node: Node, root: Schema, targets: Sequence[str]) -> Iterator[tuple[str, str]]:
    schema = node.schema
    default = schema.get("default")
    # A constant says nothing that a cut-off answer could lack.
    if not node.is_required and default is not None and "const" not in schema:
        yield "default", "an answer that stops before it is filled in with the default, unnoticed"
    if is_ambiguous(schema, root):
        yield "union", "its branches are objects that no required constant tells apart"
    kinds = _types(schema)
    bounded = [name for name in targets if TARGETS[name].is_bounded]
    by_whom = f"; Rung bounds it for {', '.join(bounded)}" if bounded else ""
    if "string" in kinds and not _BOUNDING & schema.keys():
        yield "unbounded-string", f"it may grow until the tokens are used up{by_whom}"
    if "array" in kinds and not {"maxItems", "enum", "const", "prefixItems"} & schema.keys():
        yield "unbounded-array", f"it may grow until the tokens are used up{by_whom}"
    yield from note_findings(_described(schema))


def _is_enum(node: Node, root: Schema) -> bool:
    """Whether it is a reference to listed values; a nested model has no other form."""
    reference = node.schema.get("$ref")
    return isinstance(reference, str) and "enum" in (target_of(root, reference) or {})


def _described(schema: JsonObject) -> JsonObject:
    """A schema with its description and the bounds that hold with it: of null's other branch."""
    branches = [mapping(branch) for branch in parts_of(schema.get("anyOf"))]
    others = [branch for branch in branches if branch.get("type") != "null"]
    return {**others[0], **schema} if len(others) == 1 else schema


def _types(schema: JsonObject) -> list[Any]:
    kind = schema.get("type")
    return parts_of(kind) or [kind]
