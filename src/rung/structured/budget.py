"""Fitting answers to the tokens of a call: the roomiest bounds under which a whole answer fits.

Tokens are counted twice over. To be *sure* that an answer fits, a token is one character: that is
what digits, rare letters and loops of small models cost. To be sure that none can, a token is
four: no tokenizer does better over a whole JSON text.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from dataclasses import replace
from typing import Any

from rung.errors import SchemaError
from rung.structured.leaves import length_of
from rung.structured.patterns import rewrite
from rung.structured.render import Caps, Rendering, render
from rung.structured.shapes import Anything, Array, Number, Object, Shape, Text, Union, Values
from rung.structured.targets import TARGETS, Target

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
_SMALLER = ((16, 1), (8, 1), (8, 0))
# How many optional properties an object keeps, and whether optional dictionaries: what is tried in
# turn until an answer fits with strings and arrays at their tightest.
_STAGES = (
    (None, True),
    *((optional, False) for optional in (None, 16, 12, 8, 6, 5, 4, 3, 2, 1, 0)),
)
_MOST_CHARACTERS_A_TOKEN = 4
_PATTERN_ROOM = 256
_EMPTY_KEY = len('"":,')


class BudgetError(SchemaError):
    """The shortest answer that a schema allows does not fit the tokens of the call.

    With `tokens_needed` tokens, its required parts are sure to.
    """

    def __init__(self, max_tokens: int, tokens_needed: int) -> None:
        super().__init__(
            f"the required parts of the schema cannot fit {max_tokens} tokens: "
            f"they need up to {tokens_needed}; raise max_tokens, or ask for less in one call"
        )
        self.max_tokens = max_tokens
        self.tokens_needed = tokens_needed


def fitted(shape: Shape, target: Target, max_tokens: int, caps: Caps) -> Rendering:
    """The roomiest rendering within `caps` whose longest answer is sure to fit `max_tokens`.

    Required parts come first: optional ones go before any of them is cut to less than is usual,
    and all keep what their author asks for at least. What is not sure to fit even so is given as
    small as it gets, and says in `relaxed` what it may need.
    """
    renderings: dict[Caps, Rendering] = {}

    def fits(candidate: Caps) -> bool:
        renderings[candidate] = render(shape, target, candidate)
        return renderings[candidate].characters <= max_tokens

    def first(candidates: list[Caps]) -> Caps | None:
        """The first that fits, where all after it do too; often it is the very first."""
        index = 0 if fits(candidates[0]) else bisect_left(candidates, True, lo=1, key=fits)
        return candidates[index] if index < len(candidates) else None

    stage = first([_room(caps, _TIGHTEST, kept, has_open) for kept, has_open in _STAGES])
    if stage is not None:
        rooms = [_room(stage, room, stage.optional, stage.has_open) for room in _ROOMS]
        return renderings[first(rooms) or stage]
    smaller = [_room(caps, room, 0, False) for room in _SMALLER]
    smallest = replace(smaller[-1], has_keys=False)
    found = first([*smaller, smallest])
    if found is not None:
        return renderings[found]
    rendering = renderings[smallest]
    cause = f"/: may not fit {max_tokens} tokens; {math.ceil(rendering.characters)} are sure to do"
    return replace(rendering, relaxed=(*rendering.relaxed, cause))


def fits_whole(shape: Shape, target: Target, max_tokens: int) -> bool:
    """Whether an answer with all its optional parts but dictionaries can fit."""
    return render(shape, target, _room(Caps(), _TIGHTEST, None, False)).characters <= max_tokens


def check_budget(shape: Shape, target: Target, max_tokens: int) -> None:
    """Raises `BudgetError` if it is certain that no answer fits `max_tokens`."""
    if shortest(shape) > max_tokens * _MOST_CHARACTERS_A_TOKEN:
        # Where nothing bounds an answer, it is reckoned with the bounds that others are given.
        bounded = target if target.is_bounded else TARGETS["generic"]
        smallest = replace(_room(Caps(), _SMALLER[-1], 0, False), has_keys=False)
        raise BudgetError(max_tokens, math.ceil(render(shape, bounded, smallest).characters))


def shortest(shape: Shape) -> int:
    """No answer has fewer characters than this."""
    match shape:
        case Values():
            return min(map(_least, shape.values))
        case Text():
            found = [rewrite(pattern, 0, _PATTERN_ROOM) for pattern in shape.patterns]
            return max([shape.min_length, *(one.shortest for one in found if one is not None)]) + 2
        case Array():
            prefix = shape.prefix[: shape.min_items]
            more = (shape.min_items - len(prefix)) * (1 + shortest(shape.items or Anything()))
            return 1 + max(1, more + sum(shortest(item) + 1 for item in prefix))
        case Object():
            required = [declared for declared in shape.properties if declared.is_required]
            pairs = sum(length_of(one.name) + 2 + shortest(one.shape) for one in required)
            entries = 0 if shape.extra is None else shape.min_properties
            return 1 + max(1, pairs + entries * (_EMPTY_KEY + shortest(shape.extra or Anything())))
        case Union():
            return min(map(shortest, shape.options))
        case Anything() | Number():
            return 1


def _least(value: Any) -> int:
    """The characters of a value as JSON without white space."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _room(caps: Caps, room: tuple[int, int], optional: int | None, has_open: bool) -> Caps:
    characters, items = room
    return replace(caps, characters=characters, items=items, optional=optional, has_open=has_open)
