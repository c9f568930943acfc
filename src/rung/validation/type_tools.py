"""The type checkers that `types` can call, as data, and where they are installed."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rung.validation.installed import installation
from rung.validation.interpreter import environments
from rung.validation.javascript_parser import node
from rung.validation.languages import of_path
from rung.validation.sandbox import confinement

# Files that say how strict a checker is: the project's own, whatever the candidate has.
CONFIGURATION = (
    *("pyproject.toml", "ty.toml", "mypy.ini", ".mypy.ini", "setup.cfg"),
    *("tsconfig.json", "package.json", "go.mod", "go.sum", "go.work"),
)
_PYTHON, _TYPESCRIPT = frozenset({"python"}), frozenset({"typescript", "tsx"})
_EXTRA = "install rung[types], or ty, mypy or ruff in the project's environment"


@dataclass(frozen=True, kw_only=True)
class TypeTool:
    """How to have one project checked.

    In `options`, `{python}` is the project's interpreter; they are followed by the candidate's
    files, or by `whole` where the tool looks at the whole project. `diagnostic` finds errors (not
    warnings) in its output. `missing_module` finds, in a message, a module that is not installed.
    `silencer` finds comments that switch the tool off; blanking its groups makes them harmless.
    `needs` is the file without which the tool cannot work. An `is_compiler` is what `compile` uses,
    too, where the project has that file.
    """

    name: str
    languages: frozenset[str]
    options: tuple[str, ...]
    whole: tuple[str, ...] = ()
    diagnostic: re.Pattern[str]
    missing_module: re.Pattern[str] | None = None
    silencer: re.Pattern[str] | None = None
    needs: str = ""
    install: str
    env: tuple[tuple[str, str], ...] = ()
    what: str = "types"
    is_compiler: bool = False


_PYTHON_SILENCER = re.compile(r"#\s*(?:type|ty)\s*(:)\s*ignore|#\s*mypy\s*(:)")

TSC_DIAGNOSTIC = re.compile(
    r"(?P<path>[^\s(][^(]*)\((?P<line>\d+),\d+\): error (?P<rule>TS\d+): (?P<message>.*)"
)

# The first that is installed is used.
TYPE_TOOLS = (
    TypeTool(
        name="ty",
        languages=_PYTHON,
        options=(
            *("check", "--output-format", "concise", "--no-progress", "--color", "never"),
            *("--exit-zero-on-warning", "--no-respect-ignore-files"),
            *("--project", ".", "--python", "{python}"),
        ),
        whole=(".",),
        diagnostic=re.compile(
            r"(?P<path>[^\s:][^:]*):(?P<line>\d+):\d+: error\[(?P<rule>[\w-]+)\] (?P<message>.*)"
        ),
        missing_module=re.compile(r"Cannot resolve imported module `([\w.]+)`"),
        silencer=_PYTHON_SILENCER,
        install=_EXTRA,
    ),
    TypeTool(
        name="mypy",
        languages=_PYTHON,
        options=(
            *("--no-error-summary", "--no-pretty", "--hide-error-context", "--no-color-output"),
            *("--check-untyped-defs", "--cache-dir=/dev/null", "--python-executable", "{python}"),
            *("--disable-error-code", "import-untyped", "--"),
        ),
        diagnostic=re.compile(
            r"(?P<path>[^\s:][^:]*):(?P<line>\d+): error: (?P<message>.*?)"
            r"(?:  \[(?P<rule>[\w-]+)\])?$"
        ),
        missing_module=re.compile(r'library stub for module named "([\w.]+)"'),
        silencer=_PYTHON_SILENCER,
        install=_EXTRA,
        env=(("MYPYPATH", "src"),),
    ),
    TypeTool(
        name="ruff",
        languages=_PYTHON,
        what="undefined names",
        options=(
            *("check", "--isolated", "--no-cache", "--output-format", "concise", "--quiet"),
            *("--ignore-noqa", "--select", "E9,F821,F822,F823", "--"),
        ),
        diagnostic=re.compile(
            r"(?P<path>[^\s:][^:]*):(?P<line>\d+):\d+: (?P<rule>[\w-]+):? (?P<message>.*)"
        ),
        install=_EXTRA,
    ),
    TypeTool(
        name="tsc",
        languages=_TYPESCRIPT,
        options=("--noEmit", "--pretty", "false", "--incremental", "false", "-p"),
        whole=("tsconfig.json",),
        diagnostic=TSC_DIAGNOSTIC,
        missing_module=re.compile(r"Cannot find module '([^']+)'"),
        silencer=re.compile(r"(@)ts-(?:ignore|nocheck|expect-error)"),
        needs="tsconfig.json",
        is_compiler=True,
        install="install TypeScript in the project (npm install --save-dev typescript)",
    ),
    TypeTool(
        name="go",
        what="go vet",
        languages=frozenset({"go"}),
        options=("vet",),
        whole=("./...",),
        diagnostic=re.compile(
            r"(?:vet: )?(?P<path>[^\s:#][^:]*\.go):(?P<line>\d+):(?:\d+:)? (?P<message>.*)"
        ),
        needs="go.mod",
        install="install Go",
        env=(
            ("GOCACHE", "/tmp/go-cache"),  # noqa: S108 - the sandbox's own
            ("GOMODCACHE", str(Path.home() / "go" / "pkg" / "mod")),
            *(("GOPROXY", "off"), ("GOTOOLCHAIN", "local"), ("GOFLAGS", "-mod=readonly")),
        ),
    ),
)


@dataclass(frozen=True, kw_only=True)
class InstalledTool:
    """A checker that is there: how to start it, and what the sandbox must be able to read."""

    tool: TypeTool
    command: tuple[str, ...]
    readable: tuple[Path, ...]


def tools_for(languages: frozenset[str], base: Path, name: str = "") -> list[InstalledTool]:
    """The checkers of these languages that are installed, the preferred one first.

    `base` is the project's root: its own environment comes first. `name` wants a certain one.
    """
    found = (
        _find(tool, base)
        for tool in TYPE_TOOLS
        if languages <= tool.languages and name in ("", tool.name)
    )
    return [installed for installed in found if installed is not None]


def has_types(paths: Iterable[str], base: Path) -> bool:
    """Whether any of these files has a checker here that shows more than `compile` does."""
    languages = {language.name for path in paths if (language := of_path(path))}
    found = (tools_for(frozenset({language}), base) for language in languages)
    return any(not installed.tool.is_compiler for tools in found for installed in tools)


def _find(tool: TypeTool, base: Path) -> InstalledTool | None:
    if tool.needs and not (base / tool.needs).is_file():
        return None
    places = (
        *(environment / "bin" for environment in environments(base)),
        base / "node_modules" / ".bin",
        Path(sys.executable).parent,
    )
    beside = (place / tool.name for place in places if (place / tool.name).is_file())
    found = next(beside, None) or shutil.which(tool.name)
    if found is None:
        return None
    path = Path(found).resolve()
    if tool.name == "tsc":
        return _with_node(tool, path, base)
    interpreter = path.parent / "python"
    is_python = interpreter.exists()
    readable = confinement.interpreter_paths(interpreter) if is_python else installation(path)
    modules = Path.home() / "go" / "pkg" / "mod"
    return InstalledTool(
        tool=tool,
        command=(str(path),),
        readable=(*readable, modules) if tool.name == "go" and modules.is_dir() else readable,
    )


def _with_node(tool: TypeTool, script: Path, base: Path) -> InstalledTool | None:
    program = node()
    if program is None:
        return None
    packages = base / "node_modules"
    readable = (script.parent.parent, *installation(program))
    return InstalledTool(
        tool=tool,
        command=(str(program), str(script)),
        readable=(*readable, packages) if packages.is_dir() else readable,
    )
