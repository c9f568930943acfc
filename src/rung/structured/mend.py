"""Small mends of a value that leave no doubt: what was meant is there, in another form.

Each mend must make the value valid, together with the others, or all are undone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import deepcopy
from typing import Any, cast

from jsonschema_rs import ValidationError

from rung.chat import JsonObject
from rung.structured.parse import NotJsonError, parse
from rung.structured.references import Schema
from rung.structured.shapes import json_key
from rung.structured.validate import errors_of

_MAX_ROUNDS = 10
# Errors that may mean that another type than a string is wanted.
_NO_STRING = ("type", "enum", "const")
_ECHOES = ("properties", "$defs", "definitions")
# What stands around the properties of a schema; anything else there is a part of the answer.
_SCHEMA_WORDS = {
    *("$schema", "$id", "title", "description", "type", "required", "additionalProperties"),
    *_ECHOES,
}


def mended(value: Any, schema: Schema) -> tuple[Any, tuple[str, ...]]:
    """The value made valid by unambiguous mends, and their names; as it was if that fails.

    An object inside a wrapper that the schema does not know is taken out of it. A null for an
    optional property that may not be null means that it is left out (engines with a strict mode
    can say it no other way), a repeated item where none may repeat is said once, and JSON inside a
    string is taken for what it says where a string may not stand.
    """
    errors = errors_of(value, schema)
    if not errors:
        return value, ()
    for inner in _inside(value, errors):
        if not errors_of(inner, schema):
            return inner, ("unwrapped",)
    whole, mends, errors = _as_far_as_it_goes(value, schema, errors)
    return (value, ()) if errors else (whole, mends)


def mended_in_part(value: Any, schema: Schema) -> tuple[Any, tuple[str, ...]]:
    """The value with all mends that can be made in it, for whoever keeps only its right parts."""
    return _as_far_as_it_goes(value, schema, errors_of(value, schema))[:2]


def _as_far_as_it_goes(
    value: Any, schema: Schema, errors: list[ValidationError]
) -> tuple[Any, tuple[str, ...], list[ValidationError]]:
    """A mended copy of the value, the names of the mends, and the errors that are left."""
    box = [deepcopy(value)]
    mends: dict[str, None] = {}
    for _ in range(_MAX_ROUNDS):
        done = _mend(box, errors) or _mend(box, _causes(errors))
        if not done:
            break
        mends.update(dict.fromkeys(done))
        errors = errors_of(box[0], schema)
    return box[0], tuple(mends), errors


def is_echo(value: Any, schema: Schema) -> bool:
    """Whether the answer is the schema itself: a lax schema may well be valid under itself."""
    if not isinstance(value, dict) or not isinstance(schema, dict) or not value:
        return False
    found = cast(JsonObject, value)
    return json_key(found) == json_key(schema) or any(
        found.get(name) and json_key(found[name]) == json_key(schema.get(name)) for name in _ECHOES
    )


def _inside(value: Any, errors: list[ValidationError]) -> Iterator[Any]:
    """What a wrapper holds: a list of one, an object of one key, the `properties` of a schema.

    Only where it is the whole that is wrong: else a part of an answer could be taken for it.
    """
    if any(error.instance_path for error in errors):
        return
    inner: Any = None
    if isinstance(value, list) and len(items := cast("list[Any]", value)) == 1:
        inner = items[0]
    elif isinstance(value, dict):
        found = cast(JsonObject, value)
        is_schema = found.get("type") == "object" and found.keys() <= _SCHEMA_WORDS
        inner = found.get("properties") if is_schema else None
        if len(found) == 1:
            inner = next(iter(found.values()))
    if isinstance(inner, dict | list) and inner:
        yield inner


def _mend(box: list[Any], errors: Iterable[ValidationError]) -> list[str]:
    """Mends the value in `box` in place where an error allows; returns what was done."""
    done: list[str] = []
    for error in errors:
        path: list[str | int] = [0, *error.instance_path]
        last = path[-1]
        holder = _at(box, path[:-1])
        found = _at(holder, [last])
        if error.kind.name == "uniqueItems" and isinstance(found, list):
            items = cast("list[Any]", found)
            first: dict[str, Any] = {}
            for item in items:
                first.setdefault(json_key(item), item)
            items[:] = first.values()
            done.append("dropped_repeated_items")
        elif isinstance(holder, dict) and last in holder and found is None:
            del holder[last]
            done.append("dropped_nulls")
        elif error.kind.name in _NO_STRING and isinstance(found, str):
            try:
                inner = parse(found)
            except NotJsonError:
                continue
            if inner is not None and not isinstance(inner, str):
                holder[last] = inner
                done.append("decoded_string")
    return done


def _causes(errors: Iterable[ValidationError]) -> Iterator[ValidationError]:
    """The errors inside the branches of `anyOf` and `oneOf`."""
    for error in errors:
        for branch in cast("list[list[ValidationError]]", getattr(error.kind, "context", [])):
            yield from branch
            yield from _causes(branch)


def _at(value: Any, path: list[str | int]) -> Any:
    for key in path:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return None
    return value
