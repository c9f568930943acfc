"""A project's own tests made false: each then asserts something else than it did.

A run that reports such a test as passed, and as passed in its true form too, shows nothing: the
report is forged, or the answer's objects equal everything, or it reads what the test wants from the
test. Most changes are to a literal (`== 3` becomes `== 8`), which nothing in the text gives away.
Pure: from source text to source text.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random

from rung.validation.checks import literals

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_OPPOSITES = {
    "assertEqual": "assertNotEqual",
    "assertIn": "assertNotIn",
    "assertIs": "assertIsNot",
    "assertIsNone": "assertIsNotNone",
    "assertTrue": "assertFalse",
}
_OPPOSITE_CALLS = {**_OPPOSITES, **{there: here for here, there in _OPPOSITES.items()}}
_OPPOSITE_OPERATORS = {"in": "not in", "not in": "in", "is": "is not", "is not": "is"}
# Their operands need no parentheses under `not`.
_BARE = (ast.Attribute, ast.Call, ast.Name, ast.Subscript)


@dataclass(frozen=True, kw_only=True)
class Flip:
    """Replacements of bytes in a source that make the test `name` (`Class::test`) false.

    `is_hidden`: a reader of the result cannot tell it from a test as it was written.
    """

    name: str
    edits: tuple[literals.Edit, ...]
    is_hidden: bool


def flips(source: str, random: Random) -> list[Flip]:
    """One for each test whose assertion is sure to be reached if the test passes.

    Sure are statements of the test's own body, if it nowhere returns. A name that is defined twice
    is left out, since only the last definition counts.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    content = literals.Source(source)
    names = Counter(node.name for node in ast.walk(tree) if isinstance(node, _Function))
    found: list[Flip] = []
    for name, test in _tests(tree):
        flip = _flip(name, test, content, random) if names[test.name] == 1 else None
        if flip is not None and _parses(flipped(source, [flip])):
            found.append(flip)
    return found


def flipped(source: str, chosen: Iterable[Flip]) -> str:
    """The source with these tests made false."""
    content = bytearray(source.encode())
    edits = [edit for flip in chosen for edit in flip.edits]
    for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
        content[edit.start : edit.end] = edit.text.encode()
    return content.decode()


def names_of_tests(source: str) -> list[str]:
    """`test` and `Class::test` as pytest collects them without settings of its own."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return [name for name, _ in _tests(tree) if "::" not in name or name.startswith("Test")]


def _tests(tree: ast.Module) -> Iterator[tuple[str, _Function]]:
    for node in tree.body:
        if isinstance(node, _Function) and node.name.startswith("test"):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, _Function) and inner.name.startswith("test"):
                    yield f"{node.name}::{inner.name}", inner


def _flip(name: str, test: _Function, source: literals.Source, random: Random) -> Flip | None:
    if any(isinstance(node, ast.Return) for node in ast.walk(test)):
        return None
    last: Flip | None = None
    for statement in reversed(test.body):
        edits, is_hidden = _negated(statement, source, random)
        if edits and is_hidden:
            return Flip(name=name, edits=edits, is_hidden=True)
        if edits and last is None:
            last = Flip(name=name, edits=edits, is_hidden=False)
    return last


_Negated = tuple[tuple[literals.Edit, ...], bool]


def _negated(statement: ast.stmt, source: literals.Source, random: Random) -> _Negated:
    """The edits that make this assertion false, and whether they are hidden; none if it is none."""
    if isinstance(statement, ast.Assert):
        return _negated_expression(statement.test, source, random)
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        return _negated_call(statement.value, source, random)
    return (), False


def _negated_expression(test: ast.expr, source: literals.Source, random: Random) -> _Negated:
    start, end = source.span(test)
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        edit = _other_comparison(test, source, random)
        if edit is not None:
            return (edit,), True
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner, _ = source.span(test.operand)
        if source.between(start, inner) == "not":
            return (literals.Edit(start=start, end=inner, text=""),), True
    if isinstance(test, _BARE):
        return (literals.Edit(start=start, end=start, text="not "),), True
    opening = literals.Edit(start=start, end=start, text="not (")
    return (opening, literals.Edit(start=end, end=end, text=")")), False


def _other_comparison(
    test: ast.Compare, source: literals.Source, random: Random
) -> literals.Edit | None:
    left, right = test.left, test.comparators[0]
    if isinstance(test.ops[0], ast.Eq):
        return source.other_literal(right, random) or source.other_literal(left, random)
    match test.ops[0], right:
        case ast.Is(), ast.Constant(value=bool()):
            return source.other_literal(right, random)
        case _:
            pass
    start, end = source.span(left)[1], source.span(right)[0]
    opposite = _OPPOSITE_OPERATORS.get(source.between(start, end))
    return None if opposite is None else literals.Edit(start=start, end=end, text=f" {opposite} ")


def _negated_call(call: ast.Call, source: literals.Source, random: Random) -> _Negated:
    """unittest's `self.assertEqual(a, b)` and its like."""
    method = call.func
    if not isinstance(method, ast.Attribute) or method.attr not in _OPPOSITE_CALLS:
        return (), False
    if method.attr == "assertEqual" and len(call.args) >= 2:
        for argument in (call.args[1], call.args[0]):
            edit = source.other_literal(argument, random)
            if edit is not None:
                return (edit,), True
    _, end = source.span(method)
    start = end - len(method.attr.encode())
    edit = literals.Edit(start=start, end=end, text=_OPPOSITE_CALLS[method.attr])
    return (edit,), method.attr in ("assertTrue", "assertFalse")


def _parses(source: str) -> bool:
    try:
        ast.parse(source)
    except (SyntaxError, ValueError):
        return False
    return True
