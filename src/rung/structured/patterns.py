"""Patterns rewritten into what every grammar engine enforces.

The result is anchored, bounded, and made of literals, plain classes, groups, `|` and `{m,n}`. All
that it matches, the original matches.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from rung.structured.regex import Chars, Choice, Node, Repeat, Sequence, UnsupportedError, parse


@dataclass(frozen=True, slots=True)
class Fitted:
    """A rewritten pattern and the lengths, in characters, of what it matches."""

    pattern: str
    shortest: int
    longest: int


@lru_cache(maxsize=1024)
def rewrite(pattern: str, shortest: int, longest: int) -> Fitted | None:
    """The part of `pattern` that matches strings of up to `longest` characters, or None.

    Longer ones remain if the pattern itself demands them, and shorter ones than `shortest` if the
    pattern allows them: compare the result's lengths.
    """
    try:
        node = parse(pattern)
    except (UnsupportedError, RecursionError):
        return None
    if isinstance(node, Repeat) and isinstance(node.part, Chars):
        node = replace(node, low=max(node.low, shortest))
    if isinstance(node, Repeat) and node.high is not None and node.high < node.low:
        return None
    for room in (256, 128, 64, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1):
        bounded = _bounded(node, room, longest)
        low, high = _lengths(bounded)
        if high <= longest:
            break
    text = _group(bounded) if isinstance(bounded, Choice) else _written(bounded)
    return Fitted(f"^{text}$", low, high)


def _bounded(node: Node, room: int, longest: int) -> Node:
    """The node with every repetition ended: `room` more than it must."""
    if isinstance(node, Chars):
        return node
    if isinstance(node, Sequence):
        return Sequence(tuple(_bounded(part, room, longest) for part in node.parts))
    if isinstance(node, Choice):
        return Choice(tuple(_bounded(option, room, longest) for option in node.options))
    end = node.low + room if node.high is None else min(node.high, max(node.low, longest))
    return Repeat(_bounded(node.part, room, longest), node.low, end)


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
