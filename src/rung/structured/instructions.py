"""A schema as a short text: engines that enforce a schema do not show it to the model."""

from __future__ import annotations

import json
from functools import lru_cache

from rung.structured.normal import normal_form
from rung.structured.prompts import prompt
from rung.structured.references import Schema
from rung.structured.shapes import (
    Anything,
    Array,
    Number,
    Object,
    Property,
    Shape,
    Text,
    Union,
    Values,
)
from rung.structured.validate import check_schema

MAX_CHARACTERS = 6_000
_MAX_VALUES = 40
_MAX_NOTE_CHARACTERS = 160
_MAX_PATTERN_CHARACTERS = 80
_ALL_LEVELS = 99


def instructions(schema: Schema) -> str:
    """What to tell a model so that its answer fits `schema`: names, types, values, bounds, notes.

    The same schema always gives the same text, of about 6,000 characters at most: notes, then the
    inner levels of large schemas are left out. Raises `SchemaError`.
    """
    return prompt("answer").replace("{form}", form(schema))


def form(schema: Schema) -> str:
    """The form alone, without the sentence that asks for JSON of it. Raises `SchemaError`."""
    check_schema(schema)
    return _form_of(json.dumps(schema))


@lru_cache(maxsize=128)
def _form_of(text: str) -> str:
    shape = normal_form(json.loads(text), recursion=1).shape
    told = ""
    for levels, has_notes in ((_ALL_LEVELS, True), (_ALL_LEVELS, False), (3, False), (2, False)):
        told = _form(shape, "", levels, has_notes)
        if len(told) <= MAX_CHARACTERS:
            break
    return told[:MAX_CHARACTERS]


def _form(shape: Shape, indent: str, levels: int, has_notes: bool) -> str:
    match shape:
        case Anything():
            return "any JSON value"
        case Values():
            return _values(shape)
        case Text():
            return _text(shape)
        case Number():
            return _number(shape)
        case Array():
            return _array(shape, indent, levels, has_notes)
        case Object():
            return _object(shape, indent, levels, has_notes)
        case Union():
            return " | ".join(_form(option, indent, levels, has_notes) for option in shape.options)


def _values(shape: Values) -> str:
    listed = [json.dumps(value, ensure_ascii=False) for value in shape.values[:_MAX_VALUES]]
    more = ["…"] if len(shape.values) > _MAX_VALUES else []
    return " | ".join([*listed, *more])


def _text(shape: Text) -> str:
    said = list(shape.formats)
    length = _range(shape.min_length or None, shape.max_length)
    said += [f"{length} characters"] if length else []
    said += [f"matching {p}" for p in shape.patterns if len(p) <= _MAX_PATTERN_CHARACTERS]
    return _with("string", said)


def _number(shape: Number) -> str:
    said: list[str] = []
    if shape.low is not None:
        said.append(f"{'above' if shape.is_low_open else 'at least'} {shape.low}")
    if shape.high is not None:
        said.append(f"{'below' if shape.is_high_open else 'at most'} {shape.high}")
    said += [f"a multiple of {multiple}" for multiple in shape.multiples]
    return _with("integer" if shape.is_whole else "number", said)


def _array(shape: Array, indent: str, levels: int, has_notes: bool) -> str:
    if shape.max_items == 0:
        return "[]"
    items = [_form(item, indent, levels, has_notes) for item in shape.prefix]
    if shape.items is not None:
        items.append(_form(shape.items, indent, levels, has_notes) + ", …")
    count = _range(shape.min_items or None, shape.max_items)
    is_plain = shape.items is not None or not shape.prefix
    said = [f"{count} items"] if count and is_plain else []
    said += ["all different"] if shape.is_unique else []
    return _with(f"[{', '.join(items)}]", said)


def _object(shape: Object, indent: str, levels: int, has_notes: bool) -> str:
    inner = indent + "  "
    lines = [_property(declared, inner, levels, has_notes) for declared in shape.properties]
    if levels == 0 and (lines or shape.extra is not None):
        return "{…}"
    if shape.extra is not None:
        lines.append(f"{inner}any key: {_form(shape.extra, inner, levels - 1, has_notes)}")
    least = f" (at least {shape.min_properties} keys)" if shape.min_properties else ""
    return "\n".join(["{", *lines, indent + "}"]) + least if lines else "{}"


def _property(declared: Property, indent: str, levels: int, has_notes: bool) -> str:
    mark = "" if declared.is_required else "?"
    name = json.dumps(declared.name, ensure_ascii=False)
    note = f" // {declared.note[:_MAX_NOTE_CHARACTERS]}" if has_notes and declared.note else ""
    return f"{indent}{name}{mark}: {_form(declared.shape, indent, levels - 1, has_notes)},{note}"


def _with(kind: str, said: list[str]) -> str:
    return f"{kind} ({', '.join(said)})" if said else kind


def _range(low: int | None, high: int | None) -> str:
    if low is not None and high is not None:
        return str(low) if low == high else f"{low} to {high}"
    if low is not None:
        return f"at least {low}"
    return f"at most {high}" if high is not None else ""
