"""Descriptions that say something else than the bounds beside them: a few sure rules, no guesses.

Only counts with a unit are read ("at most 3 items", "10 to 20 words", "exactly five"), and only
where the field is of a type that can be counted in that unit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

from rung.chat import JsonObject
from rung.structured.audit.ranges import is_promise, range_findings

_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_N = rf"(\d{{1,6}}|{'|'.join(_NUMBERS)})"
_UNIT = r"(characters?|chars?|words?|sentences?|items?|entries|elements?|bullets?|options?)"
# How a count is said, and which ends of a range it gives: (pattern, low group, high group).
_SAYINGS: tuple[tuple[re.Pattern[str], int, int], ...] = tuple(
    (re.compile(rf"\b{text}\s+{_UNIT}\b", re.IGNORECASE), low, high)
    for text, low, high in (
        (rf"exactly\s+{_N}", 1, 1),
        (rf"(?:at most|up to|no more than|maximum(?: of)?|max\.?)\s+{_N}", 0, 1),
        (rf"(?:at least|no fewer than|minimum(?: of)?|min\.?)\s+{_N}", 1, 0),
        (rf"(?:between\s+)?{_N}\s*(?:-|–|to|and)\s*{_N}", 1, 2),
    )
)
_CHOICE = re.compile(rf"\bone of (?:these |the )?{_N}\b", re.IGNORECASE)
_SHORT = re.compile(r"\b(short|brief|concise|one sentence|single sentence)\b", re.IGNORECASE)
_LONG_CHARACTERS = 1_000
# The shortest and the longest that one unit of text usually is, in characters.
_CHARACTERS = {"char": (1, 1), "word": (2, 15), "sent": (10, 400)}


class _Said(NamedTuple):
    text: str
    unit: str
    low: float
    high: float


def note_findings(schema: JsonObject) -> Iterator[tuple[str, str]]:
    """The rule and the cause for each count of the description that the bounds do not keep."""
    note = schema.get("description")
    if not isinstance(note, str):
        return
    kind = schema.get("type")
    for said in _counts(note):
        if kind == "array" and said.unit not in _CHARACTERS:
            yield from _judged(said, "minItems", "maxItems", schema)
        elif kind == "string" and said.unit in _CHARACTERS and "enum" not in schema:
            least, most = _CHARACTERS[said.unit]
            scaled = said._replace(low=said.low * least, high=said.high * most)
            yield from _judged(scaled, "minLength", "maxLength", schema)
    if kind in ("integer", "number"):
        yield from range_findings(note, schema)
    choice = _CHOICE.search(note)
    values = schema.get("enum")
    if choice and isinstance(values, list) and _number(choice[1]) != len(values):  # pyright: ignore[reportUnknownArgumentType]
        count = len(values)  # pyright: ignore[reportUnknownArgumentType]
        yield (
            "note-contradicts",
            f"its description says {choice[0]!r}, but there are {count} values",
        )
    if choice and choice.start() == 0 and kind == "array" and schema.get("maxItems") != 1:
        yield "note-contradicts", f"its description says {choice[0]!r}, but it is a list"
    short = _SHORT.search(note)
    longest = schema.get("maxLength")
    if short and isinstance(longest, int) and longest >= _LONG_CHARACTERS:
        yield "note-contradicts", f"its description says {short[0]!r}, but maxLength is {longest}"


def _judged(said: _Said, low: str, high: str, schema: JsonObject) -> Iterator[tuple[str, str]]:
    least, most = schema.get(low, 0), schema.get(high, math.inf)
    if not (isinstance(least, int | float) and isinstance(most, int | float)):
        return
    if most < said.low:
        yield "note-contradicts", f"its description says {said.text!r}, but {high} is {most}"
    elif least > said.high:
        yield "note-contradicts", f"its description says {said.text!r}, but {low} is {least}"
    elif math.isfinite(said.high) and math.isinf(most):
        yield "note-not-bound", f"its description says {said.text!r}, but there is no {high}"
    elif low == "minItems" and said.high < most:
        yield "note-contradicts", f"its description says {said.text!r}, but {high} is {most}"
    elif low == "minItems" and said.low > least:
        yield "note-not-bound", f"its description says {said.text!r}, but {low} is {least}"


def _counts(note: str) -> Iterator[_Said]:
    for pattern, low, high in _SAYINGS:
        for match in pattern.finditer(note):
            # "If there are 2 to 3 items" and "not exactly two items" promise something else.
            if not is_promise(note, match.start()):
                continue
            yield _Said(
                match[0],
                match[match.re.groups].lower()[:4],
                _number(match[low]) if low else 0,
                _number(match[high]) if high else math.inf,
            )


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else _NUMBERS.index(text.lower()) + 1
