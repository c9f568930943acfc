"""Tests made false: every one fails where its original passes, whatever its form."""

from __future__ import annotations

import ast
import math
import re
import unittest
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.validation.checks.falsify import Flip, flipped, flips, names_of_tests
from rung.validation.checks.literals import Source

# Each passes as it is: `nine()` is 9, `yes()` is true, `items()` is [1, "a"].
HIDDEN = """
assert nine() == 9
assert (nine()) == (9)
assert 9 == nine(), "with a message"
assert nine() - 12 == -3
assert items() == [1, "a"]
assert (items()
        == [1,
            "a"])
assert {"a": items()} == {"a": [1, "a"]}
assert str(nine()) == "9"
assert yes() is True
assert yes() == True
assert not no()
assert yes()
assert (lambda: True)()
assert 1 in items()
assert 7 not in items()
assert items() is not None
assert nine() / 4 == 2.25
assert "ä" + "é" == "äé"
assert str(nine()).encode() == b"9"
self.assertEqual(nine(), 9)
self.assertEqual("a", items()[1], "with a message")
self.assertTrue(yes())
self.assertFalse(no())
assert yes() and nine() == 9
assert yes() and nine()
assert nine() == pytest.approx(9)
assert nine() == pytest.approx(9, abs=0.1)
assert math.isclose(nine(), 9.0)
assert "1" in "123"
wanted = 9; assert nine() == wanted
for wanted in [9, 9]: assert nine() == wanted
for at, wanted in ((0, 1), (1, "a")): assert items()[at] == wanted
with pytest.raises(TypeError): nine(1)
with pytest.raises((TypeError, ValueError)): nine(1)
with self.assertRaises(TypeError): nine(1)
self.assertRaises(TypeError, nine, 1)
self.assertAlmostEqual(nine(), 9.0)
self.assertListEqual(items(), [1, "a"])
with self.subTest(): self.assertEqual(nine(), 9)
"""
SEEN = """
assert nine() < 10
assert nine() == len("123456789")
assert nine() != 8
assert 1 < nine() < 10
assert nine() == NINE
wanted = sum([4, 5]); assert nine() == wanted
for wanted in ALL: assert nine() == wanted
assert nine() == pytest.approx(9, rel=0.5)
self.assertEqual(nine(), NINE)
self.assertEqual(nine(), len("123456789"))
self.assertIn(1, items())
self.assertIs(yes(), yes())
"""
NAMES: dict[str, Any] = {
    "nine": lambda: 9,
    "yes": lambda: True,
    "no": lambda: False,
    "items": lambda: [1, "a"],
    "self": unittest.TestCase(),
    "NINE": 9,
    "math": math,
    "pytest": pytest,
}
MODULE = "ALL = [9]\n"


FLOATS = st.floats(allow_nan=False, allow_infinity=False)


def statements(text: str) -> list[str]:
    """Each begins a line; what belongs to it is indented, or follows a semicolon."""
    return re.split(r"\n(?=\S)", text.strip())


def run(source: str, name: str = "test_it", names: dict[str, Any] = NAMES) -> None:
    names = dict(names)
    exec(compile(source, "test", "exec"), names)
    function: Callable[[], None] = names[name]
    function()


def only(source: str, seed: int = 0) -> Flip:
    [flip] = flips(source, Random(seed))
    return flip


@pytest.mark.parametrize("statement", statements(HIDDEN) + statements(SEEN))
@pytest.mark.parametrize("seed", range(5))
def test_what_passed_fails_when_it_is_made_false(statement: str, seed: int) -> None:
    body = "\n".join(f"    {line}" for line in statement.splitlines())
    source = f"{MODULE}def test_it():\n    words = 'ü'\n{body}\n"
    run(source)
    flip = only(source, seed)
    assert flip.is_hidden == (statement in statements(HIDDEN))
    with pytest.raises((AssertionError, TypeError)):
        run(flipped(source, [flip]))


class Everything:
    """What an answer may return to equal, hold and be whatever a test wants."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __contains__(self, item: object) -> bool:
        return True


@pytest.mark.parametrize(
    "statement",
    [
        "assert nine() == 9",
        "assert nine() == NINE",
        "wanted = 9; assert nine() == wanted",
        "wanted = sum([4, 5]); assert nine() == wanted",
        "found = nine(); assert found == len('123456789')",
        "for wanted in ALL: assert nine() == wanted",
        "assert 9 in nine()",
        "assert 'a' in nine()",
        "self.assertEqual(nine(), NINE)",
        "self.assertEqual(NINE, nine())",
    ],
)
def test_what_equals_everything_passes_also_what_is_false(statement: str) -> None:
    names = {**NAMES, "nine": Everything}
    source = f"{MODULE}def test_it():\n    {statement}\n"
    run(source, names=names)
    run(flipped(source, [only(source)]), names=names)


@pytest.mark.parametrize(
    "cases",
    [
        '("n", "wanted"), [(1, 2), (2, 4)]',
        '"n, wanted", [(1, 2), [2, 4]]',
        '"n,wanted", [pytest.param(1, 2, id="one"), (2, 4)]',
        '["wanted", "n"], ((2, 1), (4, 2))',
    ],
)
def test_every_case_of_a_parametrized_test_is_made_false(cases: str) -> None:
    source = (
        f"@pytest.mark.parametrize({cases})\n"
        "def test_it(n, wanted):\n    assert double(n) == wanted\n"
    )
    flip = only(source)
    assert flip.is_hidden
    names = {"pytest": pytest}
    exec(compile(flipped(source, [flip]), "test", "exec"), names)
    [mark] = names["test_it"].pytestmark  # pyright: ignore
    names_of = mark.args[0].split(",") if isinstance(mark.args[0], str) else mark.args[0]
    for case in mark.args[1]:
        given = dict(zip(map(str.strip, names_of), getattr(case, "values", case), strict=True))
        n, wanted = given["n"], given["wanted"]
        assert n in (1, 2)
        assert wanted != 2 * n


@given(
    st.recursive(
        st.integers()
        | st.text()
        | st.binary()
        | st.booleans()
        | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text(), inner),
    ),
    st.integers(),
)
def test_another_literal_never_equals_the_one_it_replaces(value: Any, seed: int) -> None:
    text = repr(value)
    edit = Source(text).other_literal(ast.parse(text, mode="eval").body, Random(seed))
    if edit is not None:
        content = text.encode()
        other = (content[: edit.start] + edit.text.encode() + content[edit.end :]).decode()
        assert ast.literal_eval(other) != value


@pytest.mark.parametrize(
    "body",
    [
        "    return\n    assert 1 == 1\n",
        "    if no():\n        return\n    assert 1 == 1\n",
        "    for item in []:\n        assert item == 1\n",
        "    for item in given():\n        assert item == 1\n",
        "    for item in [1, 2]:\n        if item:\n            break\n        assert item == 1\n",
        "    with given():\n        assert 1 == 1\n",
        "    print(1 == 1)\n",
    ],
)
def test_an_assertion_that_may_not_be_reached_is_left_alone(body: str) -> None:
    assert flips(f"def test_it():\n{body}", Random(0)) == []


@pytest.mark.parametrize(
    "constant", ["ALL = ALL", "ALL = ALL.items()", "ALL = []", "ALL = given()"]
)
def test_a_loop_over_what_may_be_empty_is_left_alone(constant: str) -> None:
    source = f"{constant}\ndef test_it():\n    for item in ALL:\n        assert item == 1\n"
    assert flips(source, Random(0)) == []


def test_a_name_that_is_defined_twice_is_left_alone() -> None:
    twice = "def test_it():\n    assert 1 == 1\n"
    assert flips(twice + twice, Random(0)) == []


def test_of_several_tests_only_the_chosen_are_made_false() -> None:
    source = (
        "class TestA:\n    def test_one(self):\n        assert nine() == 9\n"
        "    async def test_two(self):\n        assert nine() == 9\n\n"
        "def test_three():\n    assert nine() == 9\n"
    )
    found = flips(source, Random(1))
    assert [flip.name for flip in found] == ["TestA::test_one", "TestA::test_two", "test_three"]
    assert flipped(source, []) == source
    run(flipped(source, found[:2]), "test_three")
    with pytest.raises(AssertionError):
        run(flipped(source, found[2:]), "test_three")


@given(st.text())
def test_any_text_is_read_or_left_alone(text: str) -> None:
    assert flips(text, Random(0)) == []
    assert names_of_tests(text) == []


def test_names_are_those_that_pytest_collects() -> None:
    source = (
        "def test_a(): ...\ndef other(): ...\n"
        "class TestB:\n    def test_c(self): ...\n"
        "class Other:\n    def test_d(self): ...\n"
    )
    assert names_of_tests(source) == ["test_a", "TestB::test_c"]
