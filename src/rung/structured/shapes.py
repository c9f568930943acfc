"""The normal form of a schema: what an answer may look like, free of references and combinators.

A shape is a value. `None` in place of a shape means that nothing can satisfy the schema.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, cast


@dataclass(frozen=True, slots=True)
class Anything:
    """Any JSON value at all."""


@dataclass(frozen=True, slots=True)
class Values:
    """One of these JSON values."""

    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """A string. Lengths are in characters; it must match all `patterns` and be of all `formats`."""

    min_length: int = 0
    max_length: int | None = None
    patterns: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Number:
    """A number, `is_whole` if only integers will do; an open end is not itself allowed."""

    is_whole: bool
    low: float | None = None
    high: float | None = None
    is_low_open: bool = False
    is_high_open: bool = False
    multiples: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Array:
    """`prefix` shapes by position, then `items`; without `items` nothing may follow."""

    prefix: tuple[Shape, ...] = ()
    items: Shape | None = None
    min_items: int = 0
    max_items: int | None = None
    is_unique: bool = False


@dataclass(frozen=True, slots=True)
class Property:
    name: str
    shape: Shape
    is_required: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class Object:
    """Declared properties, in the author's order; `extra` is the shape of values under free keys.

    Only a dictionary, an object that declares no property, has `extra`. `key` is the shape of its
    keys, None if they are free.
    """

    properties: tuple[Property, ...] = ()
    extra: Shape | None = None
    min_properties: int = 0
    max_properties: int | None = None
    key: Text | None = None


@dataclass(frozen=True, slots=True)
class Union:
    """One of two or more shapes."""

    options: tuple[Shape, ...]


Shape = Anything | Values | Text | Number | Array | Object | Union


def with_keys(shape: Shape, names: tuple[str, ...]) -> Shape:
    """The shape with these keys, none of them required, in place of free ones."""
    match shape:
        case Object(extra=None):
            inner = (replace(one, shape=with_keys(one.shape, names)) for one in shape.properties)
            return replace(shape, properties=tuple(inner))
        case Object(key=None, min_properties=0) if names:
            extra = with_keys(shape.extra, ()) if shape.extra is not None else Anything()
            return Object(tuple(Property(name, extra, False) for name in names))
        case Array():
            prefix = tuple(with_keys(item, names) for item in shape.prefix)
            items = None if shape.items is None else with_keys(shape.items, names)
            return replace(shape, prefix=prefix, items=items)
        case Union():
            return Union(tuple(with_keys(option, names) for option in shape.options))
        case _:
            return shape


def is_bounded(shape: Shape) -> bool:
    """Whether caps on strings and arrays bound an answer: they do not bound a dictionary."""
    match shape:
        case Object():
            required = (declared.shape for declared in shape.properties if declared.is_required)
            return shape.extra is None and all(map(is_bounded, required))
        case Array():
            return all(map(is_bounded, (*shape.prefix, *([shape.items] if shape.items else []))))
        case Union():
            return all(map(is_bounded, shape.options))
        case _:
            return True


def exactly(value: Any) -> Shape:
    """A JSON value as the shape that only it has."""
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value).items()
        return Object(tuple(Property(name, exactly(inner), True) for name, inner in members))
    if isinstance(value, list):
        items = tuple(map(exactly, cast("list[Any]", value)))
        return Array(items, None, len(items), len(items))
    return Values((value,))


def json_key(value: Any) -> str:
    """The same text for equal JSON values, and only for those: 1 is 1.0 and is not true."""
    return json.dumps(_plain(value), sort_keys=True)


def union(shapes: list[Shape]) -> Shape | None:
    """One shape that offers all of `shapes`: flat, without repeats, values gathered in one list."""
    if len(shapes) == 1:
        return shapes[0]
    options: list[Shape] = []
    seen: set[str] = set()
    values: dict[str, Any] = {}
    for shape in shapes:
        for option in shape.options if isinstance(shape, Union) else (shape,):
            if isinstance(option, Anything):
                return option
            if isinstance(option, Values):
                values.update({json_key(value): value for value in option.values})
            # Compared by repr: dataclass equality would take Values((1,)) for Values((True,)).
            elif (text := repr(option)) not in seen:
                seen.add(text)
                options.append(option)
    if values:
        options.append(Values(tuple(values.values())))
    if len(options) > 1:
        return Union(tuple(options))
    return options[0] if options else None


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_plain(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in cast("dict[str, Any]", value).items()}
    return value
