"""JSON Schema in, a schema out that a given engine really enforces, fitted to its tokens."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from functools import lru_cache

from rung.chat import JsonObject
from rung.structured.budget import check_budget, fits_whole, fitted, shortest
from rung.structured.calibrate import Trial, trial
from rung.structured.normal import normal_form
from rung.structured.pydantic_schema import schema_of
from rung.structured.references import Schema
from rung.structured.render import Caps, Rendering, render
from rung.structured.shapes import Shape
from rung.structured.targets import Target, target_named
from rung.structured.validate import check_schema

# What is fitted to where the caller does not say.
DEFAULT_MAX_TOKENS = 1_024
# How many keys a dictionary gets whose own keys would be wrong.
_SLOTS = 4
# How many more careful forms of a schema are tried out.
_VARIANTS = 4
# Answers that cannot be shorter than this are not drawn to try a schema out.
_MAX_TRIED_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True)
class CompiledSchema:
    """A schema for one engine. It is shared by all callers: do not change it.

    `relaxed` says, each as `JSON Pointer into the answer: what`, where it differs from the
    original: what the engine will not enforce, and what was left out or cut. `is_strict` is false
    where a target with a strict mode must be asked without it; the schema is then a hint, with all
    that its author says. `characters` is the length of the
    longest answer, infinite if nothing bounds it. `calibrated` is the share of random answers under
    it that are valid under the original, once they are read.
    """

    schema: JsonObject
    relaxed: tuple[str, ...]
    is_strict: bool = False
    characters: float = math.inf
    calibrated: float = 1.0


def compile_schema(
    schema: Schema | type, target: str, max_tokens: int | None = None
) -> CompiledSchema:
    """The form of `schema` that a target enforces; `targets.TARGETS` has their names.

    `schema` is a JSON Schema, or a type that pydantic knows, such as a model. The result has no
    references and no keyword that the target does not know. An answer under it is valid under the
    original, apart from what `relaxed` lists and from nulls that "openai" gives for optional
    properties: validate every answer against the original. For engines that are bounded, the
    longest answer fits `max_tokens` at one character a token; the author's own bounds are narrowed
    for that, but never below their minima, and never widened. Property order is kept.

    Raises `SchemaError` if it is no schema, refers outside itself, or nothing can satisfy it, and
    `BudgetError`, which is one, if it is certain that no answer can fit `max_tokens`.
    """
    given = schema_of(schema)
    check_schema(given)
    return _compiled(json.dumps(given), target_named(target), max_tokens)


def tokens_needed(compiled: CompiledSchema) -> int | None:
    """With so many tokens the longest answer is sure to fit; None if nothing bounds it."""
    return None if math.isinf(compiled.characters) else math.ceil(compiled.characters)


@lru_cache(maxsize=256)
def _compiled(text: str, target: Target, max_tokens: int | None) -> CompiledSchema:
    schema = json.loads(text)
    form = normal_form(schema)
    if max_tokens is not None:
        check_budget(form.shape, target, max_tokens)
    room = max_tokens or DEFAULT_MAX_TOKENS
    if target.is_bounded:
        while form.recursion and not fits_whole(form.shape, target, room):
            # A shallower tree is worth more than a deep one whose nodes lack their optional parts.
            form = normal_form(schema, form.recursion - 1)
    if shortest(form.shape) > _MAX_TRIED_CHARACTERS:
        rendering, found = _plain(form.shape, target, room), Trial(1)
    else:
        rendering, found = _calibrated(form.shape, target, room, schema)
    relaxed = [*form.relaxed, *rendering.relaxed]
    if found.share < 1:
        relaxed.append(f"/: {found.share:.0%} of random answers are valid under the original")
    return CompiledSchema(
        rendering.schema,
        tuple(dict.fromkeys(relaxed)),
        rendering.is_strict,
        rendering.characters,
        found.share,
    )


def _calibrated(
    shape: Shape, target: Target, max_tokens: int, schema: Schema
) -> tuple[Rendering, Trial]:
    """The first variant of which all random answers are valid, else the best, plain ones first.

    Engines without bounds get the plain one: their models are shown the schema and what it means,
    and are held to it by validation, so parts that they may well get right are not taken away.
    """
    caps = Caps()
    best = _plain(shape, target, max_tokens)
    found = best_trial = trial(best.schema, schema)
    for _ in range(_VARIANTS):
        if best_trial.share == 1 or not target.is_bounded:
            break
        # First with care about keys and lengths, then without the optional parts that went wrong.
        omitted = _more_omitted(caps.omitted, found.places) if caps.is_careful else caps.omitted
        caps = replace(caps, slots=_SLOTS, is_careful=True, omitted=omitted)
        rendering = fitted(shape, target, max_tokens, caps)
        found = trial(rendering.schema, schema)
        if found.share > best_trial.share:
            best, best_trial = rendering, found
    return best, best_trial


def _plain(shape: Shape, target: Target, max_tokens: int) -> Rendering:
    if target.is_bounded:
        return fitted(shape, target, max_tokens, Caps())
    return render(shape, target, Caps())  # hosted models end their answers by themselves


def _more_omitted(omitted: frozenset[str], places: frozenset[str]) -> frozenset[str]:
    """With each place that went wrong, or, where it is left out in vain, what is around it."""
    more = set(omitted)
    for place in places:
        while place and place in omitted:
            place = place.rpartition("/")[0]
        more.add(place)
    return frozenset(more)
