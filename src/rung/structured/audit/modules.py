"""Python files as syntax trees, and where their names lead: nothing is imported."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rung.structured.audit.bounds import name_of

_MAX_BASES = 40
_CODE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_MODEL_BASES = {
    **dict.fromkeys(("BaseModel", "RootModel", "SQLModel"), "pydantic"),
    **dict.fromkeys(("Enum", "IntEnum", "StrEnum"), "enum"),
    "TypedDict": "typeddict",
    "NamedTuple": "namedtuple",
}


@dataclass(frozen=True, slots=True)
class Module:
    """One file. `aliases` are the names that are given a value, `imports` those of other files, and
    `outputs` the classes that its calls ask for as answers.
    """

    path: Path
    tree: ast.Module
    classes: dict[str, ast.ClassDef] = field(default_factory=dict[str, ast.ClassDef])
    aliases: dict[str, ast.expr] = field(default_factory=dict[str, ast.expr])
    imports: dict[str, tuple[int, str, str]] = field(
        default_factory=dict[str, tuple[int, str, str]]
    )
    outputs: set[str] = field(default_factory=set[str])

    def forget_code(self) -> None:
        """Keeps what models are made of only: a large project's syntax takes hundreds of MB."""
        self.tree.body.clear()
        for node in self.classes.values():
            node.body = [entry for entry in node.body if not isinstance(entry, _CODE)]


Definition = tuple[Module, ast.ClassDef | ast.expr]


def parse_module(path: Path, text: str) -> Module:
    """The file as a module; raises `SyntaxError`, `ValueError` or `RecursionError`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the audited code's own doubtful escapes
        module = Module(path, ast.parse(text, filename=str(path)))
    for node in ast.walk(module.tree):
        match node:
            case ast.ClassDef():
                module.classes.setdefault(node.name, node)
            case ast.ImportFrom():
                for name in node.names:
                    found = (node.level, node.module or "", name.name)
                    module.imports[name.asname or name.name] = found
            case _:
                pass
    for node in module.tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)]):
                module.aliases[name] = node.value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                module.aliases[name] = value
            case _:
                pass
    return module


class Modules:
    """All the modules of an audit, which may refer to each other."""

    def __init__(self, modules: Iterable[Module]) -> None:
        self._by_path = {module.path.resolve(): module for module in modules}

    def __iter__(self) -> Iterator[Module]:
        return iter(self._by_path.values())

    def find(self, module: Module, name: str, depth: int = 0) -> Definition | None:
        """What `name` means in `module`: a class or the value of an alias."""
        if name in module.classes:
            return module, module.classes[name]
        if name in module.aliases:
            return module, module.aliases[name]
        if name not in module.imports or depth > _MAX_BASES:
            return None
        level, dotted, original = module.imports[name]
        source = self._source(module, level, dotted)
        return self.find(source, original, depth + 1) if source is not None else None

    def kind(self, module: Module, node: ast.ClassDef, depth: int = 0) -> str:
        """`pydantic`, `typeddict`, `dataclass`, `namedtuple`, `enum`, or "" for any other class."""
        if any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
            return "dataclass"
        for base in node.bases:
            base = base.value if isinstance(base, ast.Subscript) else base
            name = name_of(base)
            found = self.find(module, name)
            if found is not None and isinstance(found[1], ast.ClassDef) and found[1] is not node:
                kind = self.kind(found[0], found[1], depth + 1) if depth < _MAX_BASES else ""
                if kind:
                    return kind
            elif name in _MODEL_BASES:
                return _MODEL_BASES[name]
        return ""

    def _source(self, module: Module, level: int, dotted: str) -> Module | None:
        parts = dotted.split(".") if dotted else []
        if level:
            folder = module.path.resolve().parents[level - 1]
            return self._at(folder.joinpath(*parts))
        for folder in module.path.resolve().parents:
            found = self._at(folder.joinpath(*parts)) if parts else None
            if found is not None:
                return found
        return None

    def _at(self, stem: Path) -> Module | None:
        file = self._by_path.get(stem.with_name(f"{stem.name}.py"))
        return file or self._by_path.get(stem / "__init__.py")


def fields(node: ast.ClassDef) -> dict[str, ast.AnnAssign]:
    """The annotated names of a class body."""
    return {
        entry.target.id: entry
        for entry in node.body
        if isinstance(entry, ast.AnnAssign) and isinstance(entry.target, ast.Name)
    }
