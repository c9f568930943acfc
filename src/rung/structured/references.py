"""Where a `$ref` leads: resources by URI, JSON Pointers and anchors, inside one document."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, cast
from urllib.parse import unquote, urldefrag, urljoin

from rung.chat import JsonObject
from rung.errors import SchemaError

Schema = JsonObject | bool

# Keywords whose values are data, where a "$id" or "$ref" is not a keyword.
_DATA = frozenset({"enum", "const", "default", "examples", "example"})

_LONE = re.compile(r"draft-0[467]")


class Site(NamedTuple):
    """A schema where it stands.

    `base` is the URI that its references are relative to; `trail` holds the references that were
    followed to get here, so that recursion can be counted. `within` are the schemas, by identity,
    that it is a part of and that are about the same value.
    """

    schema: Schema
    base: str = ""
    trail: tuple[str, ...] = ()
    within: tuple[int, ...] = ()


def schemas_of(sites: Iterable[Site]) -> list[JsonObject]:
    """The schemas of sites that are known to be objects."""
    return [site.schema for site in sites if isinstance(site.schema, dict)]


class References:
    """The targets that references in one document can have."""

    def __init__(self, document: Schema) -> None:
        self._resources: dict[str, Any] = {"": document}
        self._anchors: dict[tuple[str, str], tuple[Any, str]] = {}
        self._dynamic = Counter[str]()
        draft = document.get("$schema") if isinstance(document, dict) else None
        # Before draft 6 the keyword was "id", which later drafts leave to the user.
        self._id = "id" if isinstance(draft, str) and "draft-04" in draft else "$id"
        # Until draft 7 nothing counts that stands beside a reference, not even a name.
        self._is_lone = isinstance(draft, str) and bool(_LONE.search(draft))
        base = self._base(document, "")
        self.root = Site(document, base, (f"{base}#",))
        for schema, base, _ in self._objects():
            self._register(schema, base)

    def inside(self, site: Site, schema: Any) -> Site:
        """A subschema of `site`; what is no schema (an unknown keyword's value) asks nothing."""
        found = cast(Schema, schema) if isinstance(schema, dict | bool) else True
        return Site(found, self._base(found, site.base), site.trail)

    def beside(self, site: Site, schema: Any) -> Site:
        """A subschema of `site` that is about the same value, such as one of its `allOf`."""
        return self.inside(site, schema)._replace(within=(*site.within, id(site.schema)))

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
        trail = (*site.trail, f"{url}#{fragment}")
        return Site(cast(Schema, found), base, trail, (*site.within, id(site.schema)))

    def is_ambiguous(self, reference: Any) -> bool:
        """Whether what a `$dynamicRef` means depends on the way that led to it."""
        return isinstance(reference, str) and self._dynamic[urldefrag(reference)[1]] > 1

    def broken(self) -> str | None:
        """The first reference that leads nowhere, as `JSON Pointer: why`, if there is one."""
        for schema, base, pointer in self._objects():
            if isinstance(schema.get("$ref"), str):
                try:
                    self.follow(Site(schema, base), schema["$ref"])
                except SchemaError as error:
                    return f"{pointer or '/'}: {error}"
        return None

    def _point(self, url: str, pointer: str, reference: str) -> tuple[Any, str]:
        """The value at a JSON Pointer (RFC 6901), and the base URI there."""
        value: Any = self._resources[url]
        base = self._base(value, url)
        for token in pointer.split("/")[1:]:
            key = unquote(token).replace("~1", "/").replace("~0", "~")
            if isinstance(value, dict) and key in value:
                value = cast(JsonObject, value)[key]
            elif isinstance(value, list) and key.isdecimal() and int(key) < len(cast(Any, value)):
                value = cast("list[Any]", value)[int(key)]
            else:
                raise SchemaError(f"$ref {reference!r}: there is no {key!r} at its end")
            base = self._base(value, base)
        return value, base

    def _base(self, schema: Any, base: str) -> str:
        """The base URI inside `schema`, which may name itself."""
        found = cast(JsonObject, schema) if isinstance(schema, dict) else {}
        name = None if self._is_lone and "$ref" in found else found.get(self._id)
        if isinstance(name, str) and not name.startswith("#"):
            return _target(base, name)[0]
        return base

    def _register(self, schema: JsonObject, base: str) -> None:
        self._resources.setdefault(base, schema)
        name = schema.get(self._id)
        if isinstance(name, str) and name.startswith("#"):
            self._anchors.setdefault((base, name[1:]), (schema, base))
        for keyword in ("$anchor", "$dynamicAnchor"):
            anchor = schema.get(keyword)
            if isinstance(anchor, str):
                self._dynamic[anchor] += keyword == "$dynamicAnchor"
                self._anchors.setdefault((base, anchor), (schema, base))

    def _objects(self) -> Iterator[tuple[JsonObject, str, str]]:
        """Every object that may be a schema, with its base URI and pointer, outermost first."""
        pending: deque[tuple[Any, str, str]] = deque([(self.root.schema, "", "")])
        while pending:
            value, base, pointer = pending.popleft()
            parts: list[tuple[str, Any]] = []
            if isinstance(value, dict):
                found = cast(JsonObject, value)
                base = self._base(found, base)
                yield found, base, pointer
                parts = [(key, part) for key, part in found.items() if key not in _DATA]
            elif isinstance(value, list):
                parts = [(str(i), part) for i, part in enumerate(cast("list[Any]", value))]
            pending += [(part, base, f"{pointer}/{escaped(key)}") for key, part in parts]


def escaped(key: str) -> str:
    """A key as a token of a JSON Pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def _target(base: str, reference: str) -> tuple[str, str]:
    """The URI without its fragment, and the fragment."""
    try:
        # urljoin knows nothing of urn:, where a bare fragment is all that can be relative.
        joined = base + reference if reference.startswith("#") else urljoin(base, reference)
        url, fragment = urldefrag(joined)
    except ValueError as error:
        raise SchemaError(f"{reference!r} is not a URI reference: {error}") from error
    return url, unquote(fragment) if not fragment.startswith("/") else fragment
