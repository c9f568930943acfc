"""A JSON value while it is being written: what of it is certain so far.

Each view is a prefix of the value that the text will be: strings grow, numbers and literals are
there once they are whole, keys once they have a value. What stands around the JSON is passed over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from rung.structured.growing import BrokenError, GrowingValue
from rung.structured.parse import NotJsonError, parse

_SPACE = re.compile(r"[ \t\n\r]*")
_BRACKET = re.compile(r"[\[{]")
_PLAIN = re.compile(r'[^"\\]+')
_HIGH, _LOW = r"\\u[dD][89abAB][0-9a-fA-F]{2}", r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
# Half of a surrogate pair is no character, so it is no escape either.
_ESCAPE = re.compile(rf'{_HIGH}{_LOW}|(?!\\u[dD][89a-fA-F])\\(?:["\\/bfnrt]|u[0-9a-fA-F]{{4}})')
_MAY_BECOME_ESCAPE = re.compile(
    rf"\\(?:u[0-9a-fA-F]{{0,3}})?|{_HIGH}(?:\\(?:u(?:[dD](?:[c-fC-F][0-9a-fA-F]?)?)?)?)?"
)
_LONGEST_ESCAPE = len(r"\ud83d\ude00")
_SCALAR = re.compile(r"[-+.\w]+")
# What brackets in a sentence may hold, so that they are no JSON in any syntax.
_ASIDE = re.compile(r"[^\[\]{}\"':,]*")
_THINKING = ("<think>", "<thinking>")
_END_OF_THINKING = re.compile(r"</think(?:ing)?>")
_LONGEST_TAG = len("</thinking>")
_MAX_SCALAR_CHARACTERS = 5_000
_MAX_UNCERTAIN_CHARACTERS = 20_000


class PartialObject:
    """Feed it an answer in pieces of any size; look at `view` whenever you like.

    Feeding takes time in proportion to the text, a view in proportion to what is open in it: whole
    parts are shared between views, so do not change them. Views only grow. Text that turns out not
    to be JSON, or to have a key twice, ends the growing: the last view stays.
    """

    def __init__(self) -> None:
        self.is_whole = False
        self._value = GrowingValue()
        self._is_certain = False
        self._state: Callable[[], bool] | None = self._start
        self._rest = ""  # what of the text is not read yet, from `_at` on
        self._at = 0
        self._root_at: int | None = None  # where in it a bracket is that may begin the JSON

    @property
    def is_open(self) -> bool:
        """Whether JSON has begun that is neither whole nor broken."""
        return self._is_certain and self._state is not None

    def feed(self, text: str) -> bool:
        """Takes in the next piece; says whether there is something new to view."""
        self._rest += text if self._state is not None else ""
        while self._state is not None:
            try:
                if not self._state():
                    break
            except BrokenError:
                self._give_up()
        self._forget()
        has_grown = self._is_certain and self._value.has_grown
        self._value.has_grown = self._value.has_grown and not has_grown
        return has_grown

    def view(self) -> Any:
        """What is certain so far; None if nothing is."""
        return self._value.view() if self._is_certain else None

    def whole_items(self) -> tuple[tuple[str, ...], Any] | None:
        """The path of keys to the first open list, and the value with only its whole items in it.

        None if no list is open.
        """
        return self._value.open_list() if self.is_open else None

    def without_brackets(self) -> list[tuple[dict[str, Any] | list[Any], str | None]] | None:
        """What is open, from the outside in, if nothing but the closing brackets is missing.

        Each container has its whole values, and the key under which the next one stands. None if
        anything else has begun.
        """
        is_between = self.is_open and self._state == self._read_next
        return self._value.opened() if is_between and not self._rest[self._at :].strip() else None

    # Each state reads on from `_at`; false means that it needs more text.

    def _start(self) -> bool:
        """What comes first: thinking to pass over, a lone string, or anything else."""
        begin = self._rest.lstrip(" \t\r\n\ufeff")
        self._at = len(self._rest) - len(begin)
        if not begin or any(tag != begin and tag.startswith(begin) for tag in _THINKING):
            return False
        self._state = self._search
        if begin.startswith(_THINKING):
            self._state = self._pass_thinking
        elif begin[0] == '"':
            self._begin_string(is_key=False)
        return True

    def _pass_thinking(self) -> bool:
        end = _END_OF_THINKING.search(self._rest, self._at)
        if end is None:
            self._at = max(self._at, len(self._rest) - _LONGEST_TAG)
            return False
        self._at = end.end()
        self._state = self._search
        return True

    def _search(self) -> bool:
        bracket = _BRACKET.search(self._rest, self._at)
        if bracket is None:
            self._at = len(self._rest)
            return False
        self._at = self._root_at = bracket.start()
        self._state = self._read_value
        return True

    def _read_value(self) -> bool:
        mark = self._next_mark()
        if mark in ("[", "{"):
            self._value.open([] if mark == "[" else {})
            self._at += 1
            self._state = self._read_first
        elif mark == '"':
            self._begin_string(is_key=False)
        elif mark:
            return self._read_scalar()
        return bool(mark)

    def _read_first(self) -> bool:
        """What comes after an opening bracket: a key or a value, or its closing one."""
        mark = self._next_mark()
        if mark in ("]", "}"):
            self._close(mark)
        elif mark:
            self._state = self._read_value if self._value.is_in_list else self._read_key
        return bool(mark)

    def _read_key(self) -> bool:
        if not self._awaits('"'):
            return False
        self._begin_string(is_key=True)
        return True

    def _begin_string(self, *, is_key: bool) -> None:
        self._value.begin_string(is_key=is_key)
        self._at += 1
        self._state = self._read_string
        if not is_key:
            self._be_certain()

    def _read_string(self) -> bool:
        plain = _PLAIN.match(self._rest, self._at)
        if plain is not None:
            self._value.say(plain[0])
            self._at = plain.end()
        mark = self._rest[self._at : self._at + 1]
        if mark == '"':
            self._at += 1
            if self._value.end_string():
                self._state = self._read_colon
            else:
                self._end_value()
        elif mark:
            return self._read_escape()
        return bool(mark)

    def _read_escape(self) -> bool:
        left = self._rest[self._at : self._at + _LONGEST_ESCAPE]
        if _MAY_BECOME_ESCAPE.fullmatch(left):
            return False
        escape = _ESCAPE.match(left)
        if escape is None:
            raise BrokenError
        self._value.say(json.loads(f'"{escape[0]}"'))
        self._at += escape.end()
        return True

    def _read_colon(self) -> bool:
        if not self._awaits(":"):
            return False
        self._be_certain()
        self._at += 1
        self._state = self._read_value
        return True

    def _read_scalar(self) -> bool:
        found = _SCALAR.match(self._rest, self._at)
        if found is None or len(found[0]) > _MAX_SCALAR_CHARACTERS:
            raise BrokenError
        if found.end() == len(self._rest):
            return False
        try:
            self._value.add(parse(found[0]))
        except NotJsonError:
            raise BrokenError from None
        self._at = found.end()
        self._end_value()
        return True

    def _read_next(self) -> bool:
        """What comes after a value inside a container: a comma, or a closing bracket."""
        mark = self._next_mark()
        if mark == ",":
            self._at += 1
            self._state = self._read_value if self._value.is_in_list else self._read_key
        elif mark:
            self._close(mark)
        return bool(mark)

    def _close(self, mark: str) -> None:
        if mark != ("]" if self._value.is_in_list else "}"):
            raise BrokenError
        self._at += 1
        self._value.close()
        self._end_value()

    def _end_value(self) -> None:
        self._be_certain()
        self.is_whole = self._value.is_closed
        self._state = None if self.is_whole else self._read_next

    def _be_certain(self) -> None:
        self._is_certain, self._root_at = True, None

    def _give_up(self) -> None:
        """What came is not JSON; if it was only a bracket in a sentence, the search goes on."""
        if self._root_at is None:
            self._state = None
            return
        self._value = GrowingValue()
        self._at = self._root_at + 1
        self._state = self._pass_aside

    def _pass_aside(self) -> bool:
        """The words after a bracket that began no JSON, and the bracket that closes them."""
        words = _ASIDE.match(self._rest, self._at)
        self._at = self._at if words is None else words.end()
        end = self._rest[self._at : self._at + 1]
        if end:
            self._at, self._root_at = self._at + 1, None
            # What began there may be a value of another syntax: nothing in it is the answer.
            self._state = self._search if end in "]}" else None
        return bool(end)

    def _forget(self) -> None:
        """Drop what was read; from a bracket on that may begin the JSON it may be needed again."""
        done = self._at if self._root_at is None else self._root_at
        self._rest, self._at = self._rest[done:], self._at - done
        if self._root_at is not None:
            self._root_at = 0
            if len(self._rest) > _MAX_UNCERTAIN_CHARACTERS:
                self._state = None

    def _awaits(self, mark: str) -> bool:
        """Whether `mark` comes next; nothing else may."""
        found = self._next_mark()
        if found and found != mark:
            raise BrokenError
        return bool(found)

    def _next_mark(self) -> str:
        """The next character that is not space; "" if there is none yet."""
        space = _SPACE.match(self._rest, self._at)
        self._at = self._at if space is None else space.end()
        return self._rest[self._at : self._at + 1]
