"""What each target will not enforce of a schema: asked of the compiler, not listed twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rung.errors import SchemaError
from rung.structured.audit.finding import Finding, Found, narrowed
from rung.structured.audit.rules import finding, rule_of
from rung.structured.audit.walk import Node, loops_of, path_of
from rung.structured.budget import BudgetError
from rung.structured.portable import compile_schema
from rung.structured.references import Schema

# What makes no answer wrong, only smaller.
_NO_CAUSES = {"calibration", "left-out", "depth", "recursion", "root-not-object"}


def unenforced(
    found: Found, parts: Sequence[Node], targets: Sequence[str], budget_tokens: int
) -> list[Finding]:
    """A finding for everything that the compiler relaxes, with the targets that it is relaxed for.

    A schema that cannot be compiled is one finding.
    """
    places: dict[str, str] = {}
    for node in parts:
        places.setdefault(node.at, node.pointer)
    loops = loops_of(parts)
    gaps = {pointer for pointer, _ in found.gaps}
    unread = {node.at for node in parts if node.pointer in gaps}
    causes: dict[tuple[str, str, str], dict[str, None]] = {}
    for target in targets:
        for pointer, rule, why in _relaxed(found.schema, target, budget_tokens):
            at = _shallowest(pointer, loops)
            # What could not be read is taken for any value, which is no fault of the schema.
            if rule != "any-value" or at not in unread:
                causes.setdefault((at, rule, why), {})[target] = None
    return [
        finding(
            rule,
            found.line_of(_nearest(at, places)),
            path_of(found.name, at),
            why,
            narrowed(tuple(named), targets),
        )
        for (at, rule, why), named in causes.items()
    ]


def _relaxed(schema: Schema, target: str, budget_tokens: int) -> list[tuple[str, str, str]]:
    """What the compiler relaxes: where in the answer, by which rule, and its own words."""
    try:
        compiled = compile_schema(schema, target, budget_tokens)
    except BudgetError as error:
        return [("", "budget", str(error))]
    except SchemaError as error:
        return [("", "cannot-compile", str(error))]
    pairs = (relaxed.partition(": ") for relaxed in compiled.relaxed)
    found = [("" if at == "/" else at, rule_of(what).name, what) for at, _, what in pairs]
    # That random answers fail is news only where nothing else says why.
    is_explained = any(rule not in _NO_CAUSES for _, rule, _ in found)
    return [entry for entry in found if entry[1] != "calibration" or not is_explained]


def _shallowest(at: str, loops: Mapping[str, str]) -> str:
    """The place where a recursive part is first met: every level of it is the same."""
    prefix = at
    while prefix:
        prefix = prefix.rpartition("/")[0]
        if prefix in loops:
            at = prefix = loops[prefix] + at[len(prefix) :]
    return at


def _nearest(at: str, places: Mapping[str, str]) -> str:
    """The pointer into the schema for a place in the answer, or for what is around it."""
    while at not in places and at:
        at = at.rpartition("/")[0]
    return places.get(at, "")
