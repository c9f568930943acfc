"""Model classes in source to JSON Schema: pydantic models, TypedDicts, dataclasses, Enums."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from rung.chat import JsonObject
from rung.structured.audit.annotations import constrained, name_of, schema_of
from rung.structured.audit.finding import Found, Place
from rung.structured.audit.modules import Module, Modules
from rung.structured.references import escaped

_HIDDEN = {"ClassVar", "PrivateAttr", "InitVar"}
_SOME_VALUE = "…"  # stands for a default that is computed


class ModelReader:
    """Reads one class, and all that it refers to, into the `$defs` of one schema."""

    def __init__(self, modules: Modules, shown: dict[str, str]) -> None:
        """`shown` are the names of files, by path, as they are to be reported."""
        self._modules = modules
        self._shown = shown
        self._definitions: JsonObject = {}
        self._names: dict[int, str] = {}
        self._lines: dict[str, Place] = {}
        self._gaps: list[tuple[str, str]] = []
        self._open: set[int] = set()  # the aliases that are being followed

    def read(self, module: Module, node: ast.ClassDef) -> Found:
        reference = self._class(module, node)
        schema = {**reference, "$defs": self._definitions}
        return Found(node.name, self._place(module, node), schema, self._lines, tuple(self._gaps))

    @property
    def classes(self) -> set[int]:
        """The ids of the syntax nodes of all classes that were read."""
        return set(self._names)

    def _place(self, module: Module, node: ast.AST) -> Place:
        path = str(module.path)
        return Place(self._shown.get(path, path), getattr(node, "lineno", 1))

    def _class(self, module: Module, node: ast.ClassDef) -> JsonObject:
        if id(node) not in self._names:
            taken = set(self._names.values())
            free = (node.name, *(f"{node.name}{i}" for i in range(2, len(taken) + 3)))
            name = self._names[id(node)] = next(n for n in free if n not in taken)
            pointer = f"/$defs/{name}"
            self._lines[pointer] = self._place(module, node)
            kind = self._modules.kind(module, node)
            if kind == "enum":
                self._definitions[name] = self._enum(node)
            else:
                self._definitions[name] = self._object(module, node, kind, pointer)
        return {"$ref": f"#/$defs/{self._names[id(node)]}"}

    def _enum(self, node: ast.ClassDef) -> JsonObject:
        values: list[Any] = []
        for entry in node.body:
            if isinstance(entry, ast.Assign) and isinstance(entry.targets[0], ast.Name):
                is_literal = isinstance(entry.value, ast.Constant)
                values.append(ast.literal_eval(entry.value) if is_literal else entry.targets[0].id)
        return {"enum": values} if values else {"type": "string"}

    def _object(self, module: Module, node: ast.ClassDef, kind: str, pointer: str) -> JsonObject:
        properties: JsonObject = {}
        required: list[str] = []
        for source, owner, field in self._fields(module, node, set()):
            target = field.target
            if not isinstance(target, ast.Name) or target.id.startswith("_"):
                continue
            if _HIDDEN & _names_in(field.annotation):
                continue
            schema, alias, is_required = self._field(source, field, kind, owner)
            if target.id == "root" and _is_root_model(node):
                return self._with_gap(schema, source, field, pointer)
            name = alias or target.id
            place = f"{pointer}/properties/{escaped(name)}"
            properties[name] = self._with_gap(schema, source, field, place)
            required = [other for other in required if other != name]  # of a base class
            required += [name] if is_required else []
        base = next((b for b in node.bases if isinstance(b, ast.Subscript)), None)
        if base is not None and name_of(base.value) == "RootModel":
            return self._with_gap(self._annotated(module, base.slice), module, base, pointer)
        doc = ast.get_docstring(node)
        described = {"description": doc} if doc else {}
        named = {"required": required} if required else {}
        return {"type": "object", **described, "properties": properties, **named}

    def _fields(
        self, module: Module, node: ast.ClassDef, seen: set[int]
    ) -> Iterator[tuple[Module, ast.ClassDef, ast.AnnAssign]]:
        """The annotated fields, those of base classes first."""
        seen.add(id(node))
        for base in node.bases:
            found = self._modules.find(module, name_of(base))
            source, definition = found or (module, base)
            if isinstance(definition, ast.ClassDef) and id(definition) not in seen:
                yield from self._fields(source, definition, seen)
        for entry in node.body:
            if isinstance(entry, ast.AnnAssign):
                yield module, node, entry

    def _field(
        self, module: Module, field: ast.AnnAssign, kind: str, owner: ast.ClassDef
    ) -> tuple[JsonObject | None, str, bool]:
        """The schema, the alias, and whether the field is required."""
        schema = self._annotated(module, field.annotation)
        value, alias = field.value, ""
        default: Any = ...
        if isinstance(value, ast.Call) and name_of(value.func) in ("Field", "field"):
            schema = None if schema is None else constrained(schema, value)
            given = {keyword.arg: keyword.value for keyword in value.keywords}
            named = given.get("alias", given.get("validation_alias"))
            alias = named.value if isinstance(named, ast.Constant) else ""
            positional = value.args[0] if value.args else None
            default = _default(given.get("default", positional))
            if "default_factory" in given:
                default = _SOME_VALUE
        elif value is not None:
            default = _default(value)
        if kind == "typeddict":
            is_total = not any(
                k.arg == "total" and getattr(k.value, "value", True) is False
                for k in owner.keywords
            )
            outer = field.annotation
            marker = name_of(outer.value) if isinstance(outer, ast.Subscript) else ""
            return schema, "", marker == "Required" or (is_total and marker != "NotRequired")
        if default is not ... and schema is not None:
            schema = {**schema, "default": default}
        return schema, str(alias), default is ...

    def _annotated(self, module: Module, annotation: ast.expr) -> JsonObject | None:
        return schema_of(annotation, lambda name: self._named(module, name))

    def _named(self, module: Module, name: str) -> JsonObject | None:
        found = self._modules.find(module, name)
        if found is None or id(found[1]) in self._open:
            return None
        source, definition = found
        if isinstance(definition, ast.ClassDef):
            is_known = bool(self._modules.kind(source, definition))
            return self._class(source, definition) if is_known else None
        self._open.add(id(definition))
        try:
            return self._annotated(source, definition)
        finally:
            self._open.discard(id(definition))

    def _with_gap(
        self, schema: JsonObject | None, module: Module, node: ast.AST, pointer: str
    ) -> JsonObject:
        self._lines.setdefault(pointer, self._place(module, node))
        if schema is None:
            annotation = getattr(node, "annotation", node)
            why = f"its type, {ast.unparse(annotation)[:80]}, is not defined in the files read"
            self._gaps.append((pointer, why))
        return schema or {}


def _is_root_model(node: ast.ClassDef) -> bool:
    return any("RootModel" in ast.unparse(base) for base in node.bases)


def _names_in(annotation: ast.expr) -> set[str]:
    return {name_of(part) for part in ast.walk(annotation) if isinstance(part, ast.expr)}


def _default(node: ast.expr | None) -> Any:
    """The value of a default; `...` where there is none."""
    if node is None or (isinstance(node, ast.Constant) and node.value is ...):
        return ...
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return _SOME_VALUE
    return value if isinstance(value, str | int | float | bool | None) else _SOME_VALUE
