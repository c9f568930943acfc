"""Whatever happens to an answer on its way, it is read as what was said, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rung.chat import Completion, FinishReason
from rung.structured import BadOutputError, require_object
from rung.structured.partial import PartialObject
from tests.structured.test_partial import is_prefix

ANY = {"type": ["object", "array"]}  # what any part of an answer would satisfy, too

# No brackets, quotes or commas: so what a damage hits is the syntax, and no text that somebody
# may well have meant.
_texts = st.text(alphabet="abz é😀.-/#0\n", max_size=6)
_scalars = st.none() | st.booleans() | st.integers() | st.floats(-1e9, 1e9) | _texts
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=12,
)
answers = _values.filter(lambda value: isinstance(value, dict | list) and value)


def read(text: str, finish_reason: FinishReason = "stop", schema: Any = ANY) -> Completion | None:
    said = Completion(text=text, engine="e", model="m", finish_reason=finish_reason)
    try:
        return require_object(said, schema)
    except BadOutputError:
        return None


def same(one: Any, other: Any) -> bool:
    return json.dumps(one) == json.dumps(other)


def places(text: str, marks: str) -> list[int]:
    """Where one of `marks` stands outside strings."""
    found: list[int] = []
    is_inside = False
    for at, mark in enumerate(text):
        is_inside ^= mark == '"' and (at == 0 or text[at - 1] != "\\")
        if not is_inside and mark in marks:
            found.append(at)
    return found


Damage = Callable[[st.DrawFn, str], str]


def at_any(draw: st.DrawFn, text: str, marks: str) -> int:
    found = places(text, marks)
    assume(found)
    return draw(st.sampled_from(found))


def without(marks: str) -> Damage:
    def damage(draw: st.DrawFn, text: str) -> str:
        at = at_any(draw, text, marks)
        return text[:at] + text[at + 1 :]

    return damage


def with_more(marks: str, more: tuple[str, ...], *, is_after: bool = True) -> Damage:
    def damage(draw: st.DrawFn, text: str) -> str:
        at = at_any(draw, text, marks) + is_after
        return text[:at] + draw(st.sampled_from(more)) + text[at:]

    return damage


def followed_by(*more: str) -> Damage:
    return lambda draw, text: text + draw(st.sampled_from(more)) + text


DAMAGES: dict[str, Damage] = {
    "a comma is missing": without(","),
    "a colon is missing": without(":"),
    "an opening bracket is missing": without("{["),
    "a closing bracket is missing": without("}]"),
    "a quote is missing": without('"'),
    "a closing bracket too many": with_more("}]", ("}", "]", "}]", " ]}")),
    "an opening bracket too many": with_more("{[", ("{", "[")),
    "a comma too many": with_more("}],", (",", " ,\n"), is_after=False),
    "a comment": with_more(",{", (" // no\n", " /* no */", " # no\n")),
    "a comment with more in it": with_more(",{", (' // {"x": 1}\n', " /* [1] */", " # ...\n")),
    "an ellipsis": with_more(",", (" ...", " …,")),
    "cut off at the end": lambda draw, text: text[: draw(st.integers(0, len(text) - 1))],
    "cut off at the front": lambda draw, text: text[draw(st.integers(1, 3)) :],
    "said twice": followed_by("", "\n", "\nor\n", " // ", "\n# again\n"),
    "single quotes": lambda _, text: text.replace('"', "'"),
    "curly quotes": lambda draw, text: curly(text),
    "raw line ends": lambda _, text: text.replace("\\n", "\n"),
    "a fence": lambda _, text: f"Here:\n```json\n{text}\n```\nAnything else?",
    "half a fence": lambda _, text: f"```json\n{text}",
    "words around it": lambda _, text: f"So [as asked]: {text}. Is that {{all}} well?",
    "thinking before it": lambda _, text: f'<think>{{"a": 1}}? No.</think>\n{text}',
}


def curly(text: str) -> str:
    pieces = text.split('"')
    quotes = ["“", "”"] * len(pieces)
    return "".join(piece + quote for piece, quote in zip(pieces, quotes, strict=False))[:-1]


# What leaves no doubt, and is read again as what was said; all else may end in an error.
MENDED = {
    "a comma too many", "a comment", "single quotes", "raw line ends", "curly quotes", "a fence",
    "half a fence", "words around it", "thinking before it", "said twice",
}  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, name: str) -> tuple[Any, str]:
    value = draw(answers)
    text = json.dumps(value, ensure_ascii=False, indent=draw(st.sampled_from((None, 1))))
    return value, DAMAGES[name](draw, text)


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_answer_is_read_as_it_was_meant_or_not_at_all(name: str) -> None:
    @settings(deadline=None, max_examples=150)
    @given(damaged(name))
    def holds(case: tuple[Any, str]) -> None:
        value, text = case
        answer = None
        for finish_reason in ("length", "stop"):
            answer = read(text, finish_reason)
            assert answer is None or same(answer.parsed, value), text
        partial = PartialObject()
        partial.feed(text)
        view = partial.view()
        assert answer is None or view is None or is_prefix(view, value), text

    holds()


FORM = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "pair": {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 2},
        "home": {
            "anyOf": [
                {"type": "object", "properties": {"city": {"type": "string"}}},
                {"type": "null"},
            ]
        },
    },
    "required": ["name"],
}


@settings(deadline=None, max_examples=300)
@given(
    st.fixed_dictionaries(
        {"name": _texts},
        optional={
            "pair": st.lists(st.booleans(), min_size=1, max_size=2),
            "home": st.none() | st.fixed_dictionaries({}, optional={"city": _texts}),
        },
    ),
    st.data(),
)
def test_an_answer_is_closed_only_where_nothing_else_can_be_missing(
    value: Any, data: st.DataObject
) -> None:
    text = json.dumps(value)
    cut = text[: data.draw(st.integers(0, len(text) - 1))]
    assert read(cut, "length", FORM) is None
    lacking = data.draw(st.sampled_from(places(text, "}]")))
    for damaged_text in (cut, text[:lacking] + text[lacking + 1 :]):
        answer = read(damaged_text, "stop", FORM)
        assert answer is None or same(answer.parsed, value), damaged_text


@pytest.mark.parametrize(
    ("text", "is_read"),
    [
        ('{"name": "x", "home": {"city": "y"}, "pair": [true, false]', True),
        ('{"name": "x", "home": null, "pair": [true]\n', True),
        ('{"name": "x", "home": {"city": "y"}, "pair": [true, false', False),
        ('So: {"pair": [true], "name": "x", "home": {"city": "y"}', True),
        ('{"name": "x", "home": {"city": "y"', False),
        ('{"name": "x", "home": {"city": "y"}', False),
        ('{"name": "x", "pair": [true], "home": {}', True),
        ('{"name": "x", "pair": [true], "home": {', False),
        ('{"name": "x", "pair": [true], "home": {"city": "y"},', False),
    ],
)
def test_brackets_at_the_end_may_be_missing_behind_all_there_is_to_say(
    text: str, is_read: bool
) -> None:
    answer = read(text, "stop", FORM)
    assert (answer is not None) == is_read
    assert answer is None or answer.repairs == ("closed_brackets",)


@pytest.mark.parametrize("depth", range(1, 6))
def test_brackets_are_not_closed_where_the_schema_goes_on_further_than_it_was_unrolled(
    depth: int,
) -> None:
    chain = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "next": {"$ref": "#"}},
        "required": ["name"],
        "additionalProperties": False,
    }
    assert read('{"name": "x", "next": ' * (depth - 1) + '{"name": "x"', schema=chain) is None


def test_text_of_any_kind_in_an_answer_is_read_as_it_is() -> None:
    hard = {
        "name": "a \"b\", {c}: [1, 'd'] // e # f ``` é😀 \\ \u2028 \x7f",
        "pair": [True],
    }
    for text in (json.dumps(hard), f"Here:\n```\n{json.dumps(hard, ensure_ascii=False)}"):
        answer = read(text, schema=FORM)
        assert answer is not None
        assert answer.parsed == hard
