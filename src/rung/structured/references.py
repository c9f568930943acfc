"""Where a `$ref` leads: resources by URI, JSON Pointers and anchors, inside one document."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import unquote, urldefrag, urljoin

from rung.chat import JsonObject
from rung.errors import SchemaError

Schema = JsonObject | bool

# Keywords whose values are data, where a "$id" or "$ref" is not a keyword.
_DATA = frozenset({"enum", "const", "default", "examples", "example"})


@dataclass(frozen=True, slots=True)
class Site:
    """A schema where it stands.

    `base` is the URI that its references are relative to; `trail` holds the references that were
    followed to get here, so that recursion can be counted.
    """

    schema: Schema
    base: str = ""
    trail: tuple[str, ...] = ()


def schemas_of(sites: Iterable[Site]) -> list[JsonObject]:
    """The schemas of sites that are known to be objects."""
    return [site.schema for site in sites if isinstance(site.schema, dict)]


class References:
    """The targets that references in one document can have."""

    def __init__(self, document: Schema) -> None:
        self._resources: dict[str, Any] = {"": document}
        self._anchors: dict[tuple[str, str], tuple[Any, str]] = {}
        draft = document.get("$schema") if isinstance(document, dict) else None
        # Before draft 6 the keyword was "id", which later drafts leave to the user.
        self._id = "id" if isinstance(draft, str) and "draft-04" in draft else "$id"
        self.root = self._enter(document, "")
        for schema, base in self._objects(document, ""):
            self._register(schema, base)

    def inside(self, site: Site, schema: Any) -> Site:
        """A subschema of `site`; what is no schema (an unknown keyword's value) asks nothing."""
        found = cast(Schema, schema) if isinstance(schema, dict | bool) else True
        entered = self._enter(found, site.base)
        return Site(found, entered.base, site.trail)

    def follow(self, site: Site, reference: Any) -> Site:
        """What `reference` means at `site`; raises `SchemaError` if it is nowhere or remote."""
        if not isinstance(reference, str):
            raise SchemaError(f"$ref must be a string, not {reference!r}")
        url, fragment = _target(site.base, reference)
        if url not in self._resources:
            raise SchemaError(f"$ref {reference!r} is outside this schema; put its target in $defs")
        if fragment and not fragment.startswith("/"):
            if (url, fragment) not in self._anchors:
                raise SchemaError(f"$ref {reference!r}: there is no such anchor")
            found, base = self._anchors[url, fragment]
        else:
            found, base = self._point(url, fragment, reference)
        if not isinstance(found, dict | bool):
            raise SchemaError(f"$ref {reference!r} leads to something that is not a schema")
        return Site(cast(Schema, found), base, (*site.trail, f"{url}#{fragment}"))

    def _point(self, url: str, pointer: str, reference: str) -> tuple[Any, str]:
        """The value at a JSON Pointer (RFC 6901), and the base URI there."""
        value: Any = self._resources[url]
        base = self._enter(value, url).base
        for token in pointer.split("/")[1:]:
            key = unquote(token).replace("~1", "/").replace("~0", "~")
            if isinstance(value, dict) and key in value:
                value = cast(JsonObject, value)[key]
            elif isinstance(value, list) and key.isdecimal() and int(key) < len(cast(Any, value)):
                value = cast("list[Any]", value)[int(key)]
            else:
                raise SchemaError(f"$ref {reference!r}: there is no {key!r} at its end")
            base = self._enter(value, base).base
        return value, base

    def _enter(self, schema: Any, base: str) -> Site:
        found = cast(JsonObject, schema) if isinstance(schema, dict) else {}
        name = found.get(self._id)
        if isinstance(name, str) and not name.startswith("#"):
            base = _target(base, name)[0]
        return Site(cast(Schema, schema), base)

    def _register(self, schema: JsonObject, base: str) -> None:
        self._resources.setdefault(base, schema)
        name = schema.get(self._id)
        if isinstance(name, str) and name.startswith("#"):
            self._anchors.setdefault((base, name[1:]), (schema, base))
        for keyword in ("$anchor", "$dynamicAnchor"):
            anchor = schema.get(keyword)
            if isinstance(anchor, str):
                self._anchors.setdefault((base, anchor), (schema, base))

    def _objects(self, value: Any, base: str) -> Iterator[tuple[JsonObject, str]]:
        """Every object that may be a schema, with its own base URI, outermost first."""
        pending: deque[tuple[Any, str]] = deque([(value, base)])
        while pending:
            current, base = pending.popleft()
            if isinstance(current, dict):
                found = cast(JsonObject, current)
                base = self._enter(found, base).base
                yield found, base
                pending += [(v, base) for k, v in found.items() if k not in _DATA]
            elif isinstance(current, list):
                pending += [(v, base) for v in cast("list[Any]", current)]


def _target(base: str, reference: str) -> tuple[str, str]:
    """The URI without its fragment, and the fragment."""
    try:
        # urljoin knows nothing of urn:, where a bare fragment is all that can be relative.
        joined = base + reference if reference.startswith("#") else urljoin(base, reference)
        url, fragment = urldefrag(joined)
    except ValueError as error:
        raise SchemaError(f"{reference!r} is not a URI reference: {error}") from error
    return url, unquote(fragment) if not fragment.startswith("/") else fragment
