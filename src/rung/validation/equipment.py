"""What this machine can check code with: each language's tools, and what to install."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

from rung.validation.checks import own_parser
from rung.validation.checks.toolchains import TOOLCHAINS, find_installed
from rung.validation.interpreter import environments
from rung.validation.javascript_parser import node
from rung.validation.languages import LANGUAGES
from rung.validation.type_tools import TYPE_TOOLS, tools_for

_VERSION = re.compile(r"\d+(?:\.\d+)+")
_VERSION_TIMEOUT_S = 1.5
_VERSION_OPTION = {"go": "version"}  # of the others: --version

# What to install for a compiler whose name is not its package's.
_INSTALL = {
    "gcc": "install gcc",
    "g++": "install g++",
    "gofmt": "install Go",
    "javac": "install a JDK",
    "node": "install Node.js",
    "rustc": "install Rust (rustup)",
    "tsc": "npm install --save-dev typescript",
}
# A part of another language's entry.
_PART_OF_ANOTHER = frozenset({"tsx"})


@dataclass(frozen=True, kw_only=True)
class Equipment:
    """The tools for one language. `missing` says what to install; empty: nothing is lacking."""

    language: str
    parses: bool
    compiler: str
    types: str
    missing: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Tool:
    name: str
    path: Path


async def equipment(base: Path) -> tuple[Equipment, ...]:
    """Every language that can be checked, for the project at `base`, an absolute path.

    Tools are asked for their version, but for those that the project brings along itself: only the
    sandbox runs those.
    """
    shown = [entry.name for entry in LANGUAGES if entry.name not in _PART_OF_ANOTHER]
    grammars = {entry.name: entry.grammar[0] for entry in LANGUAGES}
    found = await asyncio.gather(*(_of(name, grammars[name], base) for name in shown))
    return tuple(found)


async def _of(language: str, grammar: str, base: Path) -> Equipment:
    parses = importlib.util.find_spec(grammar) is not None
    compiler, needed = await asyncio.to_thread(_compiler, language, base)
    types = await asyncio.to_thread(_types, language, base)
    versions = await asyncio.gather(_described(compiler, base), _described(types, base))
    missing = [needed] if compiler is None and needed else []
    if not parses:
        missing.append(f"install rung again: the grammar {grammar} is gone")
    if types is None and (advice := _types_advice(language, base)):
        missing.append(advice)
    own = "own parser" if language in own_parser.LANGUAGES and compiler is None else ""
    return Equipment(
        language=language,
        parses=parses,
        compiler=versions[0] or ("" if needed else own),
        types=versions[1],
        missing=tuple(missing),
    )


def _compiler(language: str, base: Path) -> tuple[_Tool | None, str]:
    """The compiler or parser that is there, and what to install for one (empty: nothing)."""
    if language == "javascript":
        program = node()
        return (_Tool(name="node", path=program) if program else None, _INSTALL["node"])
    chain = TOOLCHAINS.get(language)
    if chain is None:
        return None, ""
    installed = find_installed(chain, base)
    advice = _INSTALL.get(chain.tool, f"install {chain.tool}")
    if installed is None:
        return None, advice
    # A script's interpreter comes first, as Node does for tsc.
    return _Tool(name=chain.tool, path=Path(installed.command[-1])), advice


def _types(language: str, base: Path) -> _Tool | None:
    for installed in tools_for(frozenset({language}), base):
        return _Tool(name=installed.tool.name, path=Path(installed.command[-1]))
    return None


def _types_advice(language: str, base: Path) -> str:
    """What to install for a checker of types, where the project is one that it could check."""
    for tool in TYPE_TOOLS:
        if language in tool.languages and (not tool.needs or (base / tool.needs).is_file()):
            return tool.install
    return ""


async def _described(tool: _Tool | None, base: Path) -> str:
    if tool is None:
        return ""
    if tool.path.is_relative_to(base):
        return f"{tool.name} (the project's)"
    return f"{tool.name} {await _version(tool)}".strip()


async def _version(tool: _Tool) -> str:
    """The version that the tool prints; empty where it does not."""
    if tool.name == "gofmt":  # which has none of its own
        tool = _Tool(name="go", path=tool.path.with_name("go"))
    try:
        process = await asyncio.create_subprocess_exec(
            *(str(tool.path), _VERSION_OPTION.get(tool.name, "--version")),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except OSError:
        return ""
    said = b""
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_VERSION_TIMEOUT_S):
                said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    version = _VERSION.search(said.decode("utf-8", "replace"))
    return version[0] if version else ""


def pytest_version(python: Path, base: Path) -> str | None:
    """The version of pytest that this interpreter of the project has, read from its metadata."""
    homes = [home for home in environments(base) if python.is_relative_to(home)]
    for home in homes or [python.parent.parent]:
        for found in home.glob("lib/python*/site-packages/pytest-*.dist-info"):
            return found.name.removeprefix("pytest-").removesuffix(".dist-info")
    return None
