"""From a shape to the JSON Schema that a target enforces, with the length of its longest answer."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from rung.chat import JsonObject
from rung.structured.formats import FORMATS
from rung.structured.grid import grid
from rung.structured.patterns import Fitted, rewrite
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
    is_bounded,
)
from rung.structured.targets import Target

MAX_VALUES = 1_000
# What a decimal may take under llama.cpp's grammar: 16 digits, a point, 16 more, and an exponent.
_DECIMAL_CHARACTERS = 52
_INTEGER_CHARACTERS = 17
# What goes with values: punctuation, and the line ends and indents that models like to write.
_BRACKETS = 5
_ITEM = 4
_PAIR = 6
# What a dictionary is taken to need where it has to stay, for no grammar bounds its size.
_ENTRIES = 4
_KEY_CHARACTERS = 24
# Longer patterns than this are not offered, whatever the room.
_MAX_PATTERN_CHARACTERS = 256


@dataclass(frozen=True, slots=True)
class Caps:
    """Bounds for what the author left open; None leaves it open.

    `optional` is how many optional properties an object keeps. `has_open` keeps optional
    dictionaries, whose size no grammar bounds.
    """

    characters: int | None = None
    items: int | None = None
    optional: int | None = None
    has_open: bool = True


@dataclass(frozen=True, slots=True)
class Rendering:
    """`characters` is the length of the longest answer, with its usual white space."""

    schema: JsonObject
    characters: float
    relaxed: tuple[str, ...]
    is_strict: bool


def render(shape: Shape, target: Target, caps: Caps) -> Rendering:
    """The schema of `shape` for `target`. Any value at all is taken to mean an object."""
    root = Object(extra=Anything()) if isinstance(shape, Anything) else shape
    renderer = _Renderer(target, caps)
    schema, characters = renderer.render(root, "")
    if not isinstance(root, Object):
        renderer.loosen("", "strict mode needs one object at the root, so it is off")
    return Rendering(schema, characters, tuple(renderer.relaxed), renderer.is_strict)


class _Renderer:
    def __init__(self, target: Target, caps: Caps) -> None:
        self.relaxed: list[str] = []
        self.is_strict = target.is_closed
        self._target = target
        self._caps = caps

    def render(self, shape: Shape, pointer: str) -> tuple[JsonObject, float]:
        """The schema, and the characters of its longest answer."""
        schema, characters = self._rendered(shape, pointer)
        if refused := sorted(self._target.refused & schema.keys()):
            self._relax(pointer, f"{', '.join(refused)}: not enforced by this engine")
            schema = {name: value for name, value in schema.items() if name not in refused}
        return schema, characters

    def _rendered(self, shape: Shape, pointer: str) -> tuple[JsonObject, float]:
        match shape:
            case Anything():
                self._relax(pointer, "any value: objects are not offered")
                return self.render(_SIMPLE, pointer)
            case Values():
                return self._values(shape, pointer)
            case Text():
                return self._text(shape, pointer)
            case Number():
                return self._number(shape, pointer)
            case Array():
                return self._array(shape, pointer)
            case Object():
                return self._object(shape, pointer)
            case Union():
                options = [self.render(option, pointer) for option in shape.options]
                return {"anyOf": [schema for schema, _ in options]}, max(n for _, n in options)

    def loosen(self, pointer: str, why: str) -> None:
        if self.is_strict:
            self.is_strict = False
            self._relax(pointer, why)

    def _relax(self, pointer: str, what: str) -> None:
        self.relaxed.append(f"{pointer or '/'}: {what}")

    def _values(self, shape: Values, pointer: str) -> tuple[JsonObject, float]:
        values = shape.values[:MAX_VALUES]
        if len(shape.values) > len(values):
            self._relax(pointer, f"only the first {MAX_VALUES} listed values are offered")
        characters = max(len(json.dumps(value, ensure_ascii=False)) for value in values)
        if values == (None,):
            return {"type": "null"}, characters
        if len(values) == 2 and all(isinstance(value, bool) for value in values):
            return {"type": "boolean"}, characters
        named = {"type": "string"} if all(isinstance(value, str) for value in values) else {}
        return {**named, "enum": list(values)}, characters

    def _text(self, shape: Text, pointer: str) -> tuple[JsonObject, float]:
        cap = self._caps.characters
        longest = shape.max_length
        if cap is not None and (longest is None or longest > cap):
            longest = max(cap, shape.min_length)
        schema: JsonObject = {"type": "string"}
        bounds = {"minLength": shape.min_length or None, "maxLength": longest}
        if self._target.has_plain_patterns:
            fitted = self._pattern(shape, longest, pointer)
            if fitted is not None:
                return {**schema, "pattern": fitted.pattern}, fitted.longest + 2
        else:
            schema |= self._native_pattern(shape, pointer)
        if self._target.has_lengths:
            schema |= {keyword: bound for keyword, bound in bounds.items() if bound is not None}
        elif any(bound is not None for bound in bounds.values()):
            self._relax(pointer, "minLength and maxLength: are not enforced")
        return schema, math.inf if longest is None else longest + 2

    def _pattern(self, shape: Text, longest: int | None, pointer: str) -> Fitted | None:
        """One rewritten pattern that stands for the pattern or format of a string."""
        known = [name for name in shape.formats if name in FORMATS]
        wanted = [("pattern", pattern) for pattern in shape.patterns]
        wanted += [(f"format {name}", FORMATS[name]) for name in known]
        fitted = None
        room = min(longest or _MAX_PATTERN_CHARACTERS, _MAX_PATTERN_CHARACTERS)
        for what, pattern in wanted:
            found = rewrite(pattern, shape.min_length, room) if fitted is None else None
            if found is None:
                self._relax(pointer, f"{what}: is not enforced")
            fitted = fitted or found
        if fitted is None:
            return None
        if fitted.shortest < shape.min_length:
            self._relax(pointer, f"minLength {shape.min_length}: is not enforced")
        if shape.max_length is not None and fitted.longest > shape.max_length:
            self._relax(pointer, f"maxLength {shape.max_length}: is not enforced")
        return fitted

    def _native_pattern(self, shape: Text, pointer: str) -> JsonObject:
        found: JsonObject = {}
        for pattern in shape.patterns:
            # What cannot be rewritten has parts, such as lookaround, that engines refuse.
            if "pattern" in found or rewrite(pattern, 0, _MAX_PATTERN_CHARACTERS) is None:
                self._relax(pointer, "pattern: is not enforced")
            else:
                found["pattern"] = pattern
        for name in shape.formats:
            if name in self._target.formats and not found:
                found["format"] = name
            elif name in FORMATS:
                self._relax(pointer, f"format {name}: is not enforced")
        return found

    def _number(self, shape: Number, pointer: str) -> tuple[JsonObject, float]:
        has_bounds = shape.low is not None or shape.high is not None
        is_hard = bool(shape.multiples) or (has_bounds and not shape.is_whole)
        if is_hard and not self._target.has_decimal_bounds:
            values = grid(shape)
            if values:
                return self._values(Values(values), pointer)
            self._relax(pointer, "bounds or multiples of the number: are not enforced")
        bounds = {
            "exclusiveMinimum" if shape.is_low_open else "minimum": shape.low,
            "exclusiveMaximum" if shape.is_high_open else "maximum": shape.high,
        }
        given = {keyword: bound for keyword, bound in bounds.items() if bound is not None}
        kept = {k: bound for k, bound in given.items() if abs(bound) <= self._target.max_integer}
        if len(kept) < len(given):
            self._relax(pointer, "bounds that large: are not enforced")
        schema: JsonObject = {"type": "integer" if shape.is_whole else "number", **kept}
        if len(shape.multiples) == 1:
            schema["multipleOf"] = shape.multiples[0]
        elif shape.multiples:
            self._relax(pointer, "multipleOf: is not enforced")
        if not shape.is_whole:
            return schema, _DECIMAL_CHARACTERS
        is_short = len(kept) == 2
        return schema, max(map(_width, kept.values())) if is_short else _INTEGER_CHARACTERS

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
            schema["minItems"] = shape.min_items
        if longest is not None:
            schema["maxItems"] = longest
        return schema, _BRACKETS + (math.inf if longest is None else longest * (characters + _ITEM))

    def _tuple(self, shape: Array, pointer: str) -> tuple[JsonObject, float]:
        """An array whose first items differ: of one length, for that is what engines can do."""
        length = len(shape.prefix) if shape.max_items is None else shape.max_items
        length = max(shape.min_items, min(length, len(shape.prefix)))
        more = [shape.items] * (length - len(shape.prefix)) if shape.items is not None else []
        shapes = [*shape.prefix[:length], *more]
        rendered = [self.render(item, f"{pointer}/{i}") for i, item in enumerate(shapes)]
        characters = _BRACKETS + sum(n + _ITEM for _, n in rendered)
        if shape.is_unique:
            self._relax(pointer, "uniqueItems: is not enforced")
        schema: JsonObject = {"type": "array", "minItems": length, "maxItems": length}
        if self._target.has_tuples:
            return {**schema, "prefixItems": [item for item, _ in rendered]}, characters
        self._relax(pointer, "the order of the items: is not enforced")
        options = [item for item, _ in rendered] or [{"type": "null"}]
        return {**schema, "items": {"anyOf": options}}, characters

    def _object(self, shape: Object, pointer: str) -> tuple[JsonObject, float]:
        if shape.extra is not None:
            return self._dictionary(shape, pointer)
        properties: JsonObject = {}
        required: list[str] = []
        characters: float = _BRACKETS
        kept = 0
        for declared in shape.properties:
            place = f"{pointer}/{escaped(declared.name)}"
            so_far = len(self.relaxed)
            schema, length = self._property(declared, place)
            if not declared.is_required:
                if kept == self._caps.optional or not (
                    self._caps.has_open or is_bounded(declared.shape)
                ):
                    del self.relaxed[so_far:]
                    self._relax(place, "is left out, to fit the tokens")
                    continue
                kept += 1
            properties[declared.name] = schema
            characters += len(json.dumps(declared.name, ensure_ascii=False)) + length + _PAIR
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

    def _dictionary(self, shape: Object, pointer: str) -> tuple[JsonObject, float]:
        self.loosen(pointer, "strict mode has no free keys, so it is off")
        schema: JsonObject = {"type": "object"}
        characters = 0.0
        if shape.extra is not None and not isinstance(shape.extra, Anything):
            schema["additionalProperties"], characters = self.render(shape.extra, f"{pointer}/*")
        if self._target.is_bounded:
            self._relax(pointer, "number and length of free keys: are not bounded")
        entries = math.inf if self._caps.has_open else _ENTRIES
        return schema, _BRACKETS + entries * (_KEY_CHARACTERS + characters)


_SCALAR = Union((Text(), Number(False), Values((True, False))))
_SIMPLE = Union((*_SCALAR.options, Array(items=_SCALAR), Values((None,))))


def _has_null(shape: Shape) -> bool:
    if isinstance(shape, Union):
        return any(_has_null(option) for option in shape.options)
    return isinstance(shape, Anything) or (isinstance(shape, Values) and None in shape.values)


def _width(number: float) -> int:
    return len(str(int(number)))
