from __future__ import annotations

import re

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rung.structured.formats import FORMATS, WHOLE_FORMATS
from rung.structured.patterns import rewrite
from tests.structured.strategies import ALPHABET, PATTERNS

quick = settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
PLAIN = re.compile(r"(\\x[0-9A-F]{2}|[^\\\"\x00-\x1f.*+])*")

pieces = st.sampled_from(
    [
        "a",
        "\\d",
        "[a-c]",
        "[^a-c]",
        ".",
        "\\w",
        "(x|yz)",
        "(?:q)",
        "\\.",
        "é",
        "[\\d_-]",
        "\\s",
        "-",
        "/",
    ]
)
quantified = st.tuples(pieces, st.sampled_from(["", "*", "+", "?", "{2}", "{1,3}", "{2,}", "+?"]))
sequences = st.lists(quantified.map("".join), min_size=1, max_size=4).map("".join)
patterns = st.builds(
    lambda start, a, b, end: f"{start}{a}{end}|{start}{b}{end}",
    st.sampled_from(["^", ""]),
    sequences,
    sequences,
    st.sampled_from(["$", ""]),
)


@settings(quick, max_examples=15)  # hypothesis builds each generator anew, a second at a time
@given(patterns | st.sampled_from(PATTERNS[:-1]), st.integers(0, 5), st.integers(6, 60), st.data())
def test_what_a_rewritten_pattern_matches_the_original_matches(
    pattern: str, shortest: int, longest: int, data: st.DataObject
) -> None:
    fitted = rewrite(pattern, shortest, longest)
    assert fitted is not None
    texts = st.from_regex(fitted.pattern, fullmatch=True, alphabet=ALPHABET)
    text = data.draw(texts.filter(lambda s: "\n" not in s))
    assert jsonschema_rs.is_valid({"pattern": pattern}, text)
    assert fitted.shortest <= len(text) <= fitted.longest


@quick
@given(patterns)
def test_a_rewritten_pattern_is_anchored_bounded_and_safe_inside_a_json_string(
    pattern: str,
) -> None:
    fitted = rewrite(pattern, 0, 30)
    assert fitted is not None
    assert fitted.pattern[0] + fitted.pattern[-1] == "^$"
    assert PLAIN.fullmatch(fitted.pattern[1:-1])
    assert ",}" not in fitted.pattern


@pytest.mark.parametrize(
    "pattern",
    ["(?=a)b", "(?<!a)b", "(a)\\1", "\\bword\\b", '^"quoted"$', "^a\\\\b$", "(", "a)", "[b-a]", "[",
     "x{3,1}", "a^b", "(a$)b", "\\cA", "(?i)a", "^\\n$", "\\p{Script=Greek}", "*", "\\u{110000}"],
)  # fmt: skip
def test_a_pattern_that_cannot_be_rewritten_soundly_is_given_back_as_none(pattern: str) -> None:
    assert rewrite(pattern, 0, 30) is None


@pytest.mark.parametrize(
    ("pattern", "rewritten"),
    [
        (r"^\d{4}$", "^[0-9]{4}$"),
        ("^a|b$", None),
        ("^(a|)$", "^a?$"),
        ("^$", "^$"),
        (r"^\u0041\x42$", "^AB$"),
        ("^[а-я]$", "^[а-я]$"),
        (r"^(?<year>\d)$", "^[0-9]$"),
        ("^a{0}b$", "^b$"),
    ],
)
def test_patterns_are_rewritten_plainly(pattern: str, rewritten: str | None) -> None:
    fitted = rewrite(pattern, 0, 30)
    assert fitted is not None
    if rewritten is not None:
        assert fitted.pattern == rewritten


def test_a_single_class_takes_over_the_length_of_the_string() -> None:
    fitted = rewrite("^[a-z]+$", 5, 9)
    assert fitted is not None
    assert (fitted.shortest, fitted.longest) == (5, 9)


@quick
@given(st.data())
@pytest.mark.parametrize(
    ("name", "pattern"), [*sorted(FORMATS.items()), *sorted(WHOLE_FORMATS.items())]
)
def test_what_stands_in_for_a_format_is_of_that_format(
    name: str, pattern: str, data: st.DataObject
) -> None:
    fitted = rewrite(pattern, 0, 256)
    assert fitted is not None
    texts = st.from_regex(fitted.pattern, fullmatch=True, alphabet=ALPHABET)
    text = data.draw(texts.filter(lambda s: "\n" not in s))
    validator = jsonschema_rs.Draft202012Validator({"format": name}, validate_formats=True)
    assert validator.is_valid(text)
