"""Which schemas the parts of a value are under: its items, its properties, its free keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from rung.chat import JsonObject
from rung.structured import keywords
from rung.structured.cases import Case
from rung.structured.references import References, Site, schemas_of
from rung.structured.validate import is_valid_under

_MAX_STEPS = 8


class Parts:
    """Looks parts up in a case; `relax(pointer, what)` is told what is not kept."""

    def __init__(self, references: References, relax: Callable[[str, str], None]) -> None:
        self._references = references
        self._relax = relax
        self._notes: dict[tuple[int, str], str] = {}

    def item(self, case: Case, index: int) -> list[Site]:
        """What each schema of the case asks of the item at `index`."""
        sites: list[Site] = []
        for site in case:
            schema = cast(JsonObject, site.schema)
            prefix = keywords.prefix(schema)
            sub = prefix[index] if index < len(prefix) else keywords.rest(schema)
            sites.append(self._references.inside(site, sub))
        return sites

    def named(self, case: Case, name: str, pointer: str) -> list[Site]:
        """What each schema of the case asks of the property `name`."""
        sites: list[Site] = []
        for site in case:
            schema = cast(JsonObject, site.schema)
            subs = _declared(schema, name)
            if not subs and "additionalProperties" in schema:
                subs = [schema["additionalProperties"]]
            elif not subs and "unevaluatedProperties" in schema:
                subs = [] if _is_evaluated(site, name, case) else [schema["unevaluatedProperties"]]
            if "propertyNames" in schema:
                is_allowed = is_valid_under(name, schema["propertyNames"])
                if is_allowed is None:
                    self._relax(pointer, "propertyNames: is not enforced")
                subs += [False] if is_allowed is False else []
            sites += [self._references.inside(site, sub) for sub in subs]
        return sites

    def key(self, case: Case) -> list[Site]:
        """What each schema of the case asks of a free key; none if it may be anything."""
        sites: list[Site] = []
        for site in case:
            schema = cast(JsonObject, site.schema)
            rules = [{"pattern": pattern} for pattern in _patterns(schema)[:1]]
            rules += [schema["propertyNames"]] if "propertyNames" in schema else []
            sites += [self._references.inside(site, rule) for rule in rules]
        if not sites:
            return []
        return [self._references.inside(sites[0], {"type": "string"}), *sites]

    def free(self, case: Case, pointer: str) -> list[Site]:
        """What each schema of the case asks of the value of a free key."""
        sites: list[Site] = []
        for site in case:
            schema = cast(JsonObject, site.schema)
            patterns = _patterns(schema)
            if len(keywords.mapping(schema, "patternProperties")) > 1:
                self._relax(pointer, "patternProperties: what more than one asks is not enforced")
            others = [schema.get("additionalProperties", True)]
            others.append(schema.get("unevaluatedProperties", True))
            subs = [schema["patternProperties"][pattern] for pattern in patterns[:1]]
            sites += [self._references.inside(site, sub) for sub in subs or others]
        return sites

    def note(self, case: Case, name: str) -> str:
        """What the author says of a property: at its place, else where its reference leads."""
        return next(filter(None, (self._note(site, name) for site in case)), "")

    def _note(self, site: Site, name: str) -> str:
        # The same schema is met in many cases and, by references, at many places.
        if (met := (id(site.schema), name)) not in self._notes:
            subs = keywords.mapping(cast(JsonObject, site.schema), "properties")
            self._notes[met] = self._told(self._references.inside(site, subs.get(name)))
        return self._notes[met]

    def _told(self, place: Site) -> str:
        for _ in range(_MAX_STEPS):
            schema = place.schema if isinstance(place.schema, dict) else {}
            note = schema.get("description") or schema.get("title")
            if isinstance(note, str):
                return " ".join(note.split())
            if "$ref" not in schema:
                break
            place = self._references.follow(place, schema["$ref"])
        return ""


def _declared(schema: JsonObject, name: str) -> list[Any]:
    """What `properties` and `patternProperties` ask of the property."""
    own = keywords.mapping(schema, "properties")
    by_pattern = keywords.mapping(schema, "patternProperties")
    subs = [own[name]] if name in own else []
    matching = (sub for key, sub in by_pattern.items() if is_valid_under(name, {"pattern": key}))
    return [*subs, *matching]


def _is_evaluated(site: Site, name: str, case: Case) -> bool:
    """Whether something inside the site, which alone it sees, already judges the property."""
    return any(
        {"additionalProperties", "unevaluatedProperties"} & schema.keys() or _declared(schema, name)
        for schema in schemas_of(other for other in case if id(site.schema) in other.within)
    )


def _patterns(schema: JsonObject) -> list[str]:
    """The patterns of keys under which a value may stand."""
    found = keywords.mapping(schema, "patternProperties")
    return [pattern for pattern, sub in found.items() if sub is not False]
