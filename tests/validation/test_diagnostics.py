"""Which errors are new."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rung.validation.checks.diagnostics import Diagnostic, new_since, parse
from rung.validation.checks.toolchains import TOOLCHAINS

ERRORS = st.lists(
    st.builds(
        Diagnostic,
        path=st.sampled_from(["a.c", "b.c"]),
        line=st.integers(1, 50),
        rule=st.sampled_from(["", "E1"]),
        message=st.sampled_from(["x is undeclared", "first seen on line 7"]),
    )
)


def changed_never(_diagnostic: Diagnostic) -> bool:
    return False


@given(ERRORS)
def test_nothing_is_new_where_nothing_changed(errors: list[Diagnostic]) -> None:
    assert new_since(errors, reversed(errors), changed_never) == []


@given(ERRORS, ERRORS)
def test_each_error_beyond_the_old_ones_is_new(
    before: list[Diagnostic], added: list[Diagnostic]
) -> None:
    new = new_since(before, [*before, *added], changed_never)
    assert sorted(d.identity for d in new) == sorted(d.identity for d in added)


def at(line: int, message: str = "x is undeclared") -> Diagnostic:
    return Diagnostic(path="a.c", line=line, rule="", message=message)


def test_of_two_that_are_the_same_the_one_on_a_changed_line_is_new() -> None:
    assert new_since([at(9)], [at(3), at(10)], lambda error: error.line == 3) == [at(3)]


def test_places_in_the_words_do_not_make_it_new() -> None:
    before = at(1, "redefined, first seen at a.c:3:5 on line 3")
    assert (
        new_since([before], [at(2, "redefined, first seen at a.c:4:5 on line 4")], changed_never)
        == []
    )


def test_javac_names_the_symbol_below_the_message() -> None:
    pattern = TOOLCHAINS["java"].diagnostic
    assert pattern is not None
    output = (
        "/scratch/A.java:1: error: cannot find symbol\n  int a = {0};\n          ^\n"
        "  symbol:   variable {0}\n  location: class A\n1 error\n"
    )
    [first], [second] = (parse(pattern, output.replace("{0}", n), "/scratch") for n in "ab")
    assert (first.path, first.line) == ("A.java", 1)
    assert first.identity != second.identity
