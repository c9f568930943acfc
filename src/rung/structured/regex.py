"""Regular expressions of JSON Schema (ECMA-262) as trees, as far as every grammar engine can go.

The characters of a tree can stand in a JSON string as they are: no quote, no backslash, no control
character. All that a tree matches as a whole, the pattern matches. Without an anchor any text may
stand before or after.
"""

from __future__ import annotations

from dataclasses import dataclass

Ranges = tuple[tuple[int, int], ...]

# Printable ASCII without the quote and the backslash.
_ASCII: Ranges = ((0x20, 0x21), (0x23, 0x5B), (0x5D, 0x7E))
# With the letters of other scripts, and without their spaces and line ends.
_SAFE: Ranges = (*_ASCII, (0xA1, 0x167F), (0x1681, 0x1FFF), (0x3001, 0xD7FF))
_DIGITS: Ranges = ((0x30, 0x39),)
_UPPER: Ranges = ((0x41, 0x5A),)
_LOWER: Ranges = ((0x61, 0x7A),)
_WORD: Ranges = (*_DIGITS, *_UPPER, (0x5F, 0x5F), *_LOWER)
_SPACE: Ranges = ((0x20, 0x20),)
_PROPERTIES: dict[str, Ranges] = {
    "L": (*_UPPER, *_LOWER),
    "Letter": (*_UPPER, *_LOWER),
    "Lu": _UPPER,
    "Ll": _LOWER,
    "N": _DIGITS,
    "Nd": _DIGITS,
}


class UnsupportedError(Exception):
    """The pattern has something that cannot be rewritten."""


@dataclass(frozen=True, slots=True)
class Chars:
    """One character out of some ranges of code points."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Sequence:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    options: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    part: Node
    low: int
    high: int | None


Node = Chars | Sequence | Choice | Repeat


def parse(pattern: str) -> Node:
    """The tree of a pattern; raises `UnsupportedError`."""
    return _Parser(pattern).parse()


class _Parser:
    """Recursive descent over ECMA-262 syntax. Anchors may stand only at the ends of a branch."""

    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._at = 0

    def parse(self) -> Node:
        node = self._choice(is_outermost=True)
        if self._at < len(self._text):
            raise UnsupportedError  # a parenthesis too many
        return node

    def _peek(self, length: int = 1) -> str:
        return self._text[self._at : self._at + length]

    def _take(self, length: int = 1) -> str:
        taken = self._peek(length)
        if len(taken) < length:
            raise UnsupportedError
        self._at += length
        return taken

    def _skip(self, text: str) -> bool:
        if self._peek(len(text)) != text:
            return False
        self._at += len(text)
        return True

    def _choice(self, is_outermost: bool = False) -> Node:
        branches = [self._sequence(is_outermost)]
        while self._skip("|"):
            branches.append(self._sequence(is_outermost))
        full = tuple(branch for branch in branches if branch != Sequence(()))
        if not full:
            return Sequence(())
        node = full[0] if len(full) == 1 else Choice(full)
        return node if len(full) == len(branches) else Repeat(node, 0, 1)

    def _sequence(self, is_outermost: bool) -> Node:
        middle: list[Node] = []
        is_started = is_ended = False
        while self._peek() not in ("", "|", ")"):
            if self._skip("^"):
                if middle or not is_outermost:
                    raise UnsupportedError
                is_started = True
            elif self._skip("$"):
                if not is_outermost or self._peek() not in ("", "|"):
                    raise UnsupportedError
                is_ended = True
            else:
                middle.append(self._repeated(self._atom()))
        parts = middle
        if is_outermost:
            anything = Repeat(Chars(_SAFE), 0, None)
            parts = [] if is_started else [anything]
            parts += middle
            parts += [] if is_ended else [anything]
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _atom(self) -> Node:
        character = self._take()
        if character == "(":
            return self._parenthesis()
        if character == "[":
            return self._class()
        if character == ".":
            return Chars(_SAFE)
        if character == "\\":
            return _chars(self._escape())
        if character in "*+?":
            raise UnsupportedError
        return _chars(((ord(character), ord(character)),))

    def _parenthesis(self) -> Node:
        if self._skip("?"):
            if self._skip("<") and self._peek() not in ("=", "!"):
                while self._take() != ">":
                    pass
            elif not self._skip(":"):
                raise UnsupportedError  # looking ahead or back, or a flag
        node = self._choice()
        if not self._skip(")"):
            raise UnsupportedError
        return node

    def _repeated(self, node: Node) -> Node:
        bounds = self._quantifier()
        if bounds is None:
            return node
        self._skip("?")  # lazy or greedy: the same strings match
        low, high = bounds
        if high is not None and high < low:
            raise UnsupportedError
        return Repeat(node, low, high)

    def _quantifier(self) -> tuple[int, int | None] | None:
        for sign, low, high in (("*", 0, None), ("+", 1, None), ("?", 0, 1)):
            if self._skip(sign):
                return low, high
        end = self._text.find("}", self._at)
        if self._peek() != "{" or end < 0:
            return None
        first, comma, last = self._text[self._at + 1 : end].partition(",")
        if not first.isdecimal() or (last and not last.isdecimal()):
            return None  # a brace that means itself
        self._at = end + 1
        low = int(first)
        return low, int(last) if last else None if comma else low

    def _class(self) -> Node:
        is_negated = self._skip("^")
        alphabet = _SAFE
        ranges: list[tuple[int, int]] = []
        while not self._skip("]"):
            low = self._member()
            is_point = len(low) == 1 and low[0][0] == low[0][1]
            if is_point and self._peek() == "-" and self._peek(2) != "-]":
                self._take()
                high = self._member()
                if len(high) != 1 or high[0][0] != high[0][1] or high[0][0] < low[0][0]:
                    raise UnsupportedError
                ranges.append((low[0][0], high[0][0]))
            else:
                ranges += low
                if any(first != last for first, last in low):
                    alphabet = _ASCII  # engines differ on what \w and the like have beyond it
        return _chars(_outside(tuple(ranges), alphabet) if is_negated else tuple(ranges))

    def _member(self) -> Ranges:
        character = self._take()
        return self._escape() if character == "\\" else ((ord(character), ord(character)),)

    def _escape(self) -> Ranges:
        """What an escape stands for; control characters are kept, for `_chars` to leave out."""
        kind = self._take()
        if kind in _CLASSES:
            return _CLASSES[kind]
        if kind in _CONTROLS:
            return ((_CONTROLS[kind], _CONTROLS[kind]),)
        if kind in ("x", "u"):
            point = self._code_point(kind)
            return ((point, point),)
        if kind == "p" and self._skip("{"):
            name = ""
            while (character := self._take()) != "}":
                name += character
            if name in _PROPERTIES:
                return _PROPERTIES[name]
        if kind.isalnum():
            raise UnsupportedError  # a word boundary, a back reference, or something unknown
        return ((ord(kind), ord(kind)),)

    def _code_point(self, kind: str) -> int:
        if kind == "u" and self._skip("{"):
            end = self._text.find("}", self._at)
            digits = self._take(max(end - self._at, 0))
            self._take()
        else:
            digits = self._take(2 if kind == "x" else 4)
        try:
            point = int(digits, 16)
        except ValueError:
            raise UnsupportedError from None
        return point


def _chars(ranges: Ranges) -> Chars:
    """The characters that can stand in a JSON string as they are; there must be one."""
    kept = [
        (max(low, first), min(high, last))
        for low, high in ranges
        for first, last in (*_SAFE, (0xA0, 0xD7FF), (0xE000, 0x10FFFF))
        if max(low, first) <= min(high, last)
    ]
    if not kept:
        raise UnsupportedError
    return Chars(tuple(_merged(kept)))


def _outside(ranges: Ranges, alphabet: Ranges = _SAFE) -> Ranges:
    """The characters of the alphabet that are in none of `ranges`."""
    left = list(alphabet)
    for low, high in ranges:
        left = [
            part
            for first, last in left
            for part in ((first, min(last, low - 1)), (max(first, high + 1), last))
            if part[0] <= part[1]
        ]
    return tuple(left)


def _merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return merged


_CLASSES: dict[str, Ranges] = {
    "d": _DIGITS,
    "w": _WORD,
    "s": _SPACE,
    "D": _outside(_DIGITS, _ASCII),
    "W": _outside(_WORD, _ASCII),
    "S": _outside(_SPACE),
}
_CONTROLS = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13, "0": 0}
