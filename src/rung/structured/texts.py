"""How strings are written for a target, and how long they can get."""

from __future__ import annotations

import math
import re
from functools import lru_cache

from rung.chat import JsonObject
from rung.structured.formats import FORMATS, WHOLE_FORMATS
from rung.structured.leaves import Leaf
from rung.structured.patterns import Fitted, rewrite
from rung.structured.shapes import Text
from rung.structured.targets import Target

# Longer patterns than this are not offered, whatever the room.
_MAX_PATTERN_CHARACTERS = 256
_COUNTS = re.compile(r"\{(\d+)(?:,(\d*))?\}")
# Parentheses that capture nothing, which a captured group stands for just as well.
_PLAIN_GROUP = re.compile(r"(?<!\\)\(\?:")


@lru_cache(maxsize=4096)
def text_leaf(shape: Text, target: Target, cap: int | None, is_careful: bool = False) -> Leaf:
    """A string of at most `cap` characters, where its author left that open or wider.

    Where it `is_careful`, no string is offered that its pattern allows and its length does not.
    """
    longest = shape.max_length
    if cap is not None and (longest is None or longest > cap):
        longest = max(cap, shape.min_length)
    if not target.has_lengths:
        return _one_keyword(shape, target)
    schema: JsonObject = {"type": "string"}
    if target.has_plain_patterns:
        fitted, relaxed = _fitted_pattern(shape, longest, is_careful)
        if fitted is not None:
            return Leaf({**schema, "pattern": fitted.pattern}, fitted.longest + 2, relaxed)
    else:
        is_more = len(shape.patterns) > 1 or len(shape.formats) > 1
        relaxed = ("more than one pattern or format: is not enforced",) if is_more else ()
        said = {"pattern": shape.patterns[:1], "format": shape.formats[:1]}
        schema |= {keyword: found[0] for keyword, found in said.items() if found}
    bounds = {"minLength": shape.min_length or None, "maxLength": longest}
    schema |= {keyword: bound for keyword, bound in bounds.items() if bound is not None}
    return Leaf(schema, math.inf if longest is None else longest + 2, relaxed)


def _fitted_pattern(
    shape: Text, longest: int | None, is_careful: bool
) -> tuple[Fitted | None, tuple[str, ...]]:
    """One rewritten pattern that stands for the pattern or format of a string."""
    relaxed: list[str] = []
    wanted = [("pattern", pattern) for pattern in shape.patterns]
    wanted += [(f"format {name}", FORMATS[name]) for name in shape.formats if name in FORMATS]
    fitted = None
    room = min(longest or _MAX_PATTERN_CHARACTERS, _MAX_PATTERN_CHARACTERS)
    for what, pattern in wanted:
        found = rewrite(pattern, shape.min_length, room, is_careful) if fitted is None else None
        if found is None:
            relaxed.append(f"{what}: is not enforced")
        fitted = fitted or found
    if fitted is not None and fitted.shortest < shape.min_length:
        relaxed.append(f"minLength {shape.min_length}: is not enforced")
    if fitted is not None and shape.max_length is not None and fitted.longest > shape.max_length:
        relaxed.append(f"maxLength {shape.max_length}: is not enforced")
    return fitted, tuple(relaxed)


def _one_keyword(shape: Text, target: Target) -> Leaf:
    """For who knows no lengths: one pattern or format, which stands for the lengths if it can."""
    if (pattern := _bounded_pattern(shape, target)) is not None:
        return Leaf({"type": "string", "pattern": pattern}, math.inf)
    relaxed: list[str] = []
    found: JsonObject = {}
    shortest = 0
    for what, keyword, pattern in _wanted(shape, target):
        fitted = None if found or pattern is None else rewrite(pattern, 0, _MAX_PATTERN_CHARACTERS)
        if fitted is None or (keyword is None and not _is_simple(pattern or "", target)):
            relaxed.append(f"{what}: is not enforced")
            continue
        found = keyword or {"pattern": _PLAIN_GROUP.sub("(", pattern or "")}
        shortest = fitted.shortest
    low = shape.min_length if shape.min_length > shortest else 0
    high = shape.max_length
    kept = (0, None)
    if not found:
        most = target.max_repeats
        kept = (min(low, most), high if high is None or high <= most else None)
        found = _lengths(*kept)
    if kept != (low, high):
        relaxed.append("minLength and maxLength: are not enforced")
    return Leaf({"type": "string", **found}, math.inf, tuple(relaxed))


def _wanted(shape: Text, target: Target) -> list[tuple[str, JsonObject | None, str | None]]:
    """What a string must be: its name, the keyword if it is enforced by name, and its pattern."""
    found: list[tuple[str, JsonObject | None, str | None]] = []
    found += [("pattern", None, pattern) for pattern in shape.patterns]
    for name in shape.formats:
        if name in target.formats:
            found.append((f"format {name}", {"format": name}, FORMATS[name]))
        elif name in FORMATS:
            found.append((f"format {name}", None, WHOLE_FORMATS.get(name)))
    return found


def _is_simple(pattern: str, target: Target) -> bool:
    """Whether the target takes the pattern as its author wrote it."""
    counts = [int(end) for pair in _COUNTS.findall(pattern) for end in pair if end]
    is_plain = "(?" not in _PLAIN_GROUP.sub("(", pattern)
    return is_plain and max(counts, default=0) <= target.max_repeats


def _bounded_pattern(shape: Text, target: Target) -> str | None:
    """A pattern that keeps the lengths too, None if there is none; it is as wide as they are."""
    high = shape.max_length
    if len(shape.patterns) != 1 or high is None or high > target.max_repeats:
        return None
    fitted = rewrite(shape.patterns[0], shape.min_length, high, is_careful=True)
    if fitted is None or fitted.shortest < shape.min_length or fitted.longest > high:
        return None
    return fitted.pattern


def _lengths(low: int, high: int | None) -> JsonObject:
    """Lengths as a pattern, for those who know patterns only."""
    if low == 0 and high is None:
        return {}
    count = "+" if (low, high) == (1, None) else f"{{{low},{'' if high is None else high}}}"
    return {"pattern": rf"^(.|\s){count}$"}
