"""JSON Schema in, a schema out that a given engine really enforces, fitted to its tokens."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import lru_cache

from rung.chat import JsonObject
from rung.structured.normal import RECURSION, NormalForm, normal_form
from rung.structured.references import Schema
from rung.structured.render import Caps, Rendering, render
from rung.structured.shapes import Shape
from rung.structured.targets import Target, target_named
from rung.structured.validate import check_schema

# What is fitted to where the caller does not say.
DEFAULT_MAX_TOKENS = 1_024

# Bounds for strings (characters) and arrays (items) that the author left open, widest first.
_ROOMS = (
    (1000, 32),
    (600, 24),
    (400, 16),
    (240, 12),
    (160, 8),
    (120, 6),
    (80, 4),
    (60, 4),
    (40, 3),
)
_TIGHTEST = (24, 2)
_SMALL = (16, 1)
_MINIMAL = (8, 1)
# How many optional properties an object keeps, and whether optional dictionaries: what is tried in
# turn until an answer fits with strings and arrays at their tightest.
_STAGES = (
    (None, True),
    *((optional, False) for optional in (None, 16, 12, 8, 6, 5, 4, 3, 2, 1, 0)),
)


@dataclass(frozen=True, slots=True)
class CompiledSchema:
    """A schema for one engine. It is shared by all callers: do not change it.

    `relaxed` says, each as `JSON Pointer into the answer: what`, where it differs from the
    original: what the engine will not enforce, and what was left out or cut. `is_strict` is false
    where a target with a strict mode must be asked without it.
    """

    schema: JsonObject
    relaxed: tuple[str, ...]
    is_strict: bool = False


def compile_schema(schema: Schema, target: str, max_tokens: int | None = None) -> CompiledSchema:
    """The form of `schema` that `target` ("llamacpp", "openai", "generic") enforces.

    It has no references and no keyword that the target does not know. An answer under it is valid
    under the original, apart from what `relaxed` lists and from nulls that "openai" gives for
    optional properties: validate every answer against the original. For engines that are bounded,
    the longest answer fits `max_tokens` at one character a token; the author's own bounds are
    narrowed for that, but never below their minima, and never widened. Property order is kept.

    Raises `SchemaError` if it is no schema, refers outside itself, or nothing can satisfy it.
    """
    check_schema(schema)
    return _compiled(json.dumps(schema), target_named(target), max_tokens or DEFAULT_MAX_TOKENS)


@lru_cache(maxsize=256)
def _compiled(text: str, target: Target, max_tokens: int) -> CompiledSchema:
    schema = json.loads(text)
    form = normal_form(schema)
    if not target.is_bounded:  # hosted models end their answers by themselves
        return _joined(form, render(form.shape, target, Caps()))
    for recursion in range(RECURSION, 0, -1):
        # A shallower tree is worth more than a deep one whose nodes lack their optional parts.
        if not form.is_recursive or _fits(form.shape, target, max_tokens):
            break
        form = normal_form(schema, recursion - 1)
    return _joined(form, _fitted(form.shape, target, max_tokens))


def _joined(form: NormalForm, rendering: Rendering) -> CompiledSchema:
    relaxed = tuple(dict.fromkeys((*form.relaxed, *rendering.relaxed)))
    return CompiledSchema(rendering.schema, relaxed, rendering.is_strict)


def _fits(shape: Shape, target: Target, max_tokens: int) -> bool:
    """Whether an answer with all its optional parts but dictionaries can fit."""
    return _render(shape, target, _TIGHTEST, None, False).characters <= max_tokens


def _fitted(shape: Shape, target: Target, max_tokens: int) -> Rendering:
    """The roomiest rendering whose longest answer has at most `max_tokens` characters."""
    for optional, has_open in _STAGES:
        if _render(shape, target, _TIGHTEST, optional, has_open).characters > max_tokens:
            continue
        for room in (*_ROOMS, _TIGHTEST):
            rendering = _render(shape, target, room, optional, has_open)
            if rendering.characters <= max_tokens:
                return rendering
    rendering = _render(shape, target, _SMALL, 0, False)
    if rendering.characters <= max_tokens:
        return rendering
    rendering = _render(shape, target, _MINIMAL, 0, False)
    if rendering.characters <= max_tokens:
        return rendering
    needed = f"an answer of up to {rendering.characters:.0f} characters"
    cause = f"/: {needed} may not fit {max_tokens} tokens"
    return replace(rendering, relaxed=(*rendering.relaxed, cause))


def _render(
    shape: Shape, target: Target, room: tuple[int, int], optional: int | None, has_open: bool
) -> Rendering:
    return render(shape, target, Caps(*room, optional=optional, has_open=has_open))
