"""Wrong programs made of right ones: one small change each, as a programmer in a hurry makes it."""

from __future__ import annotations

import ast
import copy
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.FloorDiv,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
}
_NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "sorted": "list", "set": "list"}
_METHODS = {"lower": "upper", "upper": "lower", "append": "extend", "find": "rfind"}


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A program with one change; `what` says the line before and after."""

    what: str
    source: str


def mutants(source: str, seed: str) -> list[Mutant]:
    """Every mutant of a program, in an order that is random but the same for the same seed."""
    before = ast.unparse(ast.parse(source)).splitlines()
    found: list[Mutant] = []
    for changed in _changed(ast.parse(source)):
        after = ast.unparse(changed)
        pairs = zip(before, after.splitlines(), strict=False)
        was, became = next((was.strip(), now.strip()) for was, now in pairs if was != now)
        found.append(Mutant(what=f"`{was}` became `{became}`", source=f"{after}\n"))
    Random(seed).shuffle(found)
    return found


def _changed(tree: ast.Module) -> Iterator[ast.Module]:
    """A copy of the tree for each single change."""
    for place, node in enumerate(ast.walk(tree)):
        if (fields := _change(node)) is not None:
            clone = copy.deepcopy(tree)
            target = next(itertools.islice(ast.walk(clone), place, None))
            for name, value in fields.items():
                setattr(target, name, value)
            yield ast.fix_missing_locations(clone)


def _change(node: ast.AST) -> dict[str, object] | None:
    """The fields that the change of this node replaces; `None` where it is left alone."""
    match node:
        case ast.Compare(ops=[first, *rest]) if type(first) in _COMPARISONS:
            return {"ops": [_COMPARISONS[type(first)](), *rest]}
        case ast.BinOp(op=op) if type(op) in _ARITHMETIC:
            return {"op": _ARITHMETIC[type(op)]()}
        case ast.BoolOp(op=op):
            return {"op": ast.Or() if isinstance(op, ast.And) else ast.And()}
        case ast.Constant(value=bool() as value):
            return {"value": not value}
        case ast.Constant(value=int() as value):
            return {"value": value + 1}
        case ast.Name(id=name, ctx=ast.Load()) if name in _NAMES:
            return {"id": _NAMES[name]}
        case ast.Attribute(attr=name) if name in _METHODS:
            return {"attr": _METHODS[name]}
        case ast.comprehension(ifs=[_, *rest]):
            return {"ifs": rest}
        case ast.UnaryOp(op=ast.Not()):
            return {"op": ast.UAdd()}
        case _:
            return None
