"""What to ask a model whose answer was no valid object: one step at a time, cheapest first.

A step is a value: the request to make, and how its answer and the answer before it make one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from msgspec.structs import replace

from rung.chat import ChatRequest, Completion, JsonObject, Message
from rung.errors import EngineError, SchemaError
from rung.structured.answer import BadOutputError, require_object
from rung.structured.budget import fitted
from rung.structured.instructions import form
from rung.structured.items import (
    MissingItems,
    missing_after_cut,
    missing_items,
    right_items,
    with_items,
)
from rung.structured.normal import normal_form
from rung.structured.partial import PartialObject
from rung.structured.portable import compile_schema
from rung.structured.prompts import prompt
from rung.structured.render import Caps, render
from rung.structured.shapes import Object, Shape, Union, is_bounded, with_keys
from rung.structured.targets import target_named

CONTINUED = "continued"
ITEMS = "items_asked_again"
UNTHINKING = "thinking_turned_off"
SHORTER = "asked_shorter"
REPAIR = "repair_turn"

# How much of a wrong answer the model is shown again.
_SHOWN_CHARACTERS = 4_000
_MAX_CONTINUED = 2
_MAX_STEPS = 4
_KEY = re.compile(r'"([^"\\\x00-\x1f]{1,60})"\s*:')
_MAX_KEYS = 16
# As jsonschema-rs says it.
_OUT_OF_BOUNDS = re.compile(r"(minimum|maximum) of ")


class Asked(NamedTuple):
    """The first request, instructions and all, and the schema that an answer is judged by."""

    request: ChatRequest
    schema: JsonObject
    can_continue: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One more call. `merged` makes the answer to it the answer to the first request."""

    name: str
    request: ChatRequest
    merged: Callable[[Completion], Completion]


def first_step(asked: Asked) -> Step:
    return Step("", asked.request, _as_it_is)


def next_step(asked: Asked, failure: EngineError, taken: tuple[str, ...]) -> Step | None:
    """What to do about an answer of kind `bad_output`; None if all has been tried.

    Each step is taken once, apart from going on where an answer was cut off. The repair turn is
    the last of them, and at the latest the fifth call.
    """
    if REPAIR in taken:
        return None
    if isinstance(failure, BadOutputError) and len(taken) < _MAX_STEPS - 1:
        for step in (_continued, _items, _unthinking, _shorter):
            found = step(asked, failure)
            limit = _MAX_CONTINUED if step is _continued else 1
            if found is not None and taken.count(found.name) < limit:
                return found
    return _repair(asked, failure)


def _continued(asked: Asked, failure: BadOutputError) -> Step | None:
    """Go on where the answer was cut off, on an engine that takes its beginning."""
    said = failure.completion.text
    partial = PartialObject()
    partial.feed(said)
    is_cut_off = failure.completion.finish_reason == "length" and partial.is_open
    if not (is_cut_off and asked.can_continue):
        return None
    messages = (*asked.request.messages, Message(role="assistant", content=said))
    # What has begun is the answer: there is nothing to think about in front of it.
    think = None if asked.request.think is None else False
    return Step(
        CONTINUED,
        replace(asked.request, messages=messages, think=think),
        lambda rest: replace(rest, text=said + rest.text),
    )


def _items(asked: Asked, failure: BadOutputError) -> Step | None:
    """Keep the right items of a list, and ask for the others alone."""
    if failure.value is not None:
        missing = missing_items(failure.value, asked.schema)
    elif failure.completion.finish_reason == "length":
        missing = missing_after_cut(failure.completion.text, asked.schema)
    else:
        missing = None
    if missing is None:
        return None
    text = prompt("items").replace("{count}", _count(missing))
    text = text.replace("{list}", "/".join(missing.path)).replace("{form}", form(missing.schema))
    request = _with_turns(asked.request, _json(missing.value), text)
    return Step(
        ITEMS,
        replace(request, schema=missing.schema),
        lambda answer: _with_items(answer, missing, failure, asked.schema),
    )


def _unthinking(asked: Asked, failure: BadOutputError) -> Step | None:
    """Ask without thinking, where thinking has taken all the tokens."""
    completion = failure.completion
    is_all_thought = completion.finish_reason == "length" and not completion.text.strip()
    if not is_all_thought or not completion.reasoning or asked.request.think is False:
        return None
    return Step(UNTHINKING, replace(asked.request, think=False), _as_it_is)


def _shorter(asked: Asked, failure: BadOutputError) -> Step | None:
    """Ask for a smaller answer: in words, and by bounds for half the tokens."""
    if failure.completion.finish_reason != "length" or not failure.completion.text.strip():
        return None
    request = asked.request
    schema = request.schema
    if schema is not None and request.max_tokens is not None:
        try:
            schema = _smaller(schema, request.max_tokens // 2)
        except SchemaError:
            schema = request.schema  # it cannot be made smaller: the words have to do
    tokens = "" if request.max_tokens is None else f"{request.max_tokens:,} "
    text = prompt("shorter").replace("{tokens} ", tokens)
    # It is not shown what it said: that would be most of what it has room for.
    return Step(SHORTER, replace(_with_turns(request, "", text), schema=schema), _as_it_is)


def _smaller(schema: JsonObject, tokens: int) -> JsonObject:
    """The schema with bounds, so that an answer fits `tokens`.

    No bound holds a dictionary, so it is what ran away if there is one: it is to be empty, unless
    it is the answer itself.
    """
    shape = normal_form(schema).shape
    roots = shape.options if isinstance(shape, Union) else (shape,)
    if is_bounded(shape) or any(isinstance(root, Object) and root.extra for root in roots):
        return compile_schema(schema, "generic", tokens).schema
    caps = Caps(has_open=False, has_keys=False)
    return fitted(shape, target_named("generic"), tokens, caps).schema


def _repair(asked: Asked, failure: EngineError) -> Step:
    """Show the model its answer and what is wrong with it."""
    said, problems = "", [failure.message]
    if isinstance(failure, BadOutputError):
        said, problems = failure.completion.text[:_SHOWN_CHARACTERS], list(failure.problems)
        if failure.completion.finish_reason == "length":
            problems.append("it was cut off at the token limit: be shorter")
    text = prompt("repair").replace("{problems}", "\n".join(f"- {p}" for p in problems))
    request = _with_turns(asked.request, said, text)
    if request.schema is not None and any(_OUT_OF_BOUNDS.search(problem) for problem in problems):
        request = replace(request, schema=_without_decimals(request.schema, request.max_tokens))
    if request.schema is not None and any("is given twice" in problem for problem in problems):
        request = replace(request, schema=_keys_once(request.schema, said, request.max_tokens))
    return Step(REPAIR, request, _as_it_is)


def _keys_once(schema: JsonObject, said: str, tokens: int | None) -> JsonObject:
    """Dictionaries with free keys have those that were said, each once: no grammar sees to it."""
    names = tuple(dict.fromkeys(_KEY.findall(said)))[:_MAX_KEYS]
    return _rendered(with_keys(normal_form(schema).shape, names), tokens, Caps())


def _without_decimals(schema: JsonObject, tokens: int | None) -> JsonObject:
    """Whole numbers for decimals with bounds: grammars enforce the bounds of these alone."""
    return _rendered(normal_form(schema).shape, tokens, Caps(has_decimals=False))


def _rendered(shape: Shape, tokens: int | None, caps: Caps) -> JsonObject:
    generic = target_named("generic")
    found = render(shape, generic, caps) if tokens is None else fitted(shape, generic, tokens, caps)
    return found.schema


def _as_it_is(completion: Completion) -> Completion:
    return completion


def _with_turns(request: ChatRequest, said: str, text: str) -> ChatRequest:
    """The request with what the model said, and what is said to that."""
    *before, last = request.messages
    if said.strip():
        turns = [last, Message(role="assistant", content=said), Message(role="user", content=text)]
    elif last.role == "user":
        # Not a turn of its own: many chat templates refuse two user turns in a row.
        turns = [replace(last, content=f"{last.content}\n\n{text}")]
    else:
        turns = [last, Message(role="user", content=text)]
    return replace(request, messages=(*before, *turns))


def _with_items(
    answer: Completion, missing: MissingItems, failure: BadOutputError, schema: JsonObject
) -> Completion:
    """The whole answer, of what was kept and what is new; the old one if that is not valid."""
    new: list[Any] | None = None
    try:
        new = require_object(answer, missing.schema).parsed
    except BadOutputError as error:
        # Of a list that was cut off only a right answer says that it is whole now.
        new = None if missing.is_cut_off else right_items(error.value, missing.schema)
    whole = None if new is None else with_items(missing, new, schema)
    if whole is None:
        kept_as_it_was = failure.completion
        return replace(
            answer,
            text=kept_as_it_was.text,
            reasoning=kept_as_it_was.reasoning,
            finish_reason=kept_as_it_was.finish_reason,
        )
    value, lacking = whole
    lost = (f"items_dropped:{lacking}",) if lacking else ()
    repairs = (f"items_kept:{len(missing.kept)}", *lost, *missing.mends, *answer.repairs)
    return replace(answer, text=_json(value), finish_reason="stop", repairs=repairs)


def _count(missing: MissingItems) -> str:
    if missing.least == missing.most:
        return str(missing.least)
    return f"{missing.least} to {missing.most}" if missing.least else f"at most {missing.most}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
