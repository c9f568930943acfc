"""JSON out of text that has more in it than JSON, or writes it as JavaScript and Python do.

Nothing here guesses: what could be read in two ways, or might be half of something, is left alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from rung.chat import Completion
from rung.structured.parse import MAX_NESTING, nesting
from rung.structured.syntax import rewritten

_THINKING = re.compile(r"^\s*<(think|thinking)>.*?</\1>", re.DOTALL)
_UNCLOSED_THINKING = re.compile(r"^\s*<(think|thinking)>")
_END_OF_THINKING = re.compile(r"</(?:think|thinking)>")
_HAS_THINKING = re.compile(r"^<(think|thinking)>|</(think|thinking)>")
_JSON_STARTS = ("[", "{", '"')
_BRACKET = re.compile(r"[\[{]")
_JSON_BRACKET = re.compile(r"[\[{]\s*[\"'\[{\-\d]")
_FENCE = re.compile(r"```[\w+-]*[ \t]*\n?(.*?)(?:```|\Z)", re.DOTALL)
_MAX_STARTS = 200


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


def _unwrapped(reading: Reading) -> Iterator[Reading]:
    text = reading.text.strip().lstrip("\ufeff")
    yield Reading(text, reading.steps)
    # Tags and fences inside a JSON text, whole or cut off, are part of some string in it.
    if text[:1] not in _JSON_STARTS and _HAS_THINKING.search(text):
        text = _without_thinking(text)
        reading = Reading(text, (*reading.steps, "stripped_thinking"))
        yield reading
    whole, fenced = reading, _only_fence(text)
    if fenced is not None:
        reading = Reading(fenced, (*reading.steps, "stripped_fence"))
        yield reading
    inner = _only_value(text)
    if inner is not None:
        yield Reading(inner, (*whole.steps, "stripped_text"))
    yield from _rewritten(reading)


def _without_thinking(text: str) -> str:
    """The text after its thinking, whose first tag may be missing; "" if it never ends."""
    stripped = _THINKING.sub("", text, count=1)
    if _UNCLOSED_THINKING.match(stripped):
        return ""
    return _END_OF_THINKING.split(stripped)[-1].strip()


def _only_fence(text: str) -> str | None:
    """What is inside the one code fence of a text, unless JSON begins before it."""
    fenced = list(_FENCE.finditer(text))
    if len(fenced) != 1 or set("[{") & set(text[: fenced[0].start()]):
        return None
    return fenced[0][1].strip()


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


def _rewritten(reading: Reading) -> Iterator[Reading]:
    """What stands between the first bracket and the last, with its syntax made that of JSON."""
    text = reading.text.strip().lstrip("\ufeff")
    first = _BRACKET.search(text)
    end = max(text.rfind("]"), text.rfind("}")) + 1
    if first is None or end <= first.start() or _BRACKET.search(text, end):
        return  # nothing that is closed, or something after it that is not
    value = text[first.start() : end]
    stripped = ("stripped_text",) if value != text else ()
    if (mended := rewritten(value)) != value:
        yield Reading(mended, (*reading.steps, *stripped, "mended_syntax"))
