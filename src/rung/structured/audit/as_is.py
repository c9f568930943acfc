"""What engines do with a schema that is sent as it was written: what Rung's form of it mends."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from rung.chat import JsonObject
from rung.structured.audit.finding import Finding, Found, narrowed
from rung.structured.audit.rules import finding
from rung.structured.audit.unions import is_ambiguous
from rung.structured.audit.walk import Node, mapping, parts_of, path_of, target_of
from rung.structured.references import Schema
from rung.structured.targets import TARGETS

_EFFECTS = ("ignored", "refused", "unconstrained")
_SAYS = {
    "ignored": "sent as it is, this is passed over in silence: {}",
    "refused": "sent as it is, the request fails for {}",
    "unconstrained": "sent as it is, llama.cpp answers without any grammar for {}",
}
_BOUNDS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
_LENGTHS = {"minLength", "maxLength"}
_NOTES = {"$defs", "definitions", "$schema", "$id", "title", "description", "default", "examples"}
_GBNF_FORMATS = {"date", "time", "date-time", "uuid"}
_WILD = re.compile(r"\\[dDwWsSbB]|\(\?[=!<]")
_LOOKAROUND = re.compile(r"\(\?<?[=!]")


@dataclass(frozen=True, slots=True)
class _Feature:
    """What it is in words, the keywords that show it, and the engines by what they do with it."""

    what: str
    keywords: frozenset[str]
    effects: dict[str, tuple[str, ...]]


def as_is_findings(
    found: Found, parts: Sequence[Node], targets: Sequence[str]
) -> Iterator[Finding]:
    """One finding for each feature and effect, at the first of the places that have it."""
    places: dict[str, dict[str, Node]] = {}
    for node in parts:
        for name in _features_of(node, found.schema):
            places.setdefault(name, {}).setdefault(node.pointer, node)
    for name, nodes in places.items():
        feature = _features()[name]
        first = next(iter(nodes.values()))
        for effect, engines in feature.effects.items():
            named = tuple(target for target in targets if target in engines)
            if named:
                place, path = found.line_of(first.pointer), path_of(found.name, first.at)
                why = _SAYS[effect].format(feature.what)
                whom = narrowed(named, targets)
                yield finding(f"as-is-{effect}", place, path, why, whom, len(nodes) - 1)


@cache
def _features() -> dict[str, _Feature]:
    text = files(__package__ or "").joinpath("as_is.toml").read_text(encoding="utf-8")
    return {
        name: _Feature(
            row["what"],
            frozenset(row.get("keywords", ())),
            {effect: tuple(row[effect]) for effect in _EFFECTS if effect in row},
        )
        for name, row in tomllib.loads(text).items()
    }


def _features_of(node: Node, root: Schema) -> Iterator[str]:
    schema = node.schema
    yield from (name for name, row in _features().items() if row.keywords & schema.keys())
    beside = schema.keys() - _NOTES
    reference = schema.get("$ref")
    if isinstance(reference, str):
        # Those to an Enum are findings of their own.
        if "enum" not in (target_of(root, reference) or {}):
            yield "reference"
        if reference == "#":
            yield "root-reference"
        if len(beside) > 1:
            yield "reference-siblings"
    if "allOf" in schema:
        branches = [mapping(branch).keys() for branch in parts_of(schema["allOf"])]
        if not all({"properties", "$ref"} & keywords for keywords in branches):
            yield "all-of-bounds"
    if {"anyOf", "oneOf"} & beside and {"properties", "required", "items"} & beside:
        yield "beside-union"
    if "oneOf" in schema and is_ambiguous(schema, root):
        yield "one-of-overlap"
    yield from _of_values(schema)
    yield from _of_objects(schema)


def _of_values(schema: JsonObject) -> Iterator[str]:
    kinds = parts_of(schema.get("type")) or [schema.get("type")]
    if _BOUNDS & schema.keys():
        yield from (f"{kind}-bounds" for kind in ("integer", "number") if kind in kinds)
    least = schema.get("minItems")
    if "maxItems" in schema or (isinstance(least, int) and least > 1):
        yield "array-bounds"
    pattern = schema.get("pattern")
    if isinstance(pattern, str):
        is_anchored = pattern.startswith("^") and pattern.endswith("$")
        if not is_anchored or _WILD.search(pattern) or _LENGTHS & schema.keys():
            yield "wild-pattern"
        if _LOOKAROUND.search(pattern):
            yield "lookaround"
    name = schema.get("format")
    if isinstance(name, str) and "string" in kinds:
        if name not in _GBNF_FORMATS:
            yield "text-format"
        for target in ("openai", "anthropic"):
            if name not in TARGETS[target].formats:
                yield f"{target}-format"


def _of_objects(schema: JsonObject) -> Iterator[str]:
    is_object = schema.get("type") == "object" or "properties" in schema
    if is_object and schema.get("additionalProperties") is not False:
        yield "open-object"
    required = parts_of(schema.get("required"))
    if any(name not in required for name in mapping(schema.get("properties"))):
        yield "optional"
