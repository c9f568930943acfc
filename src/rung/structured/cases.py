"""A schema's combinators as cases: in each case, plain schemas that must hold together.

`$ref`, `allOf`, `anyOf`, `oneOf`, `not`, `if` and the dependency keywords are turned into a list of
cases of which at least one must hold (a disjunctive normal form). Every step keeps the meaning or
narrows it, never widens it; where that cannot be done, `relaxed` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

from rung.chat import JsonObject
from rung.structured import keywords
from rung.structured.keywords import allowed_values, types_of
from rung.structured.negation import failures
from rung.structured.references import References, Site, schemas_of
from rung.structured.shapes import json_key

Case = tuple[Site, ...]

MAX_CASES = 16
MAX_NEGATION = 3
MAX_VISITS = 20_000

_REFERENCES = frozenset({"$ref", "$recursiveRef", "$dynamicRef"})
_CONDITIONS = frozenset({"not", "if", "dependencies", "dependentRequired", "dependentSchemas"})
_NOT_EXCLUSIVE = "oneOf: that only one branch matches is not enforced"


class TooLargeError(Exception):
    """The schema unfolds into more than can be handled at this depth of recursion."""


class Cases:
    """Unfolds sites into cases.

    References are followed into themselves at most `recursion` times. `relax(pointer, what)` is
    told what is not kept; where `is_loose`, conditions and exclusions are not even tried. Where
    `is_wide`, the cases hold for all that the sites allow and perhaps more, not for less.
    """

    def __init__(
        self,
        references: References,
        recursion: int,
        relax: Callable[[str, str], None],
        is_loose: bool = False,
        is_wide: bool = False,
    ) -> None:
        self._references = references
        self._recursion = recursion
        self._tell = relax
        self._is_loose = is_loose or is_wide
        self._is_wide = is_wide
        # What is certain not to hold together can only be seen from the wide side.
        self._wide = self if is_wide else Cases(references, 0, relax, is_wide=True)
        self._visits = 0
        # How often a reference led to itself, at most, cut or not.
        self.deepest = 0

    def of(self, sites: Iterable[Site], pointer: str | None) -> list[Case]:
        """The cases in which all `sites` hold; none if they cannot.

        `pointer` is where in the answer they apply, for messages. Without it nothing is relaxed:
        what cannot be kept is left out.
        """
        return self._all([self._site(site, pointer) for site in sites], pointer)

    def _relax(self, pointer: str | None, what: str) -> None:
        if pointer is not None:
            self._tell(pointer, what)

    def _site(self, site: Site, pointer: str | None) -> list[Case]:
        self._visits += 1
        if self._visits > MAX_VISITS:
            raise TooLargeError
        schema = site.schema
        if isinstance(schema, bool):
            return [()] if schema else []
        factors: list[list[Case]] = [[(site,)]]
        for keyword, value in schema.items():
            if self._is_loose and keyword in _CONDITIONS:
                self._relax(pointer, f"{keyword}: is not enforced")
                continue
            unfolded = self._unfolded(keyword, site, value, pointer)
            if unfolded is not None:
                factors.append(unfolded)
        return self._all(factors, pointer)

    def _unfolded(
        self, keyword: str, site: Site, value: Any, pointer: str | None
    ) -> list[Case] | None:
        """The cases of a combinator; None for any other keyword."""
        match keyword:
            case "$ref" | "$recursiveRef" | "$dynamicRef":
                if keyword == "$dynamicRef" and self._references.is_ambiguous(value):
                    self._relax(pointer, "$dynamicRef: which of its anchors counts is not enforced")
                return self._reference(site, value, pointer)
            case "allOf":
                subs = self._inside(site, value)
                return self._all([self._site(sub, pointer) for sub in subs], pointer)
            case "anyOf":
                subs = self._inside(site, value)
                return [case for sub in subs for case in self._site(sub, pointer)]
            case "oneOf":
                return self._one_of(site, value, pointer)
            case "not":
                return self._not(site, value, pointer)
            case "if":
                return self._if(site, value, pointer)
            case "dependencies" | "dependentRequired" | "dependentSchemas":
                return self._dependencies(site, value, pointer)
            case _:
                return None

    def _all(self, factors: list[list[Case]], pointer: str | None) -> list[Case]:
        cases: list[Case] = [()]
        for factor in factors:
            pairs = [(a, b) for a in cases for b in factor if not a or types_of(schemas_of(a + b))]
            if len(pairs) > MAX_CASES:
                pairs = [(a, b) for a, b in pairs if not self._wide.clash(a, b)]
            if len(pairs) > MAX_CASES:
                self._relax(pointer, f"only {MAX_CASES} of {len(pairs)} combinations are offered")
                if self._is_wide:
                    continue
            cases = [a + b for a, b in pairs[:MAX_CASES]]
        return cases

    def _inside(self, site: Site, schemas: Any) -> list[Site]:
        found = cast("list[Any]", schemas) if isinstance(schemas, list) else []
        return [self._references.beside(site, schema) for schema in found]

    def _reference(self, site: Site, value: Any, pointer: str | None) -> list[Case]:
        target = self._references.follow(site, value)
        if self._is_cut(target):
            self._relax(pointer, f"recursion is cut at depth {self._recursion}")
            return [()] if self._is_wide else []
        return self._site(target, pointer)

    def _one_of(self, site: Site, value: Any, pointer: str | None) -> list[Case]:
        branches = self._inside(site, value)
        unfolded = [self._site(branch, pointer) for branch in branches]
        if self._is_loose:
            self._relax(pointer, _NOT_EXCLUSIVE)
            return [case for own in unfolded for case in own]
        cases: list[Case] = []
        for i, own in enumerate(unfolded):
            outside = [
                self._negation(rival)
                for j, rival in enumerate(branches)
                if i != j and not self._is_apart(own, rival)
            ]
            alone = self._all([own, *outside], None)
            if own and not alone and pointer is not None:
                self._relax(pointer, _NOT_EXCLUSIVE)
                alone = own
            cases += alone
        return cases

    def _is_apart(self, cases: list[Case], rival: Site) -> bool:
        """Whether it is certain that none of the cases holds together with `rival`."""
        others = self._wide.of([rival], None)
        return all(self._wide.clash(case, other) for case in cases for other in others)

    def _not(self, site: Site, value: Any, pointer: str | None) -> list[Case]:
        inner = self._references.inside(site, value)
        if isinstance(inner.schema, dict) and keywords.is_value_list(inner.schema):
            return [()]  # read off by whoever lists the values of this case
        if inner.schema is True or inner.schema == {}:
            return []
        outside = self._negation(inner)
        if outside or pointer is None:
            return outside
        self._relax(pointer, "not: is not enforced")
        return [()]

    def _if(self, site: Site, value: Any, pointer: str | None) -> list[Case]:
        schema = cast(JsonObject, site.schema)
        condition = self._references.beside(site, value)
        then = self._site(self._references.beside(site, schema.get("then", True)), pointer)
        otherwise = self._site(self._references.beside(site, schema.get("else", True)), pointer)
        met = self._all([self._site(condition, pointer), then], pointer)
        # What satisfies both branches is right whether or not the condition is met.
        unmet = self._negation(condition) or then
        return met + self._all([unmet, otherwise], pointer)

    def _dependencies(self, site: Site, value: Any, pointer: str | None) -> list[Case]:
        factors: list[list[Case]] = []
        for name, needed in cast(JsonObject, value if isinstance(value, dict) else {}).items():
            is_list = isinstance(needed, list)
            present = [self._references.beside(site, {"required": needed} if is_list else needed)]
            # Only if the property is there does what a schema asks count as evaluated.
            present += [] if is_list else [self._references.inside(site, {"required": [name]})]
            absent = self._references.inside(site, {"properties": {name: False}})
            factors.append([*self.of(present, pointer), *self._site(absent, pointer)])
        return self._all(factors, pointer)

    def _negation(self, site: Site, depth: int = MAX_NEGATION) -> list[Case]:
        """Cases of which each makes `site` fail: some of all there are, or none if unknown."""
        schema = site.schema
        if isinstance(schema, bool) or depth == 0:
            return [()] if schema is False else []
        for keyword in _REFERENCES & schema.keys():
            # What stands beside a reference does not count in older drafts, so it is not negated.
            target = self._references.follow(site, schema[keyword])
            return [] if self._is_cut(target) else self._negation(target, depth - 1)

        def can_fail(sub: Any) -> bool:
            return bool(self._negation(self._references.inside(site, sub), depth - 1))

        cases: list[Case] = []
        for keyword, value in schema.items():
            for failure in failures(keyword, value, can_fail):
                cases += self._site(self._references.inside(site, failure), None)
            if len(cases) >= MAX_CASES:
                break
        return cases[:MAX_CASES]

    def _is_cut(self, target: Site) -> bool:
        again = target.trail.count(target.trail[-1]) - 1
        self.deepest = max(self.deepest, again)
        return again > self._recursion

    def clash(self, a: Case, b: Case, depth: int = 2) -> bool:
        """Whether `a` and `b` cannot hold together; certain only of wide cases."""
        types = types_of(schemas_of(a + b))
        if not types:
            return True
        ours, theirs = allowed_values(schemas_of(a)), allowed_values(schemas_of(b))
        if ours is not None and theirs is not None:
            return not {json_key(v) for v in ours} & {json_key(v) for v in theirs}
        if depth == 0 or "object" not in types:
            return False
        if _lacks(a, b) or _lacks(b, a):
            return True
        for name in keywords.names(schemas_of(a + b), "required"):
            mine = self._of_property(a, name)
            other = self._of_property(b, name)
            if all(self.clash(x, y, depth - 1) for x in mine for y in other):
                return True
        return False

    def _of_property(self, case: Case, name: str) -> list[Case]:
        subs = [
            self._references.inside(site, properties[name])
            for site in case
            if isinstance(site.schema, dict)
            and name in (properties := keywords.mapping(site.schema, "properties"))
        ]
        return self.of(subs, None)


def _lacks(case: Case, other: Case) -> bool:
    """Whether `case` forbids a property that `other` requires."""
    wanted = keywords.names(schemas_of(other), "required")
    return any(
        name not in keywords.mapping(schema, "properties")
        for schema in schemas_of(case)
        if schema.get("additionalProperties") is False and not schema.get("patternProperties")
        for name in wanted
    )
