"""Ranges of numbers that a description promises ("from 1 to 10"), held against the bounds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from rung.chat import JsonObject

_N = r"(-?\d{1,9}(?:\.\d{1,6})?)"
# What may follow: a unit would make it a range of something else ("between 2 and 3 hours").
_END = r"(?=\s*(?:$|[.,;:)(]|inclusive|scale|where|with|points?\b|stars?\b|%))"
_RANGE = re.compile(
    rf"\b(?:from|between|scale of|range of|range:?|scale:?)\s+{_N}\s*(?:-|–|to|and)\s*{_N}{_END}",
    re.IGNORECASE,
)
_NEGATED = re.compile(r"\b(not|never|n't|unless|if|when)\b", re.IGNORECASE)
# The group of the range; the keywords of this end of it; from an open bound to the next integer.
_ENDS = ((1, "minimum", "exclusiveMinimum", 1), (2, "maximum", "exclusiveMaximum", -1))


def is_promise(note: str, at: int) -> bool:
    """Whether it is said without a condition: "2 items" in "if there are 2 items" is not."""
    return not _NEGATED.search(re.split(r"[.;!?]", note[:at])[-1])


def range_findings(note: str, schema: JsonObject) -> Iterator[tuple[str, str]]:
    """The rule and the cause for each end of a range that the bounds of a number do not keep."""
    for match in _RANGE.finditer(note):
        if not is_promise(note, match.start()):
            continue
        for group, closed, is_open, step in _ENDS:
            bound: Any = schema.get(closed)
            if bound is None and is_open in schema:
                bound = schema[is_open]
                is_counted = schema.get("type") == "integer" and isinstance(bound, int)
                bound = bound + step if is_counted else bound
            said = f"its description says {match[0]!r}, but"
            if bound is None:
                yield "note-not-bound", f"{said} there is no {closed}"
            elif isinstance(bound, int | float) and bound != float(match[group]):
                yield "note-contradicts", f"{said} its {closed} is {bound}"
