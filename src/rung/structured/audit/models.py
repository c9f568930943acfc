"""Model classes in source to JSON Schema: pydantic models, TypedDicts, dataclasses, Enums."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from rung.chat import JsonObject
from rung.structured.audit.annotations import arguments_of, schema_of
from rung.structured.audit.bounds import UNREAD, constrained, literal, name_of
from rung.structured.audit.finding import Found, Place
from rung.structured.audit.modules import Module, Modules
from rung.structured.references import escaped

_HIDDEN = {"ClassVar", "PrivateAttr", "InitVar"}
_SOME_VALUE = "…"  # stands for a default that is computed
# A generic class that holds itself with ever new arguments would be read without end.
_MAX_NESTED = 3


class _Body(NamedTuple):
    """One statement of a class body, where it stands, and what its type variables mean there."""

    names: _Names
    owner: ast.ClassDef
    entry: ast.stmt


class ModelReader:
    """Reads one class, and all that it refers to, into one schema."""

    def __init__(self, modules: Modules, shown: dict[str, str]) -> None:
        """`shown` are the names of files, by path, as they are to be reported."""
        self.modules = modules
        self._shown = shown
        self._definitions: JsonObject = {}
        self._names: dict[tuple[int, str], str] = {}
        self._lines: dict[str, Place] = {}
        self._gaps: list[tuple[str, str]] = []
        self._nested: list[int] = []  # the classes that are being read
        self.open: set[int] = set()  # the aliases that are being followed

    def read(self, module: Module, node: ast.ClassDef) -> Found:
        """The schema, as pydantic would write it: the class at the root, the others in $defs."""
        reference = cast(JsonObject, self.class_(module, node, {}))
        name = reference["$ref"].removeprefix("#/$defs/")
        others = {key: part for key, part in self._definitions.items() if key != name}
        prefix = f"/$defs/{name}"
        if f'"{reference["$ref"]}"' in json.dumps(self._definitions):
            schema = {**reference, "$defs": self._definitions}
            prefix = "\0"
        else:
            schema = {**self._definitions[name], **({"$defs": others} if others else {})}
        lines = {pointer.removeprefix(prefix): place for pointer, place in self._lines.items()}
        gaps = tuple((pointer.removeprefix(prefix), why) for pointer, why in self._gaps)
        return Found(node.name, self._place(module, node), schema, lines, gaps)

    @property
    def classes(self) -> set[int]:
        """The ids of the syntax nodes of all classes that were read."""
        return {node for node, _ in self._names}

    def class_(
        self, module: Module, node: ast.ClassDef, variables: dict[str, JsonObject]
    ) -> JsonObject | None:
        """A reference to the class; `variables` are what its type variables stand for."""
        key = (id(node), json.dumps(variables, sort_keys=True))
        if key not in self._names:
            if self._nested.count(id(node)) >= _MAX_NESTED:
                return None
            taken = set(self._names.values())
            free = (node.name, *(f"{node.name}{i}" for i in range(2, len(taken) + 3)))
            name = self._names[key] = next(n for n in free if n not in taken)
            pointer = f"/$defs/{name}"
            self._lines[pointer] = self._place(module, node)
            names = _Names(self, module, variables)
            self._nested.append(id(node))
            self._definitions[name] = self._definition(names, node, pointer)
            self._nested.pop()
        return {"$ref": f"#/$defs/{self._names[key]}"}

    def _place(self, module: Module, node: ast.AST) -> Place:
        path = str(module.path)
        return Place(self._shown.get(path, path), getattr(node, "lineno", 1))

    def _definition(self, names: _Names, node: ast.ClassDef, pointer: str) -> JsonObject:
        kind = self.modules.kind(names.module, node)
        if kind == "enum":
            return _enum(node)
        if kind == "namedtuple":
            return self._tuple(names, node, pointer)
        return self._object(names, node, kind, pointer)

    def _object(self, names: _Names, node: ast.ClassDef, kind: str, pointer: str) -> JsonObject:
        properties: JsonObject = {}
        required: list[str] = []
        found: JsonObject = {"type": "object"}
        doc = ast.get_docstring(node)
        if doc:
            found["description"] = doc
        for body in self._bodies(names, node, set()):
            found |= _configured(body.entry)
            field = body.entry
            if not isinstance(field, ast.AnnAssign) or not _is_field(field):
                continue
            target = cast(ast.Name, field.target).id
            schema, alias, is_required = _field(body, field, kind)
            if target == "root" and _is_root_model(node):
                return self._placed(schema, body.names, field, pointer)
            name = alias or target
            place = f"{pointer}/properties/{escaped(name)}"
            properties[name] = self._placed(schema, body.names, field, place)
            required = [other for other in required if other != name]  # of a base class
            required += [name] if is_required else []
        root = next((b for b in node.bases if _subscripted(b) == "RootModel"), None)
        if isinstance(root, ast.Subscript):
            return self._placed(schema_of(root.slice, names), names, root, pointer)
        return {**found, "properties": properties, **({"required": required} if required else {})}

    def _tuple(self, names: _Names, node: ast.ClassDef, pointer: str) -> JsonObject:
        fields = [entry for entry in node.body if isinstance(entry, ast.AnnAssign)]
        items = [
            self._placed(
                schema_of(field.annotation, names), names, field, f"{pointer}/prefixItems/{i}"
            )
            for i, field in enumerate(fields)
        ]
        least = sum(field.value is None for field in fields)
        return {"type": "array", "prefixItems": items, "minItems": least, "maxItems": len(items)}

    def _bodies(self, names: _Names, node: ast.ClassDef, seen: set[int]) -> Iterator[_Body]:
        """The statements of the class body, after those of its base classes."""
        seen.add(id(node))
        for base in node.bases:
            name = _subscripted(base) or name_of(base)
            source, definition = self.modules.find(names.module, name) or (names.module, base)
            if isinstance(definition, ast.ClassDef) and id(definition) not in seen:
                given = arguments_of(base) if isinstance(base, ast.Subscript) else []
                variables = _variables(definition, [schema_of(part, names) for part in given])
                yield from self._bodies(_Names(self, source, variables), definition, seen)
        for entry in node.body:
            yield _Body(names, node, entry)

    def _placed(self, schema: JsonObject, names: _Names, node: ast.AST, pointer: str) -> JsonObject:
        """The schema without its `UNREAD` marks, which become gaps."""
        self._lines.setdefault(pointer, self._place(names.module, node))
        return cast(JsonObject, self._marks_taken(schema, pointer))

    def _marks_taken(self, value: Any, pointer: str) -> Any:
        if isinstance(value, list):
            parts = enumerate(cast("list[Any]", value))
            return [self._marks_taken(part, f"{pointer}/{i}") for i, part in parts]
        if not isinstance(value, dict):
            return value
        schema = cast(JsonObject, value)
        if UNREAD in schema:
            self._gaps.append((pointer, schema[UNREAD]))
        return {
            key: self._marks_taken(part, f"{pointer}/{escaped(key)}")
            for key, part in schema.items()
            if key != UNREAD
        }


@dataclass(frozen=True, slots=True)
class _Names:
    """What names mean in one module, inside a class with these type variables."""

    reader: ModelReader
    module: Module
    variables: dict[str, JsonObject]

    def schema(self, name: str, arguments: list[JsonObject]) -> JsonObject | None:
        """The schema of a class, an alias or a type variable."""
        if name in self.variables:
            return self.variables[name]
        found = self.reader.modules.find(self.module, name)
        if found is None or id(found[1]) in self.reader.open:
            return None
        source, definition = found
        if isinstance(definition, ast.ClassDef):
            variables = _variables(definition, arguments)
            is_known = bool(self.reader.modules.kind(source, definition))
            return self.reader.class_(source, definition, variables) if is_known else None
        self.reader.open.add(id(definition))
        try:
            found = schema_of(definition, _Names(self.reader, source, {}))
            return None if found.keys() == {UNREAD} else found
        finally:
            self.reader.open.discard(id(definition))

    def expression(self, node: ast.expr) -> ast.expr:
        """What a name stands for; the node itself if it is no name that is known."""
        name = name_of(node)
        found = self.reader.modules.find(self.module, name) if name else None
        return found[1] if found is not None and isinstance(found[1], ast.expr) else node


def _variables(node: ast.ClassDef, arguments: list[JsonObject]) -> dict[str, JsonObject]:
    """What the type variables of a generic class stand for."""
    generic = next((b for b in node.bases if _subscripted(b) in ("Generic", "Protocol")), None)
    declared = arguments_of(generic) if isinstance(generic, ast.Subscript) else []
    names = [name_of(part) for part in declared]
    names += [str(part.name) for part in getattr(node, "type_params", [])]  # PEP 695
    return dict(zip(names, arguments, strict=False))


def _field(body: _Body, field: ast.AnnAssign, kind: str) -> tuple[JsonObject, str, bool]:
    """The schema, the alias, and whether the field is required."""
    schema = schema_of(field.annotation, body.names)
    if kind == "typeddict":
        return schema, "", _is_required_key(body.owner, field.annotation)
    value, alias = field.value, ""
    default: Any = ...
    if isinstance(value, ast.Call) and name_of(value.func) in ("Field", "field"):
        schema = constrained(schema, value, body.names)
        given = {keyword.arg: keyword.value for keyword in value.keywords}
        named = given.get("alias", given.get("validation_alias"))
        alias = str(named.value) if isinstance(named, ast.Constant) else ""
        default = _default(given.get("default", value.args[0] if value.args else None))
        if "default_factory" in given:
            default = _SOME_VALUE
    elif value is not None:
        default = _default(value)
    if default is ...:
        return schema, alias, True
    return {**schema, "default": default}, alias, False


def _is_required_key(owner: ast.ClassDef, annotation: ast.expr) -> bool:
    is_total = not any(
        k.arg == "total" and getattr(k.value, "value", True) is False for k in owner.keywords
    )
    marker = _subscripted(annotation)
    return marker == "Required" or (is_total and marker != "NotRequired")


def _is_field(node: ast.AnnAssign) -> bool:
    is_public = isinstance(node.target, ast.Name) and not node.target.id.startswith("_")
    parts = {name_of(part) for part in ast.walk(node.annotation)}
    return is_public and node.target.id != "model_config" and not _HIDDEN & parts  # pyright: ignore


def _configured(entry: ast.stmt) -> JsonObject:
    """What `model_config` says of properties that are not declared."""
    match entry:
        case (
            ast.Assign(targets=[ast.Name(id="model_config")], value=value)
            | ast.AnnAssign(target=ast.Name(id="model_config"), value=ast.expr() as value)
        ):
            pass
        case _:
            return {}
    extra: Any = None
    if isinstance(value, ast.Call):
        extra = next((literal(k.value) for k in value.keywords if k.arg == "extra"), None)
    elif isinstance(found := literal(value), dict):
        extra = cast(JsonObject, found).get("extra")
    known = {"forbid": False, "allow": True}
    return {"additionalProperties": known[extra]} if extra in known else {}


def _enum(node: ast.ClassDef) -> JsonObject:
    values: list[Any] = []
    for entry in node.body:
        if isinstance(entry, ast.Assign) and isinstance(entry.targets[0], ast.Name):
            is_literal = isinstance(entry.value, ast.Constant)
            values.append(literal(entry.value) if is_literal else entry.targets[0].id)
    return {"enum": values} if values else {"type": "string"}


def _subscripted(node: ast.expr) -> str:
    """`Name` of `Name[…]`; "" for anything else."""
    return name_of(node.value) if isinstance(node, ast.Subscript) else ""


def _is_root_model(node: ast.ClassDef) -> bool:
    return any("RootModel" in ast.unparse(base) for base in node.bases)


def _default(node: ast.expr | None) -> Any:
    """The value of a default; `...` where there is none."""
    if node is None or (isinstance(node, ast.Constant) and node.value is ...):
        return ...
    value = literal(node)
    is_plain = isinstance(value, str | int | float | bool | None)
    return value if is_plain else _SOME_VALUE
