"""The schemas of Python files, read and never run: model classes, dict literals, JSON strings."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from typing import Any

from rung.chat import JsonObject
from rung.structured.audit.bounds import name_of
from rung.structured.audit.documents import looks_like_schema, schemas_in
from rung.structured.audit.finding import Found, Place
from rung.structured.audit.models import ModelReader
from rung.structured.audit.modules import Module, Modules
from rung.structured.references import escaped

# A class that is passed under one of these names, or to one of these calls, is an output model.
_ARGUMENTS = {
    *("schema", "response_model", "response_format", "output_type", "output_cls"),
    *("result_type", "text_format", "output_schema"),
}
_CALLS = {"TypeAdapter", "with_structured_output", "as_structured_llm", "compile_schema"}
# Where a computed value must be some schema; anywhere else it is as if it were not there.
_MAPS_OF_SCHEMAS = ("/properties", "/$defs", "/definitions", "/patternProperties")
_LISTS_OF_SCHEMAS = ("/anyOf", "/oneOf", "/allOf", "/prefixItems")
_COMPUTED = object()
_MAX_FOLLOWED = 1_000  # names in one literal
_UNREAD = "part of it is computed, so only running the module would tell"


def model_schemas(modules: Modules, shown: dict[str, str]) -> Iterator[Found]:
    """The schemas of all models, those that no other model holds first."""
    readers: list[tuple[ModelReader, Found, int]] = []
    for module in modules:
        for node in module.classes.values():
            kind = modules.kind(module, node)
            is_output = kind == "pydantic" or (
                kind in ("typeddict", "dataclass") and node.name in module.outputs
            )
            if is_output and not _is_empty(node):
                reader = ModelReader(modules, shown)
                readers.append((reader, reader.read(module, node), id(node)))
    held = {c for reader, _, own in readers for c in reader.classes if c != own}
    covered: set[int] = set()
    for reader, found, own in sorted(readers, key=lambda entry: entry[2] in held):
        if own not in covered:
            covered |= reader.classes
            yield found


def _is_empty(node: ast.ClassDef) -> bool:
    """Whether it has no fields of its own: a common base, or another name for its base."""
    is_parametrised = any(isinstance(base, ast.Subscript) for base in node.bases)
    return not is_parametrised and not any(isinstance(e, ast.AnnAssign) for e in node.body)


def output_names(module: Module) -> set[str]:
    """The names of the classes that some call in the module asks for as its answer."""
    found: set[str] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            found |= {name_of(k.value) for k in node.keywords if k.arg in _ARGUMENTS}
            found |= {name_of(a) for a in node.args} if name_of(node.func) in _CALLS else set()
    return found - {""}


def literal_schemas(module: Module, file: str) -> Iterator[Found]:
    """The outermost dict literals and JSON strings that are schemas, named after their variables.

    Not by recursion: a long sum is nested as deeply as it is long.
    """
    pending: list[tuple[ast.AST, str]] = [(module.tree, "schema")]
    while pending:
        node, name = pending.pop()
        name = _name_given(node) or name
        if isinstance(node, ast.Dict):
            found = _Literal(module, file).read(node, name)
            if found is not None:
                yield found
                continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from _in_string(node.value, name, Place(file, node.lineno))
        pending += [(child, name) for child in reversed(list(ast.iter_child_nodes(node)))]


def _name_given(node: ast.AST) -> str:
    """The name of the variable, argument or function that a statement is about."""
    match node:
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name
        case ast.keyword(arg=str(name)):
            return name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return name
        case _:
            return ""


def _in_string(text: str, name: str, place: Place) -> Iterator[Found]:
    if text.lstrip()[:1] != "{" or '"' not in text:
        return
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return  # most strings are no JSON
    yield from schemas_in(value, name, place, {"": place})


class _Literal:
    """Evaluates a literal, noting where its parts stand and which ones are computed."""

    def __init__(self, module: Module, file: str) -> None:
        self._module = module
        self._file = file
        self._lines: dict[str, Place] = {}
        self._gaps: list[tuple[str, str]] = []
        self._open: list[str] = []  # the names that are being followed
        self._followed = 0

    def read(self, node: ast.Dict, name: str) -> Found | None:
        """The literal, if it is a schema; `name` is its own where it has no title."""
        value = self._value(node, "")
        if not looks_like_schema(value):
            return None
        title = value.get("title")
        called = title if isinstance(title, str) else name
        place = Place(self._file, node.lineno)
        return Found(called, place, value, self._lines, tuple(self._gaps))

    def _value(self, node: ast.expr, pointer: str) -> Any:
        self._lines.setdefault(pointer, Place(self._file, node.lineno))
        aliases = self._module.aliases
        if isinstance(node, ast.Name) and node.id in aliases and node.id not in self._open:
            self._followed += 1
            if self._followed <= _MAX_FOLLOWED:
                self._open.append(node.id)
                value = self._value(aliases[node.id], pointer)
                self._open.pop()
                return value
        match node:
            case ast.Dict():
                return self._dict(node, pointer)
            case ast.List() | ast.Tuple():
                parts = enumerate(node.elts)
                items = [self._value(part, f"{pointer}/{i}") for i, part in parts]
                is_open = pointer.endswith(_LISTS_OF_SCHEMAS)
                return _COMPUTED if _COMPUTED in items and not is_open else _asking(items)
            case _:
                return self._plain(node, pointer)

    def _dict(self, node: ast.Dict, pointer: str) -> JsonObject:
        found: JsonObject = {}
        for key, part in zip(node.keys, node.values, strict=True):
            if key is None:
                inner = self._value(part, pointer)
                found |= inner if isinstance(inner, dict) else {}
            elif isinstance(key, ast.Constant) and isinstance(key.value, str):
                place = f"{pointer}/{escaped(key.value)}"
                self._lines[place] = Place(self._file, key.lineno)
                value = self._value(part, place)
                if value is not _COMPUTED:
                    found[key.value] = value
                elif key.value == "items" or pointer.endswith(_MAPS_OF_SCHEMAS):
                    found[key.value] = {}
            else:
                self._gaps.append((pointer, _UNREAD))
        return found

    def _plain(self, node: ast.expr, pointer: str) -> Any:
        try:
            return ast.literal_eval(node)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            self._gaps.append((pointer, _UNREAD))
            return _COMPUTED


def _asking(items: list[Any]) -> list[Any]:
    """The items, with a schema that asks nothing in place of each computed one."""
    return [{} if item is _COMPUTED else item for item in items]
