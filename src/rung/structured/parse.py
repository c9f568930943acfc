"""JSON text to a value, strictly: what two parsers could read differently is an error."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

MAX_NESTING = 64

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL)


class NotJsonError(ValueError):
    """The text is not JSON that can be relied on; the message says why."""


def parse(text: str) -> Any:
    """The value of `text`, by RFC 8259.

    Raises `NotJsonError` for anything else, and for what JSON leaves open: a key with two
    values, a number beyond a double, half of a surrogate pair, nesting beyond 64 levels.
    """
    # Few brackets cannot nest deep, and counting them is much faster than looking where they are.
    if text.count("[") + text.count("{") > MAX_NESTING and nesting(text) > MAX_NESTING:
        raise NotJsonError(f"it is nested more than {MAX_NESTING} levels deep")
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float
        )
        if "\\u" in text or not text.isascii():
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise NotJsonError(str(error)) from error
    except UnicodeEncodeError as error:
        raise NotJsonError("it has half of a surrogate pair") from error
    except NotJsonError:
        raise
    except ValueError as error:  # an integer of more digits than Python converts
        raise NotJsonError("it has a number that is too long") from error
    return value


def nesting(text: str) -> int:
    """How deep brackets outside strings nest, at most; works on any text, in linear time."""
    deepest = depth = 0
    for token in _TOKEN.finditer(text):
        if token[0] in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif token[0] in "]}":
            depth -= 1
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        for name, value in pairs:
            if json.dumps(value) != json.dumps(found[name]):
                raise NotJsonError(f"the key {name!r} is given twice, with different values")
    return found


def _constant(name: str) -> NoReturn:
    raise NotJsonError(f"{name} is not JSON")


def _float(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise NotJsonError(f"the number {text[:40]} is too large")
    return value
