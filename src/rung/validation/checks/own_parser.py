"""The parsers of the languages themselves, where one is quick enough to be asked every time."""

from __future__ import annotations

import asyncio
import json
from pathlib import PurePosixPath

from rung.validation.checks.tree import has_jsx
from rung.validation.interpreter import project_python
from rung.validation.javascript_parser import javascript_problem, node
from rung.validation.python_compiler import python_problem
from rung.validation.sources import Source
from rung.validation.verdict import CheckContext

LANGUAGES = frozenset({"javascript", "json", "python"})
_LONGEST_LINE = 200


async def own_problem(source: Source, context: CheckContext) -> str | None:
    """The first problem as `name:line:column: message` with its line; empty if it parses.

    `None` where there is no such parser: of another language, Node is not installed, or it is JSX,
    which Node does not read.
    """
    match source.language.name:
        case "json":
            return json_problem(source)
        case "python":
            return await python_problem(source, project_python(context.base, context.sandbox))
        case "javascript":
            return await _javascript_problem(source, context)
        case _:
            return None


async def _javascript_problem(source: Source, context: CheckContext) -> str | None:
    program = node()
    if program is None or PurePosixPath(source.name).suffix == ".jsx":
        return None
    problem = await javascript_problem(source, program, context.base)
    return None if problem and await asyncio.to_thread(has_jsx, source) else problem


def json_problem(source: Source) -> str:
    try:
        json.loads(source.text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        line = source.text.split("\n")[error.lineno - 1].strip()[:_LONGEST_LINE]
        return f"{source.name}:{error.lineno}:{error.colno}: {error.msg}\n    {line}"
    except (ValueError, RecursionError) as error:
        return f"{source.name}:1:1: {error}"
    return ""


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
