"""From a row to the values of its columns, mended so that either database takes them.

PostgreSQL refuses NUL characters, neither database takes half of a surrogate pair, and JSON has no
word for an arbitrary object: each becomes something storable, and the row counts as mended.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple, cast

import msgspec
from sqlalchemy import Column, Double, Integer
from sqlalchemy.types import JSON

from rung.ledger.rows import Row
from rung.ledger.tables import TABLE_OF, UtcDateTime

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_MAX_DEPTH = 64
_REPR_CHARS = 200
_MAX_INTEGER = 2**63 - 1
_json = msgspec.json.Encoder()


class Encoded(NamedTuple):
    """`values` by column, JSON already as text; `is_mended` if something had to be replaced."""

    values: dict[str, Any]
    is_mended: bool


def encode(row: Row) -> Encoded:
    """The values of a row's columns, without the `id`: that is for the database to give.

    `TypeError` for a number or a time that is none: SQLite would store it and mislead its readers.
    """
    if type(row) not in TABLE_OF:
        raise TypeError(f"not a row of the ledger: {type(row).__name__}")
    values: dict[str, Any] = {}
    is_mended = False
    for name, encode_value in _ENCODERS[type(row)].items():
        value = getattr(row, name)
        if value is None:
            values[name] = None
            continue
        try:
            values[name], was_mended = encode_value(value)
        except TypeError as error:
            raise TypeError(f"{TABLE_OF[type(row)].name}.{name}: {error}") from None
        is_mended |= was_mended
    return Encoded(values, is_mended)


def _text(value: object) -> tuple[str, bool]:
    text = value if isinstance(value, str) else str(value)
    mended = mend_text(text)
    return mended, mended != text


def _number(value: object) -> tuple[float | None, bool]:
    if isinstance(value, int) and abs(value) <= _MAX_INTEGER:
        return value, False
    if not isinstance(value, float):
        raise TypeError(f"not a number of 64 bits: {type(value).__name__}")
    return (value, False) if math.isfinite(value) else (None, True)


def _time(value: object) -> tuple[datetime, bool]:
    if not isinstance(value, datetime):
        raise TypeError(f"not a time: {type(value).__name__}")
    return value, False


def _json_text(value: object) -> tuple[str, bool]:
    try:
        text = _json.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
        return _json.encode(_mend_json(value)).decode(), True
    if b"\\u0000" in text:
        return _json.encode(_mend_json(value)).decode(), True
    return text.decode(), False


def mend_text(text: str) -> str:
    if not text.isascii():
        # Joins the two halves of a surrogate pair, and replaces a half that stands alone.
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.replace("\0", _REPLACEMENT)


def _mend_json(value: object, depth: int = 0) -> object:
    """The nearest that JSON can hold. What is too deep, or is not JSON at all, becomes its repr."""
    if isinstance(value, str):
        return mend_text(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth < _MAX_DEPTH:
        if isinstance(value, Mapping):
            items = cast("Mapping[object, object]", value).items()
            return {mend_text(str(key)): _mend_json(item, depth + 1) for key, item in items}
        if isinstance(value, list | tuple | set | frozenset):
            members = cast("list[object]", value)
            return [_mend_json(item, depth + 1) for item in members]
        if isinstance(value, msgspec.Struct):
            return _mend_json(msgspec.structs.asdict(value), depth + 1)
    return mend_text(_safe_repr(value))


def _safe_repr(value: object) -> str:
    try:
        return repr(value)[:_REPR_CHARS]
    except Exception:  # noqa: BLE001 - foreign code; the row is counted as mended
        return f"<{type(value).__name__}>"


def _encoder_of(column: Column[Any]) -> Callable[[object], tuple[Any, bool]]:
    if isinstance(column.type, JSON):
        return _json_text
    if isinstance(column.type, Integer | Double):
        return _number
    return _time if isinstance(column.type, UtcDateTime) else _text


_ENCODERS = {
    row_type: {c.name: _encoder_of(c) for c in table.columns if not c.primary_key}
    for row_type, table in TABLE_OF.items()
}
