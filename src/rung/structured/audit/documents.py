"""Schemas in JSON values: a document that is one, and those inside requests, tools and OpenAPI."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from rung.chat import JsonObject
from rung.structured.audit.finding import Found, Place
from rung.structured.references import escaped

_TYPES = {"object", "array", "string", "number", "integer", "boolean", "null"}
_SHAPING = {
    *("properties", "items", "prefixItems", "required", "additionalProperties", "enum"),
    *("anyOf", "oneOf", "allOf", "pattern", "maxLength", "minimum", "maximum", "format"),
}
# Under these names stands an example, or a whole that only looks like a schema.
_DATA = {"default", "examples", "example", "const", "enum"}
_MARK = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|\n', re.DOTALL)
_COMMENT = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*.*?\*/|,(?=\s*[}\]])', re.DOTALL)
_MAX_DEPTH = 60


def looks_like_schema(value: object) -> bool:
    """Whether a JSON object is meant as a JSON Schema that says something about an answer."""
    if not isinstance(value, dict):
        return False
    schema = cast(JsonObject, value)
    if {"in", "name"} <= schema.keys():
        return False  # a parameter of OpenAPI, whose keywords mean other things
    kind = schema.get("type")
    kinds = cast("list[Any]", kind) if isinstance(kind, list) else [kind]
    if "json-schema.org" in str(schema.get("$schema", "")):
        return True
    if isinstance(kind, str | list) and all(isinstance(k, str) and k in _TYPES for k in kinds):
        return bool(_SHAPING & schema.keys())
    definitions = schema.get("$defs", schema.get("definitions"))
    return isinstance(definitions, dict) and bool({"$ref", "anyOf", "oneOf"} & schema.keys())


def schemas_in(value: Any, name: str, place: Place, lines: Mapping[str, Place]) -> Iterator[Found]:
    """The outermost schemas of a document, each with the definitions that it refers to.

    `lines` are the places of the document's parts, by JSON Pointer.
    """
    for pointer, schema in _outermost(value, "", 0):
        shared = _shared(schema, value) if pointer else {}
        own = {p.removeprefix(pointer): at for p, at in lines.items() if p.startswith(pointer)}
        own |= {p: at for p, at in lines.items() if p.split("/")[1:2] in [[key] for key in shared]}
        title = schema.get("title")
        called = title if isinstance(title, str) and title else _called(pointer, value) or name
        yield Found(called, own.get("", place), {**schema, **shared}, own)


def lines_of(text: str, file: str) -> dict[str, Place]:
    """The line of every value of a JSON text that is valid, by JSON Pointer: that of its key."""
    found: dict[str, Place] = {"": Place(file, 1)}
    line = 1
    # For each open bracket: its pointer, and the index of the item or None for an object.
    stack: list[tuple[str, int | None]] = []
    key = ""
    last = ""
    for match in _MARK.finditer(text):
        mark = match[0]
        if mark == "\n":
            line += 1
            continue
        if mark in "{[":
            pointer = _here(stack, key)
            found.setdefault(pointer, Place(file, line))
            stack.append((pointer, None if mark == "{" else 0))
        elif mark in "}]":
            stack.pop()
        elif mark == ":":
            key = escaped(json.loads(last))
            found[f"{stack[-1][0]}/{key}"] = Place(file, line)
        elif mark == "," and stack[-1][1] is not None:
            stack[-1] = (stack[-1][0], stack[-1][1] + 1)
        elif mark[0] == '"':
            last = mark
    return found


def without_comments(text: str) -> str:
    """JSON without the comments and last commas that editors allow in it; lines stay in place."""
    if "//" not in text and "/*" not in text:
        return text

    def kept(match: re.Match[str]) -> str:
        return match[0] if match[0][0] == '"' else "\n" * match[0].count("\n")

    once = _COMMENT.sub(kept, text)
    return _COMMENT.sub(kept, once)  # a comma may be the last only without the comment after it


def _here(stack: list[tuple[str, int | None]], key: str) -> str:
    if not stack:
        return ""
    pointer, index = stack[-1]
    return f"{pointer}/{key if index is None else index}"


def _outermost(value: Any, pointer: str, depth: int) -> Iterator[tuple[str, JsonObject]]:
    if depth > _MAX_DEPTH:
        return
    if looks_like_schema(value):
        yield pointer, value
    elif isinstance(value, dict):
        for key, part in cast(JsonObject, value).items():
            if key not in _DATA:
                yield from _outermost(part, f"{pointer}/{escaped(key)}", depth + 1)
    elif isinstance(value, list):
        for index, part in enumerate(cast("list[Any]", value)):
            yield from _outermost(part, f"{pointer}/{index}", depth + 1)
    elif isinstance(value, str) and value.lstrip()[:1] == "{" and '"type"' in value:
        try:
            inner = json.loads(value)
        except (ValueError, RecursionError):
            return  # text that only begins like JSON
        for below, schema in _outermost(inner, "", depth + 1):
            yield f"{pointer}{below}", schema


def _shared(schema: JsonObject, document: Any) -> JsonObject:
    """The parts of the document that the schema's references name (`#/components/…`)."""
    if not isinstance(document, dict):
        return {}
    heads = set(re.findall(r'"#/([^/"]+)/', json.dumps(schema)))
    whole = cast(JsonObject, document).items()
    return {key: part for key, part in whole if key in heads and key not in schema}


def _called(pointer: str, document: Any) -> str:
    """The "name" beside a wrapped schema, or the last part of its pointer that is no wrapper's."""
    wrappers = {"schema", "json_schema", "parameters", "input_schema", "response_format"}
    tokens = [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]
    if tokens and tokens[-1] in wrappers:
        around = _at(document, tokens[:-1])
        named = cast(JsonObject, around).get("name") if isinstance(around, dict) else None
        if isinstance(named, str) and named:
            return named
    names = [token for token in tokens if token not in wrappers and not token.isdecimal()]
    return names[-1] if names else ""


def _at(document: Any, tokens: list[str]) -> Any:
    """The value there; None where it is inside a string that is JSON itself."""
    for token in tokens:
        if isinstance(document, list) and token.isdecimal() and int(token) < len(document):  # pyright: ignore[reportUnknownArgumentType]
            document = cast("list[Any]", document)[int(token)]
        elif isinstance(document, dict):
            document = cast(JsonObject, document).get(token)
        else:
            return None
    return document
