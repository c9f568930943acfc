"""JSON Schema in, a schema out that a given engine really enforces, fitted to its tokens."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable
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
_SMALLER = ((16, 1), (8, 1))
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
    """The form of `schema` that `target` ("llamacpp", "openai", "anthropic", "generic") enforces.

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
    tightest = Caps(*_TIGHTEST, has_open=False)
    return render(shape, target, tightest).characters <= max_tokens


def _fitted(shape: Shape, target: Target, max_tokens: int) -> Rendering:
    """The roomiest rendering whose longest answer has at most `max_tokens` characters."""

    def fits(caps: Caps) -> bool:
        return render(shape, target, caps).characters <= max_tokens

    stages = [Caps(*_TIGHTEST, optional, has_open) for optional, has_open in _STAGES]
    stage = _first(stages, fits)
    if stage is not None:
        rooms = [replace(stage, characters=room[0], items=room[1]) for room in _ROOMS]
        return render(shape, target, _first(rooms, fits) or stage)
    smaller = [Caps(*room, optional=0, has_open=False) for room in _SMALLER]
    caps = _first(smaller, fits)
    if caps is not None:
        return render(shape, target, caps)
    rendering = render(shape, target, smaller[-1])
    needed = f"an answer of up to {rendering.characters:.0f} characters"
    cause = f"/: {needed} may not fit {max_tokens} tokens"
    return replace(rendering, relaxed=(*rendering.relaxed, cause))


def _first(caps: list[Caps], fits: Callable[[Caps], bool]) -> Caps | None:
    """The first caps that fit, where all after them do too."""
    index = bisect_left(caps, True, key=fits)
    return caps[index] if index < len(caps) else None
