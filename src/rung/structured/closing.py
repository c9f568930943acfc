"""An answer that the model ended before it closed every bracket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from rung.chat import Completion
from rung.structured.normal import NormalForm, normal_form
from rung.structured.partial import PartialObject
from rung.structured.references import Schema
from rung.structured.salvage import Reading
from rung.structured.shapes import Array, Object, Shape, Union


def closed(completion: Completion, schema: Schema) -> Iterator[Reading]:
    """The answer with its last brackets, if nothing else can be missing.

    So it is where the model stopped by itself, behind a whole value, and every object that is open
    has all its properties, every list that is open all the items it may have. Anything less could
    be half of an answer.
    """
    if completion.finish_reason != "stop":
        return
    partial = PartialObject()
    partial.feed(completion.text)
    opened = partial.without_brackets()
    if not opened:
        return
    form = normal_form(schema)
    if _is_all_offered(form) and _is_full(opened, form.shape):
        yield Reading(json.dumps(partial.view()), ("closed_brackets",))


def _is_all_offered(form: NormalForm) -> bool:
    """Whether the shape has all that the schema allows: nothing cut, and nothing left out."""
    return all("not enforced" in what or "null is not offered" in what for what in form.relaxed)


def _is_full(
    opened: list[tuple[dict[str, Any] | list[Any], str | None]], shape: Shape | None
) -> bool:
    """Whether nothing is missing in containers that stand one in another, the outermost first."""
    (values, key), inner = opened[0], opened[1:]
    kind = Object if isinstance(values, dict) else Array
    if isinstance(shape, Union):
        options = [option for option in shape.options if isinstance(option, kind)]
        shape = options[0] if len(options) == 1 else None
    match shape:
        case Object() if kind is Object:
            shapes = {declared.name: declared.shape for declared in shape.properties}
            is_full = bool(shapes) and shapes.keys() <= {*values, key}
            following = shapes.get(key or "")
        case Array() if kind is Array:
            is_full = len(values) + bool(inner) == shape.max_items
            following = (*shape.prefix, shape.items)[min(len(values), len(shape.prefix))]
        case _:
            return False
    return is_full and (not inner or _is_full(inner, following))
