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
_ANY_BRACKET = re.compile(r"[\[{\]}]")
# Words in brackets, which are no JSON in any syntax.
_ASIDE = re.compile(r"[\[{][^\[\]{}\"':,]*+[\]}]")
_FENCE = re.compile(r"```[\w+-]*[ \t]*\n?(.*?)(?:```|\Z)", re.DOTALL)
# Around a value these mean that it is a part of a greater one, of which something is lost.
_INSIDE_BEFORE = re.compile(r"(?:,|[\"']\s*:)\s*\Z")
_INSIDE_AFTER = re.compile(r"\s*[,:]")
# What thinking goes on after is no answer.
_ENDS_WITH_VALUE = re.compile(r"[\]}\"][\s`]*+\Z")
_LAST_TAG = re.compile(r"</think(?:ing)?>\s*+\Z")
_MAX_STARTS = 200
_LOOK_BACK_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Reading:
    """A text that may be JSON, and the steps that were taken to get it."""

    text: str
    steps: tuple[str, ...] = ()
    is_rewritten: bool = False


def readings(completion: Completion) -> Iterator[Reading]:
    """The texts to try, in order: the answer, what is inside it, then the reasoning."""
    yield from _unwrapped(Reading(completion.text))
    reasoning = _LAST_TAG.sub("", completion.reasoning)
    if completion.text.strip() or not _ENDS_WITH_VALUE.search(reasoning):
        return
    reading = Reading(reasoning, ("recovered_from_reasoning",))
    # Of thinking that was cut off, what it has said last may be a draft.
    yield from [reading] if completion.finish_reason == "length" else _unwrapped(reading)


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
    stripped = _THINKING.sub("", text, count=1).strip()
    if _UNCLOSED_THINKING.match(stripped):
        return ""
    if stripped[:1] in _JSON_STARTS:
        return stripped
    return _END_OF_THINKING.split(stripped)[-1].strip()


def _only_fence(text: str) -> str | None:
    """What is inside the one code fence of a text, unless there are brackets around it, too."""
    fenced = list(_FENCE.finditer(text))
    if len(fenced) != 1:
        return None
    around = text[: fenced[0].start()] + text[fenced[0].end() :]
    return None if _ANY_BRACKET.search(_ASIDE.sub("", around)) else fenced[0][1].strip()


def _only_value(text: str) -> str | None:
    """The one JSON object or array in a text, said once or more.

    None if there are none or several, or if any bracket around it may be of something greater.
    """
    if nesting(text) > MAX_NESTING:
        return None
    found: dict[str, str] = {}
    decoder = json.JSONDecoder()
    at = 0
    for _ in range(_MAX_STARTS):
        bracket = _ANY_BRACKET.search(text, at)
        if bracket is None:
            return next(iter(found.values())) if len(found) == 1 else None
        start = bracket.start()
        try:
            value, end = decoder.raw_decode(text, start)
        except ValueError:
            aside = _ASIDE.match(text, start)
            if aside is None:
                return None  # JSON that is cut off or wrong: its parts are not the answer
            at = aside.end()
            continue
        if _is_inside(text, start, end):
            return None
        found.setdefault(json.dumps(value), text[start:end])
        at = end
        # Had it other objects in it, one of those could be what was closed too early.
        if start == 0 and text.find("}") == end - 1:
            at = len(text) - len(text[end:].lstrip("} \t\r\n"))
    return None


def _rewritten(reading: Reading) -> Iterator[Reading]:
    """What stands between the first bracket and the last, with its syntax made that of JSON."""
    text = reading.text.strip().lstrip("\ufeff")
    first = _BRACKET.search(text)
    end = max(text.rfind("]"), text.rfind("}")) + 1
    if first is None or end <= first.start() or _BRACKET.search(text, end):
        return  # nothing that is closed, or something after it that is not
    if _is_inside(text, first.start(), end):
        return
    value = text[first.start() : end]
    stripped = ("stripped_text",) if value != text else ()
    if (mended := rewritten(value)) != value:
        steps = (*reading.steps, *stripped, "mended_syntax")
        yield Reading(mended, steps, is_rewritten=True)


def _is_inside(text: str, start: int, end: int) -> bool:
    """Whether what stands beside a value shows that it is a member or item of another one."""
    before = text[max(0, start - _LOOK_BACK_CHARACTERS) : start]
    return bool(_INSIDE_BEFORE.search(before) or _INSIDE_AFTER.match(text, end))
