"""A JSON value under construction: what is open in it, and what it looks like so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rung.structured.parse import MAX_NESTING


class BrokenError(Exception):
    """What came is not JSON."""


@dataclass(slots=True)
class _Open:
    """A container that is not closed yet, with its whole values, and the key that comes next."""

    values: dict[str, Any] | list[Any]
    key: str | None = None


class GrowingValue:
    """Built by the events of a parser. `has_grown` is set by those that can be seen in the value.

    Raises `BrokenError` for a key that is given twice, and for more nesting than `parse` allows.
    """

    def __init__(self) -> None:
        self.has_grown = False
        self._open: list[_Open] = []
        self._string: list[str] | None = None
        self._is_key = False
        self._value: Any = None

    @property
    def is_closed(self) -> bool:
        """Whether no container is open: before the first value, and after it."""
        return not self._open

    @property
    def is_in_list(self) -> bool:
        return isinstance(self._open[-1].values, list)

    def open(self, values: dict[str, Any] | list[Any]) -> None:
        if len(self._open) == MAX_NESTING:
            raise BrokenError
        self._open.append(_Open(values))
        self.has_grown = True

    def close(self) -> None:
        self._put(self._open.pop().values)

    def begin_string(self, *, is_key: bool) -> None:
        self._string, self._is_key = [], is_key
        self.has_grown = self.has_grown or not is_key

    def say(self, text: str) -> None:
        """More of the string that was begun."""
        if self._string is not None:
            self._string.append(text)
            self.has_grown = self.has_grown or not self._is_key

    def end_string(self) -> bool:
        """The string is whole; says whether it was a key."""
        text, self._string = self._text(), None
        if not self._is_key:
            self._put(text)
            return False
        opened = self._open[-1]
        if text in opened.values:
            raise BrokenError
        opened.key = text
        return True

    def add(self, scalar: Any) -> None:
        """A number or literal."""
        self._put(scalar)
        self.has_grown = True

    def view(self, deepest: int = MAX_NESTING) -> Any:
        """The value so far, down to the open containers at `deepest`, with 0 for the outermost.

        Whole parts are shared with other views.
        """
        if not self._open and self._string is None:
            return self._value
        is_text = self._string is not None and not self._is_key
        has_child = is_text and len(self._open) <= deepest
        child: Any = self._text() if has_child else None
        for level in range(len(self._open) - 1, -1, -1):
            opened = self._open[level]
            values = opened.values.copy()
            if has_child and isinstance(values, list):
                values.append(child)
            elif has_child and isinstance(values, dict) and opened.key is not None:
                values[opened.key] = child
            child, has_child = values, level <= deepest
        return child

    def opened(self) -> list[tuple[dict[str, Any] | list[Any], str | None]]:
        """The open containers, from the outside in, each with the key of what is open in it."""
        return [(opened.values, opened.key) for opened in self._open]

    def open_list(self) -> tuple[tuple[str, ...], Any] | None:
        """The path of keys to the first open list, and the value with only its whole items in it.

        None if no list is open.
        """
        path: list[str] = []
        for depth, opened in enumerate(self._open):
            if isinstance(opened.values, list):
                return tuple(path), self.view(depth)
            path.append(opened.key or "")
        return None

    def _put(self, value: Any) -> None:
        if not self._open:
            self._value = value
            return
        opened = self._open[-1]
        if isinstance(opened.values, list):
            opened.values.append(value)
        elif opened.key is not None:
            opened.values[opened.key] = value
            opened.key = None

    def _text(self) -> str:
        """The string so far, joined once for all views to come."""
        text = "".join(self._string or ())
        self._string = [text]
        return text
