"""A list of which some items are wrong or missing: what is right is kept, the rest asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

from rung.chat import JsonObject
from rung.structured.mend import mended_in_part
from rung.structured.normal import normal_form
from rung.structured.partial import PartialObject
from rung.structured.references import Schema
from rung.structured.render import Caps, render
from rung.structured.shapes import Array, Object, Shape, Union, json_key
from rung.structured.targets import Target
from rung.structured.validate import errors_of, violations

# What is asked for is compiled again, for whichever engine it goes to.
_ANY_ENGINE = Target(name="items", has_notes=True)
_MAX_ASKED = 100

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MissingItems:
    """An answer that is right but for some items of one list.

    `value` is the answer without those, `kept` the items that are left in the list at `path`. From
    `least` to `most` items are to be asked for; `schema` is that of an array of them. `mends` names
    what was mended in the value.
    """

    value: Any
    path: Path
    kept: tuple[Any, ...]
    least: int
    most: int
    schema: JsonObject
    is_cut_off: bool = False
    mends: tuple[str, ...] = ()


def missing_items(value: Any, schema: Schema) -> MissingItems | None:
    """What to keep of a `value` that is not valid, and what to ask for instead of the rest.

    None if more is wrong with it than items of one list, or none of them is right.
    """
    value, mends = mended_in_part(value, schema)
    found = _wrong_items(value, schema)
    if found is None:
        return None
    path, wrong = found
    items = _list_at(value, path)
    kept = tuple(item for index, item in enumerate(items) if index not in wrong)
    shape = _array_at(normal_form(schema).shape, path)
    if shape is None:
        return None
    count = max(shape.min_items, len(items)) - len(kept)
    missing = _missing(value, path, kept, shape, least=count, most=count)
    return missing and replace(missing, mends=mends)


def missing_after_cut(text: str, schema: Schema) -> MissingItems | None:
    """The same for an answer that was cut off inside a list, the last thing that it needs."""
    partial = PartialObject()
    partial.feed(text)
    path, value = partial.whole_items() or (None, None)
    value, mends = mended_in_part(value, schema)
    shape = _array_at(normal_form(schema).shape, path) if path is not None else None
    if path is None or shape is None or _wrong_items(value, schema, at=path) != (path, set()):
        return None
    kept = tuple(_list_at(value, path))
    least = max(shape.min_items - len(kept), 0)
    most = max(least, len(kept)) if shape.max_items is None else shape.max_items - len(kept)
    missing = _missing(value, path, kept, shape, least=least, most=most)
    return missing and replace(missing, is_cut_off=True, mends=mends)


def with_items(missing: MissingItems, new: list[Any], schema: Schema) -> tuple[Any, int] | None:
    """The answer with `new` items after those that were kept, and how many are lacking still.

    If the new ones do not make it valid, but it is without them, they are left out, unless it was
    cut off: then nobody would know what is missing. None if there is no valid answer.
    """
    known = {json_key(item) for item in missing.kept}
    fresh = [item for item in new if json_key(item) not in known][: missing.most]
    for added in (fresh,) if missing.is_cut_off else (fresh, []):
        value = _replaced(missing.value, missing.path, [*missing.kept, *added])
        if not violations(value, schema):
            return value, max(missing.least - len(added), 0)
    return None


def right_items(value: Any, schema: Schema) -> list[Any]:
    """The items of a list that are valid, where nothing but items is wrong with it."""
    wrong = _wrong_items(value, schema)
    if not isinstance(value, list) or wrong is None or wrong[0]:
        return []
    items = cast("list[Any]", value)
    return [item for index, item in enumerate(items) if index not in wrong[1]]


def _missing(
    value: Any,
    path: Path,
    kept: tuple[Any, ...],
    shape: Array,
    *,
    least: int,
    most: int,
) -> MissingItems | None:
    most = min(most, _MAX_ASKED)
    if not kept or shape.prefix or shape.items is None or not least <= most or most < 1:
        return None
    asked = Array(items=shape.items, min_items=least, max_items=most, is_unique=shape.is_unique)
    return MissingItems(
        value=_replaced(value, path, list(kept)),
        path=path,
        kept=kept,
        least=least,
        most=most,
        schema=render(asked, _ANY_ENGINE, Caps()).schema,
    )


def _wrong_items(
    value: Any, schema: Schema, at: Path | None = None
) -> tuple[Path, set[int]] | None:
    """The path to the one list in which something is wrong, and the indexes of its wrong items.

    None if anything else is wrong, or nothing, unless the list is known to be `at` a path.
    """
    paths: set[Path] = set() if at is None else {at}
    wrong: set[int] = set()
    for error in errors_of(value, schema):
        keys = error.instance_path
        depth = next((i for i, key in enumerate(keys) if isinstance(key, int)), len(keys))
        path = tuple(str(key) for key in keys[:depth])
        paths.add(path)
        if depth < len(keys):
            wrong.add(int(keys[depth]))
        elif error.kind.name == "uniqueItems":
            wrong |= _repeats(_list_at(value, path))
        elif error.kind.name != "minItems":
            return None
    return (paths.pop(), wrong) if len(paths) == 1 else None


def _repeats(items: list[Any]) -> set[int]:
    first: dict[str, int] = {}
    return {i for i, item in enumerate(items) if first.setdefault(json_key(item), i) != i}


def _list_at(value: Any, path: Path) -> list[Any]:
    for key in path:
        value = value[key]
    return cast("list[Any]", value)


def _replaced(value: Any, path: Path, items: list[Any]) -> Any:
    """The value with another list at `path`; nothing in it is changed in place."""
    if not path:
        return items
    found = cast(JsonObject, value)
    return {**found, path[0]: _replaced(found[path[0]], path[1:], items)}


def _array_at(shape: Shape | None, path: Path) -> Array | None:
    """The array at a path of keys, in the first alternative that has one there."""
    match shape:
        case Union():
            options = (_array_at(option, path) for option in shape.options)
            return next((found for found in options if found is not None), None)
        case Object() if path:
            inner = (declared.shape for declared in shape.properties if declared.name == path[0])
            return _array_at(next(inner, shape.extra), path[1:])
        case Array() if not path:
            return shape
        case _:
            return None
