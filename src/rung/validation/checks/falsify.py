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

from rung.validation.checks import negate
from rung.validation.checks.literals import Edit, Source, name_of
from rung.validation.checks.origins import Function, Module, Origins


@dataclass(frozen=True, kw_only=True)
class Flip:
    """Replacements of bytes in a source that make the test `name` (`Class::test`) false.

    `is_hidden`: a reader of the result cannot tell it from a test as it was written.
    """

    name: str
    edits: tuple[Edit, ...]
    is_hidden: bool


def flips(source: str, random: Random) -> list[Flip]:
    """One for each test whose assertion is sure to be reached if the test passes, in their order.

    Sure are statements of the test's own body, if it nowhere returns, and those of loops over
    something that is not empty. A name that is defined twice is left out, since only the last
    definition counts.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    content, module = Source(source), Module(tree)
    names = Counter(node.name for node in ast.walk(tree) if isinstance(node, Function))
    tests = [(name, test) for name, test in _tests(tree) if names[test.name] == 1]
    tried = [_flip(name, Origins(test, module), content, random) for name, test in tests]
    found = [flip for flip in tried if flip is not None]
    if _parses(flipped(source, found)):
        return found
    return [flip for flip in found if _parses(flipped(source, [flip]))]


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


def _tests(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in tree.body:
        if isinstance(node, Function) and node.name.startswith("test"):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, Function) and inner.name.startswith("test"):
                    yield f"{node.name}::{inner.name}", inner


def _flip(name: str, origins: Origins, source: Source, random: Random) -> Flip | None:
    test = origins.test
    if any(isinstance(node, ast.Return) for node in ast.walk(test)):
        return None
    last: Flip | None = None
    for statement in reversed([*_sure(test.body, origins)]):
        found = negate.negated(statement, negate.Test(source, origins, random))
        if found is None or (last is not None and not found.is_hidden):
            continue
        last = Flip(name=name, edits=found.edits, is_hidden=found.is_hidden)
        if last.is_hidden:
            break
    return last


def _sure(body: Iterable[ast.stmt], origins: Origins) -> Iterator[ast.stmt]:
    """The statements that are run, each at least once, whenever those of `body` are."""
    for statement in body:
        yield statement
        match statement:
            case ast.With() if all(_is_subtest(item.context_expr) for item in statement.items):
                yield from _sure(statement.body, origins)
            case ast.For() if origins.is_never_empty(statement.iter) and not _leaves_early(
                statement
            ):
                yield from _sure(statement.body, origins)
            case _:
                pass


def _is_subtest(context: ast.expr) -> bool:
    return isinstance(context, ast.Call) and name_of(context.func) == "subTest"


def _leaves_early(loop: ast.For) -> bool:
    return any(isinstance(node, ast.Break | ast.Continue) for node in ast.walk(loop))


def _parses(source: str) -> bool:
    try:
        ast.parse(source)
    except (SyntaxError, ValueError):
        return False
    return True
