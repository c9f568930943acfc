"""What a model writes is shown by a terminal and never obeyed by it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.cli.printable import escape_controls, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]52;c;cm0gLXJm\x1b\\text", "text"),
        ("\x9b2Jtext", "text"),
        ("one\rtwo\x08", "onetwo"),
        ("  a\tb\n", "  a\tb\n"),
        ("naïve 漢字 👩‍🚀", "naïve 漢字 👩‍🚀"),
        ("a\u202eb", "ab"),
        ("\ud800", "\ufffd"),
    ],
)
def test_escape_sequences_are_dropped_and_text_stays(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(), st.integers(min_value=0))
def test_no_control_character_survives_however_a_stream_is_split(text: str, at: int) -> None:
    at %= len(text) + 1
    shown = printable(text[:at]) + printable(text[at:])
    assert not any((c < " " and c not in "\n\t") or "\x7f" <= c <= "\x9f" for c in shown)


@given(st.text(st.characters(codec="utf-8")))
def test_json_keeps_its_values_without_control_characters(text: str) -> None:
    document = escape_controls(json.dumps({"a": text}, ensure_ascii=False))
    assert json.loads(document) == {"a": text}
    assert not any("\x7f" <= c <= "\x9f" for c in document)
