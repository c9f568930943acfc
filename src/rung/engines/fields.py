"""Tolerant reading of JSON that another program wrote: the wrong type reads as absent."""

from __future__ import annotations

import sys
from typing import cast

import msgspec

from rung.chat import JsonObject

_TOO_MANY = 2.0**63


def as_object(value: object) -> JsonObject:
    """`value` if it is a JSON object, else an empty one."""
    return cast(JsonObject, value) if isinstance(value, dict) else {}


def as_list(value: object) -> list[object]:
    """`value` if it is a JSON array, else an empty one."""
    return cast("list[object]", value) if isinstance(value, list) else []


def as_text(value: object) -> str:
    """`value` if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def as_number(value: object) -> float | None:
    """`value` if it is a number that is not negative, or the text of one; else `None`."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # An int may be too long for a float.
    return float(value) if 0 <= value <= sys.float_info.max else None


def as_count(value: object) -> int | None:
    """`value` as a whole number that is not negative and that a database can hold, else `None`."""
    number = as_number(value)
    return None if number is None or number >= _TOO_MANY else int(number)


def first_count(*values: object) -> int | None:
    """The first of `values` that is a count."""
    return next((count for count in map(as_count, values) if count is not None), None)


def decode(body: bytes) -> object:
    """The JSON value in `body`, or `None` where it is not JSON (which is never what is wanted)."""
    try:
        return cast(object, msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
