"""Patterns rewritten into what every grammar engine enforces.

The result is anchored, bounded, and made of literals, plain classes, groups, `|` and `{m,n}`. All
that it matches, the original matches.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass, replace
from functools import lru_cache, partial

from rung.structured.regex import Chars, Choice, Node, Repeat, Sequence, UnsupportedError, parse


@dataclass(frozen=True, slots=True)
class Fitted:
    """A rewritten pattern and the lengths, in characters, of what it matches."""

    pattern: str
    shortest: int
    longest: int


@lru_cache(maxsize=1024)
def rewrite(pattern: str, shortest: int, longest: int, is_careful: bool = False) -> Fitted | None:
    """The part of `pattern` that matches strings of up to `longest` characters, or None.

    Longer ones remain if the pattern itself demands them, and shorter ones than `shortest` if the
    pattern allows them: compare the result's lengths. Where it `is_careful`, a repetition in the
    pattern is made longer for that, which gives up some strings that are long enough.
    """
    try:
        node = parse(pattern)
    except (UnsupportedError, RecursionError):
        return None
    if isinstance(node, Repeat) and isinstance(node.part, Chars):
        node = replace(node, low=max(node.low, shortest))
    if isinstance(node, Repeat) and node.high is not None and node.high < node.low:
        return None
    bounded = _fitted(node, longest)
    low, high = _lengths(bounded)
    if is_careful and low < shortest and (longer := _lengthened(bounded, shortest - low)):
        bounded = longer
        low, high = _lengths(bounded)
    text = _group(bounded) if isinstance(bounded, Choice) else _written(bounded)
    return Fitted(f"^{text}$", low, high)


def _fitted(node: Node, longest: int) -> Node:
    """The widest form that matches at most `longest` characters, else the narrowest there is."""
    # First what has no end is given one, then what has one is cut, too.
    for is_cut in (False, True):
        if _lengths(_bounded(node, 1, longest, is_cut))[1] > longest:
            continue
        is_over = partial(_is_over, node, longest, is_cut)
        room = bisect_left(range(longest + 1), True, lo=2, key=is_over) - 1
        return _bounded(node, room, longest, is_cut)
    return _bounded(node, 1, longest, is_cut=True)


def _is_over(node: Node, longest: int, is_cut: bool, room: int) -> bool:
    return _lengths(_bounded(node, room, longest, is_cut))[1] > longest


def _bounded(node: Node, room: int, longest: int, is_cut: bool) -> Node:
    """The node with every repetition ended, or all of them cut: `room` more than it must."""
    if isinstance(node, Chars):
        return node
    if isinstance(node, Sequence):
        return Sequence(tuple(_bounded(part, room, longest, is_cut) for part in node.parts))
    if isinstance(node, Choice):
        return Choice(tuple(_bounded(option, room, longest, is_cut) for option in node.options))
    end = node.low + room if node.high is None else min(node.high, max(node.low, longest))
    end = min(end, node.low + room) if is_cut else end
    return Repeat(_bounded(node.part, room, longest, is_cut), node.low, end)


def _lengthened(node: Node, more: int) -> Node | None:
    """The node without its matches that are too short: `more` characters are to be added."""
    if isinstance(node, Repeat):
        step = _lengths(node.part)[0]
        low = node.low + math.ceil(more / max(step, 1))
        return replace(node, low=low) if step and low <= (node.high or 0) else None
    if isinstance(node, Choice):
        shortest = _lengths(node)[0] + more
        gaps = [(option, shortest - _lengths(option)[0]) for option in node.options]
        kept = [_lengthened(option, gap) if gap > 0 else option for option, gap in gaps]
        options = tuple(option for option in kept if option is not None)
        return Choice(options) if options else None
    if isinstance(node, Sequence):
        for index, part in enumerate(node.parts):
            if (longer := _lengthened(part, more)) is not None:
                return Sequence((*node.parts[:index], longer, *node.parts[index + 1 :]))
    return None


def _lengths(node: Node) -> tuple[int, int]:
    if isinstance(node, Chars):
        return 1, 1
    if isinstance(node, Repeat):
        low, high = _lengths(node.part)
        return low * node.low, high * (node.high or 0)
    if isinstance(node, Sequence):
        pairs = [_lengths(part) for part in node.parts]
        return sum(low for low, _ in pairs), sum(high for _, high in pairs)
    pairs = [_lengths(option) for option in node.options]
    return min(low for low, _ in pairs), max(high for _, high in pairs)


def _written(node: Node) -> str:
    if isinstance(node, Chars):
        low, high = node.ranges[0]
        if len(node.ranges) == 1 and low == high and chr(low).isascii() and chr(low).isalnum():
            return chr(low)
        return "[" + "".join(map(_range, node.ranges)) + "]"
    if isinstance(node, Sequence):
        return "".join(
            _group(part) if isinstance(part, Choice) else _written(part) for part in node.parts
        )
    if isinstance(node, Choice):
        return "|".join(_written(option) for option in node.options)
    if node.high == 0:
        return ""
    part = _written(node.part) if isinstance(node.part, Chars) else _group(node.part)
    if node.low == node.high:
        return part if node.low == 1 else f"{part}{{{node.low}}}"
    return f"{part}?" if (node.low, node.high) == (0, 1) else f"{part}{{{node.low},{node.high}}}"


def _group(node: Node) -> str:
    return f"({_written(node)})"


def _range(ends: tuple[int, int]) -> str:
    low, high = (_escaped(end) for end in ends)
    return low if low == high else f"{low}-{high}"


def _escaped(point: int) -> str:
    character = chr(point)
    return f"\\x{point:02X}" if point < 0x80 and not character.isalnum() else character
