"""Places in Python source as bytes, and literals replaced there by others of their kind."""

from __future__ import annotations

import ast
import math
import string
from dataclasses import dataclass
from random import Random

_LARGE = 1e9
_FAR = 10**12
_LARGEST_TOLERANCE = 0.1


@dataclass(frozen=True, kw_only=True)
class Edit:
    """`text` in the place of the bytes from `start` to `end`."""

    start: int
    end: int
    text: str


class Source:
    """A source whose tree was made by `ast.parse`: its places are a line and a byte in it."""

    def __init__(self, text: str) -> None:
        self._content = text.encode()
        self._starts = [0]
        for line in self._content.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def span(self, node: ast.expr) -> tuple[int, int]:
        """First byte and end. Parentheses around it do not belong to a node, but a tuple's do."""
        last, column = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
        return self._starts[node.lineno - 1] + node.col_offset, self._starts[last - 1] + column

    def span_of(self, statement: ast.stmt) -> tuple[int, int]:
        """First byte and end of a statement."""
        last, column = statement.end_lineno, statement.end_col_offset
        end = self._starts[(last or statement.lineno) - 1] + (column or statement.col_offset)
        return self._starts[statement.lineno - 1] + statement.col_offset, end

    def between(self, start: int, end: int) -> str:
        """The words there, each separated by one space."""
        return " ".join(self._content[start:end].decode("utf-8", "replace").split())

    def other_literal(self, node: ast.expr, random: Random) -> Edit | None:
        """A change to `node` after which it equals nothing that it did; `None` if it has none."""
        leaves = _leaves(node)
        if not leaves:
            return None
        leaf = random.choice(leaves)
        return self.replaced(leaf, _other(leaf.value, random))

    def unlikely(self, node: ast.expr, random: Random) -> Edit | None:
        """Another value of its kind, which hardly anything holds that holds the old one."""
        match node:
            case ast.Constant(value=bool()):
                return None
            case ast.Constant(value=int(number)):
                return self.replaced(node, repr(abs(number) + random.randint(_FAR, 10 * _FAR)))
            case ast.Constant(value=str(text)):
                return self.replaced(node, repr(text + _word(random)))
            case ast.Constant(value=bytes(content)):
                return self.replaced(node, repr(content + _word(random).encode()))
            case _:
                return None

    def replaced(self, node: ast.expr, text: str) -> Edit:
        start, end = self.span(node)
        return Edit(start=start, end=end, text=text)


def _leaves(node: ast.expr) -> list[ast.Constant]:
    """The constants that it is made of and that have another value of their kind."""
    match node:
        case ast.Constant(value=bool() | int() | str() | bytes()):
            return [node]
        case ast.Constant(value=float(value)) if math.isfinite(value):
            return [node]
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant() as inner):
            return _leaves(inner)
        case ast.List() | ast.Tuple() | ast.Set():
            return [leaf for element in node.elts for leaf in _leaves(element)]
        case ast.Dict() if _has_plain_keys(node):
            return [leaf for value in node.values for leaf in _leaves(value)]
        case ast.Call(args=[about]) if name_of(node.func) == "approx" and is_exact(node):
            return _leaves(about)
        case _:
            return []


def name_of(function: ast.expr) -> str:
    """The last part of what is called: `approx` of `pytest.approx`."""
    match function:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case _:
            return ""


def is_exact(call: ast.Call) -> bool:
    """Whether a comparison with tolerances refuses what is twice as much, and more."""
    return all(
        isinstance(keyword.value, ast.Constant)
        and isinstance(keyword.value.value, int | float)
        and (keyword.arg == "nan_ok" or abs(keyword.value.value) <= _LARGEST_TOLERANCE)
        for keyword in call.keywords
    )


def _has_plain_keys(node: ast.Dict) -> bool:
    """Whether no value is overwritten by that of a later key."""
    keys = [key.value for key in node.keys if isinstance(key, ast.Constant)]
    return len(keys) == len(node.keys) == len(set(keys))


def _other(value: object, random: Random) -> str:
    match value:
        case bool():
            return repr(not value)
        case int():
            # Neither near it, nor its negative nor, for 0 and 1, a truth value.
            return repr(2 * abs(value) + random.randint(2, 9))
        case float():
            return repr((0.0 if abs(value) > _LARGE else abs(value) * 2) + random.randint(2, 9))
        case bytes():
            return repr(_other_text(value.decode("latin-1"), random).encode("latin-1"))
        case _:
            return repr(_other_text(str(value), random))


def _other_text(text: str, random: Random) -> str:
    """Another letter or digit in the place of one; also different where case does not count."""
    for alphabet in (string.ascii_lowercase, string.digits):
        places = [at for at, character in enumerate(text) if character.lower() in alphabet]
        if places:
            at = random.choice(places)
            others = [character for character in alphabet if character != text[at].lower()]
            other = random.choice(others)
            other = other.upper() if text[at].isupper() else other
            return text[:at] + other + text[at + 1 :]
    return text + random.choice(string.ascii_lowercase)


def _word(random: Random) -> str:
    return "".join(random.choices(string.ascii_lowercase, k=9))
