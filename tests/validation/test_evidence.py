"""Evidence from hostile output."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rung.validation.evidence import LONGEST, clean


def test_terminal_escapes_are_taken_out() -> None:
    said = "\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b]8;;http://x\x1b\\link \x9b1mx\x00\x08\rnew\r\n"
    assert clean(said) == "red link 1mxnew"


def test_text_that_lies_about_its_direction_is_shown_as_it_is() -> None:
    assert clean("a\u202eb\u200bc") == "abc"


def test_head_and_tail_of_long_evidence_are_kept() -> None:
    cleaned = clean("first " + "x" * 100_000 + " last")
    assert cleaned.startswith("first")
    assert cleaned.endswith("last")
    assert "characters left out" in cleaned
    assert len(cleaned) <= LONGEST


@given(st.text(max_size=5000))
def test_cleaned_evidence_is_short_printable_and_stays_so(text: str) -> None:
    cleaned = clean(text)
    assert len(cleaned) <= LONGEST
    assert not any(character < " " and character not in "\n\t" for character in cleaned)
    cleaned.encode("utf-8")
    assert clean(cleaned) == cleaned
