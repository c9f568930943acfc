"""An assertion turned into one that fails where it passed. Pure: from its tree to edits of text."""

from __future__ import annotations

import ast
import builtins
from dataclasses import dataclass
from random import Random

from rung.validation.checks.literals import Edit, Source, is_exact, name_of
from rung.validation.checks.origins import Origins

_OPPOSITES = {
    "assertIn": "assertNotIn",
    "assertIs": "assertIsNot",
    "assertIsInstance": "assertNotIsInstance",
    "assertIsNone": "assertIsNotNone",
    "assertRegex": "assertNotRegex",
    "assertTrue": "assertFalse",
}
_OPPOSITE_CALLS = {
    "assertNotEqual": "assertEqual",
    **_OPPOSITES,
    **{there: here for here, there in _OPPOSITES.items()},
}
# Each of these fails when one of the two that it compares is another.
_EQUAL_CALLS = frozenset(
    [
        *("assertEqual", "assertAlmostEqual", "assertCountEqual", "assertDictEqual"),
        *("assertListEqual", "assertMultiLineEqual", "assertSequenceEqual", "assertSetEqual"),
        "assertTupleEqual",
    ]
)
_CLOSE_CALLS = frozenset({"allclose", "isclose"})
_RAISES_CALLS = frozenset({"assertRaises", "assertRaisesRegex", "raises"})
_OPPOSITE_OPERATORS = {"in": "not in", "not in": "in", "is": "is not", "is not": "is"}
# Their operands need no parentheses under `not`.
_BARE = (ast.Attribute, ast.Call, ast.Name, ast.Subscript)
# What hardly any code raises.
_RARE = ("BufferError", "FloatingPointError", "ReferenceError")


@dataclass(frozen=True)
class Test:
    """What the assertion stands in."""

    __test__ = False  # not a test, whatever pytest makes of its name

    source: Source
    origins: Origins
    random: Random


@dataclass(frozen=True)
class Negated:
    """`is_hidden`: a reader of the result cannot tell it from an assertion as it was written."""

    edits: tuple[Edit, ...]
    is_hidden: bool


def negated(statement: ast.stmt, test: Test) -> Negated | None:
    """What makes this statement fail; `None` where that is not sure, or it asserts nothing."""
    match statement:
        case ast.Assert(test=expression):
            return _expression(expression, statement, test)
        case ast.Expr(value=ast.Call() as call):
            return _call(call, statement, test)
        case ast.With(items=[ast.withitem(context_expr=ast.Call() as call)]):
            return _raises(call, test)
        case _:
            return None


def _expression(expression: ast.expr, statement: ast.stmt, test: Test) -> Negated | None:
    source = test.source
    start, end = source.span(expression)
    match expression:
        case ast.Compare(ops=[ast.Eq()], left=left, comparators=[right]):
            return _unequal(left, right, statement, test)
        case ast.Compare(ops=[_]) if (edit := _other_comparison(expression, test)) is not None:
            return Negated((edit,), is_hidden=True)
        case ast.BoolOp(op=ast.And(), values=values):
            found = [_expression(value, statement, test) for value in values]
            hidden = [one for one in found if one is not None and one.is_hidden]
            if hidden:
                return test.random.choice(hidden)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            inner, _ = source.span(operand)
            if source.between(start, inner) == "not":
                return Negated((Edit(start=start, end=inner, text=""),), is_hidden=True)
        case ast.Call(func=function, args=[first, second]) if name_of(function) in _CLOSE_CALLS:
            edit = _other_of(second, first, test) if is_exact(expression) else None
            if edit is not None:
                return Negated((edit,), is_hidden=True)
        case _:
            pass
    if isinstance(expression, _BARE):
        return Negated((Edit(start=start, end=start, text="not "),), is_hidden=True)
    opening = Edit(start=start, end=start, text="not (")
    return Negated((opening, Edit(start=end, end=end, text=")")), is_hidden=False)


def _unequal(left: ast.expr, right: ast.expr, statement: ast.stmt, test: Test) -> Negated:
    """What makes `left == right` false, also for objects that claim to equal everything."""
    edit = _other_of(right, left, test)
    if edit is not None:
        return Negated((edit,), is_hidden=True)
    for side in (right, left):
        if isinstance(side, ast.Name):
            edits = test.origins.other_value(side.id, test.source, test.random)
            if edits:
                return Negated(edits, is_hidden=True)
    is_computed = test.origins.is_computed
    wanted = left if is_computed(right) and not is_computed(left) else right
    if isinstance(wanted, ast.Name) and _times(wanted.id, statement) == 1:
        # Bound anew, so that whoever reads the variable reads what is not wanted.
        start, _ = test.source.span_of(statement)
        return Negated((Edit(start=start, end=start, text=f"{wanted.id} = object(); "),), False)
    return Negated((test.source.replaced(wanted, "object()"),), is_hidden=False)


def _other_of(first: ast.expr, second: ast.expr, test: Test) -> Edit | None:
    found = test.source.other_literal(first, test.random)
    return found or test.source.other_literal(second, test.random)


def _times(name: str, statement: ast.stmt) -> int:
    return sum(isinstance(node, ast.Name) and node.id == name for node in ast.walk(statement))


def _other_comparison(expression: ast.Compare, test: Test) -> Edit | None:
    source, left, right = test.source, expression.left, expression.comparators[0]
    match expression.ops[0], left, right:
        case ast.Is(), _, ast.Constant(value=bool()):
            return source.other_literal(right, test.random)
        case ast.In(), _, _ if (edit := source.unlikely(left, test.random)) is not None:
            return edit
        case _:
            pass
    start, end = source.span(left)[1], source.span(right)[0]
    opposite = _OPPOSITE_OPERATORS.get(source.between(start, end))
    return None if opposite is None else Edit(start=start, end=end, text=f" {opposite} ")


def _call(call: ast.Call, statement: ast.stmt, test: Test) -> Negated | None:
    """unittest's `self.assertEqual(a, b)` and its like."""
    name = name_of(call.func)
    if name in _RAISES_CALLS:
        return _raises(call, test) if len(call.args) > 1 else None
    if not name.startswith("assert") or not isinstance(call.func, ast.Attribute):
        return None
    if name in _EQUAL_CALLS and len(call.args) >= 2:
        is_plain = not any(word.arg in ("delta", "places") for word in call.keywords)
        is_plain = is_plain and (name != "assertAlmostEqual" or len(call.args) == 2)
        return _unequal(call.args[1], call.args[0], statement, test) if is_plain else None
    if name not in _OPPOSITE_CALLS:
        return None
    _, end = test.source.span(call.func)
    edit = Edit(start=end - len(name.encode()), end=end, text=_OPPOSITE_CALLS[name])
    return Negated((edit,), is_hidden=name in ("assertTrue", "assertFalse"))


def _raises(call: ast.Call, test: Test) -> Negated | None:
    """`pytest.raises(ValueError)` and its like: wants another exception."""
    if name_of(call.func) not in _RAISES_CALLS or not call.args:
        return None
    wanted = call.args[0]
    rare = [name for name in _RARE if not _may_be(wanted, name)]
    if not rare or not isinstance(wanted, ast.Attribute | ast.Name | ast.Tuple):
        return None
    return Negated((test.source.replaced(wanted, test.random.choice(rare)),), is_hidden=True)


def _may_be(wanted: ast.expr, rare: str) -> bool:
    """Whether one of the exceptions that are wanted may be the rare one."""
    named = {name_of(part) for part in (wanted.elts if isinstance(wanted, ast.Tuple) else [wanted])}
    related = {base.__name__ for base in getattr(builtins, rare).__mro__}
    return bool(named & (related - {"BaseException", "Exception"}))
