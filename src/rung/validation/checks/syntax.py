"""`syntax[:LANG]`: does it parse? Tree-sitter, and Python's and JSON's own parsers."""

from __future__ import annotations

import asyncio
import functools
import importlib
import json
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from tree_sitter import Language as Grammar
from tree_sitter import Node, Parser

from rung.validation import languages
from rung.validation.interpreter import project_python
from rung.validation.languages import Language
from rung.validation.python_compiler import python_problems
from rung.validation.registry import validator
from rung.validation.sources import Source, sources_of
from rung.validation.verdict import Candidate, CheckContext, Verdict

_MOST_PROBLEMS = 10
_LONGEST_LINE = 200
_LONGEST_PARSE_S = 2.0
_SLICE_BYTES = 64 * 1024
_LARGEST_BYTES = 4 * 1024 * 1024


def check_language(argument: str, _base: Path) -> None:
    if argument:
        languages.require(argument)


@validator("syntax", form="syntax[:LANG]", rank=20, check_argument=check_language)
async def syntax(candidate: Candidate, context: CheckContext, argument: str) -> Verdict:
    """`syntax` or `syntax:LANG`: every file, or fenced block of the answer, parses.

    LANG limits the check to one language; without it files go by extension, blocks by their tag.
    """
    sources = sources_of(candidate, languages.require(argument) if argument else None)
    if not sources:
        return Verdict(
            validator="syntax",
            result="unavailable",
            evidence="nothing to check: no file or fenced block in a known language",
        )
    python = [source for source in sources if source.language.name == "python"]
    others = [source for source in sources if source.language.name != "python"]
    problems = await asyncio.to_thread(lambda: [line for one in others for line in _parse(one)])
    if python:
        # Tree-sitter accepts most Python programs that CPython refuses: bad indentation, for one.
        interpreter = project_python(context.base, context.sandbox)
        problems += await python_problems(python, interpreter)
    names = ", ".join(source.name for source in sources)
    return Verdict(
        validator="syntax",
        result="fail" if problems else "pass",
        evidence="\n".join(problems[:_MOST_PROBLEMS]) or f"parsed {names}",
    )


def _parse(source: Source) -> list[str]:
    if source.language.name == "json":
        return json_problems(source)
    content = source.text.encode("utf-8", "replace")
    if len(content) > _LARGEST_BYTES:
        return [f"{source.name}:1:1: larger than {_LARGEST_BYTES // 1024**2} MiB, not parsed"]
    deadline = time.monotonic() + _LONGEST_PARSE_S

    def read(offset: int, _point: object) -> bytes:
        return content[offset : offset + _SLICE_BYTES]

    def is_too_long(*_progress: object) -> bool:
        return time.monotonic() > deadline

    try:
        # In slices: only so does the parser ask whether to go on, and let other threads run.
        parser = Parser(_grammar(source.language))
        root = parser.parse(read, progress_callback=is_too_long).root_node
    except ValueError:
        return [f"{source.name}:1:1: so broken that parsing took over {_LONGEST_PARSE_S:g} s"]
    return _problems(source.name, root, content.split(b"\n"))


def _problems(name: str, root: Node, lines: list[bytes]) -> list[str]:
    found: list[str] = []
    for node in _errors_below(root):
        row, column = node.start_point.row, node.start_point.column
        what = f"missing {node.type}" if node.is_missing else "syntax error"
        line = lines[row].decode("utf-8", "replace").strip()[:_LONGEST_LINE]
        found.append(f"{name}:{row + 1}:{column + 1}: {what}\n    {line}")
        if len(found) == _MOST_PROBLEMS:
            break
    return found


def _errors_below(root: Node) -> Iterator[Node]:
    """Error and missing nodes in the order of the text; iterative, for any depth of nesting."""
    pending = [root]
    while pending:
        node = pending.pop()
        if node.is_error or node.is_missing:
            yield node
        elif node.has_error:
            pending.extend(reversed(node.children))


@functools.cache
def _grammar(language: Language) -> Grammar:
    module, function = language.grammar
    pointer = getattr(importlib.import_module(module), function)()
    with warnings.catch_warnings():
        # Some wheels still give the pointer as an integer.
        warnings.simplefilter("ignore", DeprecationWarning)
        return Grammar(pointer)  # pyright: ignore[reportDeprecated]


def json_problems(source: Source) -> list[str]:
    try:
        json.loads(source.text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        line = source.text.split("\n")[error.lineno - 1].strip()[:_LONGEST_LINE]
        return [f"{source.name}:{error.lineno}:{error.colno}: {error.msg}\n    {line}"]
    except (ValueError, RecursionError) as error:
        return [f"{source.name}:1:1: {error}"]
    return []


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
