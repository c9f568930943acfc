"""From a shape to the JSON Schema that a target enforces, with the length of its longest answer."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from rung.chat import JsonObject
from rung.structured.dictionaries import (
    ENTRIES,
    bounded_keys,
    fixed_keys,
    free_keys,
    hinted_keys,
)
from rung.structured.leaves import Leaf, length_of, number_leaf, values_leaf, whole
from rung.structured.limits import exceeded
from rung.structured.references import escaped
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
    exactly,
    is_bounded,
    union,
)
from rung.structured.targets import Target
from rung.structured.texts import text_leaf

# What goes with values: punctuation, and the line ends and indents that models like to write.
_BRACKETS = 5
_ITEM = 4
_PAIR = 6
# So many items are written out one by one.
_MAX_POSITIONS = 100


@dataclass(frozen=True, slots=True)
class Caps:
    """Bounds for what the author left open; None leaves it open.

    `optional` is how many optional properties an object keeps. `has_open` keeps optional
    dictionaries, whose size most grammars do not bound; without `has_keys` they are all empty. With
    `slots`, a dictionary with rules for its keys gets so many fixed ones that follow them.
    `is_careful` gives up strings that a pattern allows and whose length may be wrong.
    Optional parts at the places `omitted` (pointers with `*` for items) are left out. Without
    `has_decimals`, a decimal with bounds is a whole number where one lies within them.
    """

    characters: int | None = None
    items: int | None = None
    optional: int | None = None
    has_open: bool = True
    has_keys: bool = True
    slots: int | None = None
    is_careful: bool = False
    omitted: frozenset[str] = frozenset()
    has_decimals: bool = True


@dataclass(frozen=True, slots=True)
class Rendering:
    """`characters` is the length of the longest answer, with its usual white space."""

    schema: JsonObject
    characters: float
    relaxed: tuple[str, ...]
    is_strict: bool


def render(shape: Shape, target: Target, caps: Caps) -> Rendering:
    """The schema of `shape` for `target`. Any value at all is taken to mean an object.

    Where the target has a strict mode that cannot take it, it is written as a hint.
    """
    if target.max_characters is not None and (caps.characters or math.inf) > target.max_characters:
        caps = replace(caps, characters=target.max_characters)
    root = Object(extra=Anything()) if isinstance(shape, Anything) else shape
    renderer = _Renderer(target, caps)
    schema, characters = renderer.render(root, "")
    if not isinstance(root, Object):
        renderer.loosen("", "strict mode needs one object at the root, so it is off")
    if target.limits and (excess := exceeded(schema, target.limits)):
        renderer.loosen("", f"strict mode does not take {excess}, so it is off")
    if renderer.off:
        hint = render(root, target.hint or target, caps)
        return replace(hint, relaxed=(renderer.off, *hint.relaxed))
    schema = {**(target.settings or {}), **schema}
    return Rendering(schema, characters, tuple(renderer.relaxed), target.is_closed)


class _Renderer:
    """Renders one shape; `off` says why strict mode cannot take it, if it cannot."""

    def __init__(self, target: Target, caps: Caps) -> None:
        self.relaxed: list[str] = []
        self.off = ""
        self._target = target
        self._caps = caps

    def render(self, shape: Shape, pointer: str) -> tuple[JsonObject, float]:
        """The schema, and the characters of its longest answer."""
        match shape:
            case Anything() if self._target.is_hint:
                return {}, math.inf
            case Anything():
                self._relax(pointer, "any value: objects are not offered")
                return self.render(_SIMPLE, pointer)
            case Values():
                return self._values(shape, pointer)
            case Text():
                return self._leaf(self._text(shape), pointer)
            case Number():
                number = shape if self._caps.has_decimals else whole(shape)
                return self._leaf(number_leaf(number, self._target), pointer)
            case Array():
                return self._array(shape, pointer)
            case Object():
                return self._object(shape, pointer)
            case Union():
                options = [self.render(option, pointer) for option in shape.options]
                return {"anyOf": [schema for schema, _ in options]}, max(n for _, n in options)

    def loosen(self, pointer: str, why: str) -> None:
        if self._target.is_closed and not self.off:
            self.off = f"{pointer or '/'}: {why}"

    def _values(self, shape: Values, pointer: str) -> tuple[JsonObject, float]:
        flat = tuple(value for value in shape.values if not isinstance(value, list | dict))
        if self._target.has_deep_values or len(flat) == len(shape.values):
            return self._leaf(values_leaf(shape), pointer)
        deep = [exactly(value) for value in shape.values if isinstance(value, list | dict)]
        return self.render(union([*([Values(flat)] if flat else []), *deep]) or shape, pointer)

    def _relax(self, pointer: str, what: str) -> None:
        self.relaxed.append(f"{pointer or '/'}: {what}")

    def _text(self, shape: Text) -> Leaf:
        return text_leaf(shape, self._target, self._caps.characters, self._caps.is_careful)

    def _leaf(self, leaf: Leaf, pointer: str) -> tuple[JsonObject, float]:
        for what in leaf.relaxed:
            self._relax(pointer, what)
        # Leaves are shared by all who ask for the same shape.
        return dict(leaf.schema), leaf.characters

    def _array(self, shape: Array, pointer: str) -> tuple[JsonObject, float]:
        if shape.prefix:
            return self._tuple(shape, pointer)
        longest = shape.max_items
        cap = self._caps.items
        if cap is not None and (longest is None or longest > cap):
            longest = max(cap, shape.min_items)
        if shape.is_unique and longest != 1 and longest != 0:
            self._relax(pointer, "uniqueItems: is not enforced")
        items, characters = {"type": "null"}, 0.0  # for an array that is always empty
        if shape.items is not None and longest != 0:
            items, characters = self.render(shape.items, f"{pointer}/*")
        schema: JsonObject = {"type": "array", "items": items}
        if shape.min_items:
            schema["minItems"] = self._min_items(shape.min_items, pointer)
        if longest is not None:
            schema |= self._max_items(longest, pointer)
        return schema, _BRACKETS + (math.inf if longest is None else longest * (characters + _ITEM))

    def _tuple(self, shape: Array, pointer: str) -> tuple[JsonObject, float]:
        """An array whose first items differ: of one length, for that is what engines can do."""
        length = len(shape.prefix) if shape.max_items is None else shape.max_items
        length = max(shape.min_items, min(length, len(shape.prefix)))
        length = min(length, max(len(shape.prefix), _MAX_POSITIONS))
        if length < shape.min_items:
            self._relax(pointer, f"minItems {shape.min_items}: is not enforced")
        more = [shape.items] * (length - len(shape.prefix)) if shape.items is not None else []
        shapes = [*shape.prefix[:length], *more]
        rendered = [self.render(item, f"{pointer}/{i}") for i, item in enumerate(shapes)]
        characters = _BRACKETS + sum(n + _ITEM for _, n in rendered)
        if shape.is_unique:
            self._relax(pointer, "uniqueItems: is not enforced")
        least = self._min_items(length, pointer)
        most = self._max_items(length, pointer)
        schema: JsonObject = {"type": "array", "minItems": least, **most}
        if self._target.has_tuples:
            return {**schema, "prefixItems": [item for item, _ in rendered]}, characters
        self._relax(pointer, "the order of the items: is not enforced")
        options = [item for item, _ in rendered] or [{"type": "null"}]
        return {**schema, "items": {"anyOf": options}}, characters

    def _min_items(self, least: int, pointer: str) -> int:
        """As many as asked for, or as the target can ask for."""
        most = self._target.max_min_items
        if most is None or least <= most:
            return least
        self._relax(pointer, f"minItems {least}: is not enforced")
        return most

    def _max_items(self, most: int, pointer: str) -> JsonObject:
        if self._target.has_max_items:
            return {"maxItems": most}
        self._relax(pointer, f"maxItems {most}: is not enforced")
        return {}

    def _object(self, shape: Object, pointer: str) -> tuple[JsonObject, float]:
        if shape.extra is not None:
            return self._dictionary(shape, shape.extra, pointer)
        properties: JsonObject = {}
        required: list[str] = []
        characters: float = _BRACKETS
        kept = 0
        for declared in shape.properties:
            place = f"{pointer}/{escaped(declared.name)}"
            so_far = len(self.relaxed)
            schema, length = self._property(declared, place)
            if not declared.is_required:
                why = self._why_not(declared, place, kept)
                if why is not None:
                    del self.relaxed[so_far:]
                    self._relax(place, why)
                    continue
                kept += 1
            properties[declared.name] = schema
            characters += length_of(declared.name) + length + _PAIR
            if declared.is_required or self._target.is_strict:
                required.append(declared.name)
        named = {"required": required} if required else {}
        opened: JsonObject = {"type": "object", "properties": properties, **named}
        return {**opened, "additionalProperties": False}, characters

    def _property(self, declared: Property, pointer: str) -> tuple[JsonObject, float]:
        shape = declared.shape
        if self._target.is_strict and not declared.is_required and not _has_null(shape):
            # Strict mode knows no optional property; the reader takes such a null as left out.
            shape = Union((shape, Values((None,))))
        schema, length = self.render(shape, pointer)
        if self._target.has_notes and declared.note:
            schema = {"description": declared.note, **schema}
        return schema, length

    def _why_not(self, declared: Property, pointer: str, kept: int) -> str | None:
        """Why an optional property is left out, if it is."""
        if pointer in self._caps.omitted:
            return "is left out, for this engine would get it wrong"
        is_open = not self._target.has_key_patterns and not is_bounded(declared.shape)
        is_runaway = is_open and not self._caps.has_open
        if is_runaway or kept == self._caps.optional:
            return "is left out, to fit the tokens"
        return None

    def _dictionary(self, shape: Object, extra: Shape, pointer: str) -> tuple[JsonObject, float]:
        self.loosen(pointer, "strict mode has no free keys, so it is off")
        is_ruled = shape.key is not None or shape.min_properties or shape.max_properties is not None
        slots = self._caps.slots if is_ruled else None
        slots = slots if self._caps.has_keys else 0
        if self._target.is_hint:
            return self._leaf(
                hinted_keys(shape, Leaf(*self.render(extra, f"{pointer}/*"))), pointer
            )
        is_free = slots is None and not self._target.has_key_patterns
        if isinstance(extra, Anything) and is_free:
            value = Leaf({}, 0.0)
        else:
            value = Leaf(*self.render(extra, f"{pointer}/*"))
        if slots is not None:
            return self._leaf(fixed_keys(shape, value, slots), pointer)
        if not is_free:
            return self._leaf(bounded_keys(shape, value, self._caps.items), pointer)
        if self._target.is_bounded:
            self._relax(pointer, "number and length of free keys: are not bounded")
        entries = math.inf if self._caps.has_open else ENTRIES
        return self._leaf(free_keys(shape, value, entries), pointer)


_SCALAR = Union((Text(), Number(False), Values((True, False))))
_SIMPLE = Union((*_SCALAR.options, Array(items=_SCALAR), Values((None,))))


def _has_null(shape: Shape) -> bool:
    if isinstance(shape, Union):
        return any(_has_null(option) for option in shape.options)
    return isinstance(shape, Anything) or (isinstance(shape, Values) and None in shape.values)
