"""Where a name in a test has its value from: literals that can be replaced by others. Pure."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from random import Random

from rung.validation.checks.literals import Edit, Source, name_of

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Module:
    """What the tests of one file share: its constants, and how often a name is written."""

    def __init__(self, tree: ast.Module) -> None:
        self.constants = dict(_assignments(tree.body))
        names = (node for node in ast.walk(tree) if isinstance(node, ast.Name))
        self.writes = Counter(node.id for node in names if not isinstance(node.ctx, ast.Load))


class Origins:
    """The names of one test: its variables, its parameters, the module's constants."""

    def __init__(self, test: ast.FunctionDef | ast.AsyncFunctionDef, module: Module) -> None:
        self.test = test
        self._module = module
        nodes = [node for statement in test.body for node in ast.walk(statement)]
        names = [node for node in nodes if isinstance(node, ast.Name)]
        self._reads = Counter(node.id for node in names if isinstance(node.ctx, ast.Load))
        self._writes = Counter(node.id for node in names if not isinstance(node.ctx, ast.Load))
        self._variables = dict(_assignments(test.body))

    def other_value(self, name: str, source: Source, random: Random) -> tuple[Edit, ...]:
        """What makes `name`, which is read once, another value; none where that is not sure."""
        if self._reads[name] != 1:
            return ()
        values = self._values(name)
        edits = [source.other_literal(value, random) for value in values]
        found = tuple(edit for edit in edits if edit is not None)
        return found if len(found) == len(values) else ()

    def is_never_empty(self, items: ast.expr) -> bool:
        """Whether a loop over `items` is sure to have a first turn."""
        match items:
            case ast.List(elts=[_, *_]) | ast.Tuple(elts=[_, *_]) | ast.Set(elts=[_, *_]):
                return not any(isinstance(item, ast.Starred) for item in items.elts)
            case ast.Dict(keys=[ast.expr(), *_]):
                return True
            case ast.Call(func=ast.Attribute(value=inner, attr="items" | "keys" | "values")):
                return self.is_never_empty(inner)
            case ast.Call(func=ast.Name(id="enumerate"), args=[inner, *_]):
                return self.is_never_empty(inner)
            case ast.Name(id=name) if self._module.writes[name] == 1:
                constant = self._module.constants.get(name)
                is_literal = isinstance(constant, ast.Dict | ast.List | ast.Set | ast.Tuple)
                return is_literal and self.is_never_empty(constant)
            case _:
                return False

    def is_computed(self, expression: ast.expr) -> bool:
        """Whether something is called for it, here or where its variable was given a value."""
        nodes = [*ast.walk(expression)]
        names = [node.id for node in nodes if isinstance(node, ast.Name)]
        values = [self._variables[name] for name in names if name in self._variables]
        nodes += [node for value in values for node in ast.walk(value)]
        return any(isinstance(node, ast.Call) for node in nodes)

    def _values(self, name: str) -> Sequence[ast.expr]:
        """The expressions that `name` is, one after the other; all of them, or none."""
        if self._writes[name] == 0:
            return _parameters(self.test, name)
        if self._writes[name] > 1:
            return ()
        if name in self._variables:
            return (self._variables[name],)
        loops = [statement for statement in self.test.body if isinstance(statement, ast.For)]
        return next((values for loop in loops if (values := _of_loop(loop, name))), ())


def _assignments(body: Sequence[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    for statement in body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value
            case _:
                pass


def _of_loop(loop: ast.For, name: str) -> Sequence[ast.expr]:
    """One of what `name` is in turn: that is enough for the test to fail."""
    if not isinstance(loop.iter, ast.List | ast.Tuple):
        return ()
    return _column(loop.iter.elts, _place(loop.target, name))[:1]


def _parameters(test: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> Sequence[ast.expr]:
    """The values that `pytest.mark.parametrize` gives to `name`, each in a test of its own."""
    for mark in test.decorator_list:
        match mark:
            case ast.Call(
                args=[names, ast.List(elts=cases) | ast.Tuple(elts=cases), *_], keywords=keywords
            ) if name_of(mark.func) == "parametrize":
                place = _place_of_parameter(names, name)
                if place is not None and not any(word.arg == "indirect" for word in keywords):
                    return _column(cases, place)
            case _:
                pass
    return ()


def _place(target: ast.expr, name: str) -> tuple[int, ...] | None:
    """Which of each item's parts goes to `name`: `()` is the item as it is."""
    match target:
        case ast.Name(id=found) if found == name:
            return ()
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            for at, part in enumerate(parts):
                if isinstance(part, ast.Name) and part.id == name:
                    return (at,)
            return None
        case _:
            return None


def _place_of_parameter(names: ast.expr, name: str) -> tuple[int, ...] | None:
    match names:
        case ast.Constant(value=str(text)):
            words = [word.strip() for word in text.split(",") if word.strip()]
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            words = [part.value for part in parts if isinstance(part, ast.Constant)]
        case _:
            return None
    if name not in words:
        return None
    is_bare = len(words) == 1 and isinstance(names, ast.Constant)
    return () if is_bare else (words.index(name),)


def _column(cases: Sequence[ast.expr], place: tuple[int, ...] | None) -> list[ast.expr]:
    """That part of every case; none if one of them has it not in plain sight."""
    found: list[ast.expr] = []
    for case in cases if place is not None else ():
        parts = _parts(case)
        if not place and not _is_param(case):
            found.append(case)
        elif len(parts) > (at := place[0] if place else 0):
            found.append(parts[at])
        else:
            return []
    return found


def _parts(case: ast.expr) -> Sequence[ast.expr]:
    match case:
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return parts
        case ast.Call(args=parts) if _is_param(case):
            return parts
        case _:
            return ()


def _is_param(case: ast.expr) -> bool:
    return isinstance(case, ast.Call) and name_of(case.func) == "param"
