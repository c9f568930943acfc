"""From a JSON Schema to its shape: references inlined, combinators resolved, keywords gathered.

Every answer of the shape is valid under the schema, apart from what `relaxed` names.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

from rung.chat import JsonObject
from rung.errors import SchemaError
from rung.structured import keywords
from rung.structured.cases import Case, Cases, TooLargeError
from rung.structured.parts import Parts
from rung.structured.references import References, Schema, Site, escaped, schemas_of
from rung.structured.shapes import Anything, Array, Object, Property, Shape, Text, Values, union
from rung.structured.validate import is_valid_under

RECURSION = 2
MAX_NODES = 1_000
MAX_REQUIRED_NODES = 4_000
MAX_DEPTH = 16
MAX_FIRSTS = 6

# What listed values are checked against; the rest was unfolded into cases.
_CHECKABLE = set[str]().union(*keywords.FAMILIES.values())


class NormalForm(NamedTuple):
    """A shape, and what it does not keep of the schema, each as `pointer: what`.

    `recursion` is how often its references were followed into themselves, at most.
    """

    shape: Shape
    relaxed: tuple[str, ...]
    recursion: int


def normal_form(schema: Schema, recursion: int = RECURSION) -> NormalForm:
    """The normal form of a checked schema; raises `SchemaError` if nothing can satisfy it.

    References are followed into themselves `recursion` times, or less where that gets too large.
    """
    return _normal_form(json.dumps(schema), recursion)


@lru_cache(maxsize=128)
def _normal_form(text: str, recursion: int) -> NormalForm:
    references = References(json.loads(text))
    is_too_large = False
    for is_loose in (False, True):
        unfolded = recursion + 1
        # Most schemas are done by the first; the others are for those that explode.
        for depth, can_skip in (*((r, False) for r in range(recursion, -1, -1)), (0, True)):
            if unfolded <= depth and not can_skip:
                continue  # no reference came back to itself that often: it would explode again
            builder = _Builder(references, depth, can_skip, is_loose)
            try:
                shape = builder.build([references.root], "", 0)
            except TooLargeError:
                is_too_large = True
                unfolded = builder.cases.deepest
                continue
            if shape is not None:
                is_recursive = any("recursion is cut" in what for what in builder.relaxed)
                return NormalForm(shape, tuple(builder.relaxed), depth if is_recursive else 0)
            break
    if is_too_large:
        raise SchemaError("the schema is too large: it unfolds into too many parts")
    raise SchemaError("no answer can satisfy the schema: it contradicts itself or never ends")


class _Builder:
    """Builds one shape; where it `can_skip`, it leaves out optional parts once there are many."""

    def __init__(
        self, references: References, recursion: int, can_skip: bool, is_loose: bool
    ) -> None:
        self.relaxed: dict[str, None] = {}
        self._parts = Parts(references, self._relax)
        self._can_skip = can_skip
        self.cases = Cases(references, recursion, self._relax, is_loose)
        self._nodes = 0

    def build(self, sites: list[Site], pointer: str, depth: int) -> Shape | None:
        """The shape in which all `sites` hold."""
        self._nodes += 1
        if self._nodes > (MAX_REQUIRED_NODES if self._can_skip else MAX_NODES):
            raise TooLargeError
        if depth > MAX_DEPTH:
            self._relax(pointer, f"is cut at {MAX_DEPTH} levels")
            return None
        shapes: list[Shape] = []
        for case in self.cases.of(sites, pointer):
            shapes += self._shapes(case, pointer, depth)
        return union(shapes)

    def _relax(self, pointer: str, what: str) -> None:
        self.relaxed[f"{pointer or '/'}: {what}"] = None

    def _shapes(self, case: Case, pointer: str, depth: int) -> list[Shape]:
        schemas = schemas_of(case)
        if any(schema.get("nullable") is True for schema in schemas):
            self._relax(pointer, "nullable is not JSON Schema, so null is not offered")
        values = keywords.allowed_values(schemas)
        types = keywords.types_of(schemas)
        if values is not None:
            typed = [value for value in values if keywords.type_of(value) in types]
            kept = tuple(value for value in typed if self._admits(schemas, value, pointer))
            return [Values(kept)] if kept else []
        excluded = keywords.excluded_values(schemas)
        if types == keywords.TYPES:
            types = keywords.inferred_types(schemas)
        if not types and not excluded:
            return [Anything()]
        if any(keywords.type_of(value) not in ("null", "boolean") for value in excluded):
            self._relax(pointer, "not: is not enforced")
        return self._by_type(types or keywords.TYPES, case, schemas, pointer, depth)

    def _by_type(
        self,
        types: frozenset[str],
        case: Case,
        schemas: list[JsonObject],
        pointer: str,
        depth: int,
    ) -> list[Shape]:
        found: list[Shape | None] = []
        if "object" in types:
            found.append(self._object(case, schemas, pointer, depth))
        if "array" in types:
            found.append(self._array(case, schemas, pointer, depth))
        if "string" in types:
            found.append(keywords.text(schemas))
        if types & {"integer", "number"}:
            found.append(keywords.number(schemas, "number" not in types))
        simple = [True, False] if "boolean" in types else []
        simple += [None] if "null" in types else []
        excluded = keywords.excluded_values(schemas)
        kept = tuple(v for v in simple if not any(v is value for value in excluded))
        found.append(Values(kept) if kept else None)
        return [shape for shape in found if shape is not None]

    def _admits(self, schemas: list[JsonObject], value: Any, pointer: str) -> bool:
        for schema in schemas:
            plain = {k: v for k, v in schema.items() if k in _CHECKABLE}
            is_valid = is_valid_under(value, plain)
            if is_valid is None:
                self._relax(pointer, "some of the listed values may not be allowed")
            if is_valid is False:
                return False
        return True

    def _array(
        self, case: Case, schemas: list[JsonObject], pointer: str, depth: int
    ) -> Shape | None:
        low = keywords.count(schemas, "minItems", max) or 0
        high = keywords.count(schemas, "maxItems", min)
        known = max((len(keywords.prefix(schema)) for schema in schemas), default=0)
        prefix: list[Shape] = []
        for index in range(known if high is None else min(known, high)):
            item = self.build(self._parts.item(case, index), f"{pointer}/{index}", depth + 1)
            if item is None:
                break
            prefix.append(item)
        items = None
        if len(prefix) == known and (high is None or high > known):
            items = self.build(self._parts.item(case, known), f"{pointer}/*", depth + 1)
        if items is None:
            high = len(prefix) if high is None else min(high, len(prefix))
        is_unique = any(schema.get("uniqueItems") is True for schema in schemas)
        if is_unique and not prefix and isinstance(items, Values):
            high = min(len(items.values), len(items.values) if high is None else high)
        if high is not None and high < low:
            return None
        if any(
            "contains" in s and (s.get("minContains") != 0 or "maxContains" in s) for s in schemas
        ):
            self._relax(pointer, "contains: is not enforced")
        return Array(tuple(prefix), items, low, high, is_unique)

    def _object(
        self, case: Case, schemas: list[JsonObject], pointer: str, depth: int
    ) -> Shape | None:
        required = keywords.names(schemas, "required")
        declared = [name for s in schemas for name in keywords.mapping(s, "properties")]
        names = list(dict.fromkeys([*declared, *required]))
        key = Anything() if names else self._key(case, pointer, depth)
        if isinstance(key, Values):
            names = list(key.values)
        limit = keywords.count(schemas, "maxProperties", min)
        floor = keywords.count(schemas, "minProperties", max) or 0
        room = math.inf if limit is None else limit - len(required)
        if room < 0:
            return None
        properties: list[Property] = []
        for name in names:
            is_required = name in required
            place = f"{pointer}/{escaped(name)}"
            if not is_required and room <= 0:
                continue
            if not is_required and depth > 0 and self._nodes > MAX_NODES:
                self._relax(place, "is left out, for the schema is too large")
                continue
            shape = self.build(self._parts.named(case, name, place), place, depth + 1)
            if shape is not None:
                properties.append(Property(name, shape, is_required, self._parts.note(case, name)))
                room -= not is_required
            elif is_required:
                return None
        is_open = not names and limit != 0 and key is not None
        inner = f"{pointer}/*"
        extra = self.build(self._parts.free(case, inner), inner, depth + 1) if is_open else None
        if extra is not None:
            return Object((), extra, floor, limit, key if isinstance(key, Text) else None)
        if floor > len(properties):
            return None
        found = Object(tuple(properties), min_properties=floor)
        if floor <= len(required):
            return found
        if floor == len(required) + 1:
            return self._with_one_more(found, pointer)
        self._relax(pointer, f"minProperties {floor}: is not enforced")
        return found

    def _with_one_more(self, shape: Object, pointer: str) -> Shape | None:
        """The object with an optional property at least: the first, else the second, and so on."""
        optional = [declared for declared in shape.properties if not declared.is_required]
        if len(optional) > MAX_FIRSTS:
            self._relax(pointer, f"one of the first {MAX_FIRSTS} optional properties is required")
        variants: list[Shape] = []
        for index, first in enumerate(optional[:MAX_FIRSTS]):
            without = optional[:index]
            kept = tuple(
                replace(declared, is_required=True) if declared is first else declared
                for declared in shape.properties
                if declared not in without
            )
            variants.append(replace(shape, properties=kept))
        return union(variants)

    def _key(self, case: Case, pointer: str, depth: int) -> Shape | None:
        """The shape of the keys of a dictionary; None if there can be no key."""
        sites = self._parts.key(case)
        return self.build(sites, f"{pointer}/*", depth + 1) if sites else Anything()
