"""The languages that can be checked, as data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from rung.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Language:
    """`grammar` is a tree-sitter wheel's module and its function that gives the language."""

    name: str
    grammar: tuple[str, str]
    extensions: tuple[str, ...]
    aliases: tuple[str, ...] = ()


def _language(
    name: str, extensions: str, aliases: str = "", grammar: tuple[str, str] | None = None
) -> Language:
    return Language(
        name=name,
        grammar=grammar or (f"tree_sitter_{name}", "language"),
        extensions=tuple(extensions.split()),
        aliases=tuple(aliases.split()),
    )


LANGUAGES = (
    _language("python", ".py .pyi", "py python3"),
    _language("javascript", ".js .mjs .cjs .jsx", "js jsx node mjs"),
    _language(
        "typescript", ".ts .mts .cts", "ts", ("tree_sitter_typescript", "language_typescript")
    ),
    _language("tsx", ".tsx", "", ("tree_sitter_typescript", "language_tsx")),
    _language("go", ".go", "golang"),
    _language("rust", ".rs", "rs"),
    _language("java", ".java"),
    _language("c", ".c .h"),
    _language("cpp", ".cpp .cc .cxx .hpp .hh .hxx", "c++ cxx cc"),
    _language("bash", ".sh .bash", "sh shell"),
    _language("json", ".json"),
    _language("yaml", ".yaml .yml", "yml"),
    _language("ruby", ".rb .rake", "rb"),
    _language("c_sharp", ".cs", "csharp c# cs"),
)

_BY_NAME = {alias: entry for entry in LANGUAGES for alias in (entry.name, *entry.aliases)}
_BY_EXTENSION = {extension: entry for entry in LANGUAGES for extension in entry.extensions}


def named(name: str) -> Language | None:
    """The language of a fence's tag or a check's argument: `py`, `Python`, `c++`."""
    return _BY_NAME.get(name.strip().lower())


def of_path(path: str) -> Language | None:
    return _BY_EXTENSION.get(PurePosixPath(path).suffix.lower())


def require(name: str) -> Language:
    """Raises UsageError naming the languages that there are."""
    language = named(name)
    if language is None:
        known = ", ".join(entry.name for entry in LANGUAGES)
        raise UsageError(f"unknown language {name!r}; known are {known}.")
    return language
