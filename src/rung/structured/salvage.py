"""JSON out of text that has more in it than JSON, and small mends that leave no doubt.

Nothing here guesses: what could be read in two ways, or might be half of something, is left alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, cast

from jsonschema_rs import ValidationError

from rung.chat import Completion
from rung.structured.parse import MAX_NESTING, nesting
from rung.structured.references import Schema
from rung.structured.shapes import json_key
from rung.structured.validate import errors_of

_THINKING = re.compile(r"^\s*<(think|thinking)>.*?</\1>", re.DOTALL)
_UNCLOSED_THINKING = re.compile(r"^\s*<(think|thinking)>")
_END_OF_THINKING = re.compile(r"</(?:think|thinking)>")
_HAS_THINKING = re.compile(r"^<(think|thinking)>|</(think|thinking)>")
_JSON_STARTS = ("[", "{", '"')
_BRACKET = re.compile(r"[\[{]")
_JSON_BRACKET = re.compile(r"[\[{]\s*[\"'\[{\-\d]")
_FENCE = re.compile(r"```[\w+-]*[ \t]*\n?(.*?)(?:```|\Z)", re.DOTALL)
_MAX_STARTS = 200
_MAX_ROUNDS = 10


@dataclass(frozen=True, slots=True)
class Reading:
    """A text that may be JSON, and the steps that were taken to get it."""

    text: str
    steps: tuple[str, ...] = ()


def readings(completion: Completion) -> Iterator[Reading]:
    """The texts to try, in order: the answer, what is inside it, then the reasoning."""
    yield from _unwrapped(Reading(completion.text))
    if not completion.text.strip() and completion.reasoning.strip():
        yield from _unwrapped(Reading(completion.reasoning, ("recovered_from_reasoning",)))


def mended(value: Any, schema: Schema) -> tuple[Any, tuple[str, ...]]:
    """The value made valid by unambiguous mends, and their names; as it was if that fails.

    A null for an optional property that may not be null means that it is left out (engines with a
    strict mode can say it no other way), and a repeated item where none may repeat is said once.
    """
    errors = errors_of(value, schema)
    changed = deepcopy(value) if errors else value
    mends: dict[str, None] = {}
    for _ in range(_MAX_ROUNDS):
        if not errors:
            return changed, tuple(mends)
        done = _mend(changed, errors) or _mend(changed, _causes(errors))
        if not done:
            break
        mends.update(dict.fromkeys(done))
        errors = errors_of(changed, schema)
    return value, ()


def _unwrapped(reading: Reading) -> Iterator[Reading]:
    text = reading.text.strip().lstrip("\ufeff")
    yield Reading(text, reading.steps)
    # Tags and fences inside a JSON text, whole or cut off, are part of some string in it.
    if text[:1] not in _JSON_STARTS and _HAS_THINKING.search(text):
        text = _without_thinking(text)
        reading = Reading(text, (*reading.steps, "stripped_thinking"))
        yield reading
    fenced = list(_FENCE.finditer(text))
    if len(fenced) == 1 and not set("[{") & set(text[: fenced[0].start()]):
        yield Reading(fenced[0][1].strip(), (*reading.steps, "stripped_fence"))
    inner = _only_value(text)
    if inner is not None:
        yield Reading(inner, (*reading.steps, "stripped_text"))


def _without_thinking(text: str) -> str:
    """The text after its thinking, whose first tag may be missing; "" if it never ends."""
    stripped = _THINKING.sub("", text, count=1)
    if _UNCLOSED_THINKING.match(stripped):
        return ""
    return _END_OF_THINKING.split(stripped)[-1].strip()


def _only_value(text: str) -> str | None:
    """The one JSON object or array in a text, or None if there are none or several."""
    if nesting(text) > MAX_NESTING:
        return None
    found: list[str] = []
    decoder = json.JSONDecoder()
    at = 0
    for _ in range(_MAX_STARTS):
        start = _BRACKET.search(text, at)
        if start is None:
            return found[0] if len(found) == 1 else None
        try:
            at = decoder.raw_decode(text, start.start())[1]
            found.append(text[start.start() : at])
        except ValueError:
            if _JSON_BRACKET.match(text, start.start()):
                return None  # JSON that is cut off or wrong: its parts are not the answer
            at = start.end()
    return None


def _mend(value: Any, errors: Iterable[ValidationError]) -> list[str]:
    """Mends `value` in place where an error allows; returns what was done."""
    done: list[str] = []
    for error in errors:
        *above, last = error.instance_path or [None]
        holder = _at(value, cast("list[str | int]", above))
        if error.kind.name == "uniqueItems":
            items = _at(value, error.instance_path)
            if isinstance(items, list):
                found = cast("list[Any]", items)
                first: dict[str, Any] = {}
                for item in found:
                    first.setdefault(json_key(item), item)
                found[:] = first.values()
                done.append("dropped_repeated_items")
        elif isinstance(holder, dict) and last in holder and holder[last] is None:
            del holder[last]
            done.append("dropped_nulls")
    return done


def _causes(errors: Iterable[ValidationError]) -> Iterator[ValidationError]:
    """The errors inside the branches of `anyOf` and `oneOf`."""
    for error in errors:
        for branch in cast("list[list[ValidationError]]", getattr(error.kind, "context", [])):
            yield from branch
            yield from _causes(branch)


def _at(value: Any, path: list[str | int]) -> Any:
    for key in path:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return None
    return value
