"""`types[:TOOL]`: does a type checker find anything that it did not find in the project before?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from rung.errors import UsageError
from rung.validation.checks.combine import worst
from rung.validation.checks.type_run import TypeRun
from rung.validation.registry import validator
from rung.validation.sources import Source, sources_of
from rung.validation.type_tools import TYPE_TOOLS, tools_for
from rung.validation.verdict import Candidate, CheckContext, Verdict


def check_tool(argument: str, _base: Path) -> None:
    names = [tool.name for tool in TYPE_TOOLS]
    if argument and argument not in names:
        raise UsageError(f"check 'types:{argument}': the tools are {', '.join(names)}.")


@validator("types", form="types[:TOOL]", rank=35, check_argument=check_tool, runs=8)
async def types(candidate: Candidate, context: CheckContext, argument: str) -> Verdict:
    """`types` or `types:TOOL`: a type checker finds no error that the project has not by itself.

    Python by ty, else mypy, else ruff (undefined names only); TypeScript by tsc; Go by go vet.
    """
    groups: dict[frozenset[str], list[Source]] = {}
    for source in sources_of(candidate, None):
        for languages in {tool.languages for tool in TYPE_TOOLS if argument in ("", tool.name)}:
            if source.language.name in languages:
                groups.setdefault(languages, []).append(source)
    verdicts = [
        await _check_group(languages, sources, candidate, context, argument)
        for languages, sources in groups.items()
    ]
    return worst("types", verdicts, none="nothing to check: no source in a language with a checker")


async def _check_group(
    languages: frozenset[str],
    sources: Sequence[Source],
    candidate: Candidate,
    context: CheckContext,
    name: str,
) -> Verdict:
    """By the first tool that is installed and works here."""
    tools = await asyncio.to_thread(tools_for, languages, context.base, name)
    reasons: list[str] = []
    for installed in tools:
        found = await TypeRun(installed, sources, candidate, context).verdict()
        if isinstance(found, Verdict):
            return found
        reasons.append(found)
    if not reasons:
        wanted = [tool for tool in TYPE_TOOLS if tool.languages == languages]
        needed = [tool.needs for tool in wanted if tool.needs]
        missing = next((file for file in needed if not (context.base / file).is_file()), "")
        reasons.append(f"there is no {missing}" if missing else wanted[0].install)
    evidence = f"{sources[0].language.name}: {'; '.join(reasons)}"
    return Verdict(validator="types", result="unavailable", evidence=evidence)
