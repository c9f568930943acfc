"""`syntax[:LANG]`: does it parse? Asks the language's own quick parser, else tree-sitter."""

from __future__ import annotations

import asyncio
from pathlib import Path

from rung.validation import languages
from rung.validation.checks.own_parser import own_problem
from rung.validation.checks.toolchain_run import parser_accepts
from rung.validation.checks.toolchains import TOOLCHAINS
from rung.validation.checks.tree import MOST_PROBLEMS, tree_problems
from rung.validation.registry import validator
from rung.validation.sources import Source, sources_of
from rung.validation.verdict import Candidate, CheckContext, Verdict


def check_language(argument: str, _base: Path) -> None:
    if argument:
        languages.require(argument)


@validator("syntax", form="syntax[:LANG]", rank=20, check_argument=check_language, reads_only=True)
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
    problems: list[str] = []
    for source in sources:
        problems += await _problems(source, context)
    names = ", ".join(source.name for source in sources)
    return Verdict(
        validator="syntax",
        result="fail" if problems else "pass",
        evidence="\n".join(problems[:MOST_PROBLEMS]) or f"parsed {names}",
    )


async def _problems(source: Source, context: CheckContext) -> list[str]:
    # Tree-sitter accepts most Python programs that CPython refuses: bad indentation, for one.
    own = await own_problem(source, context)
    if own is not None:
        return [own] if own else []
    problems = await asyncio.to_thread(tree_problems, source)
    chain = TOOLCHAINS.get(source.language.name)
    if problems and chain is not None and chain.is_parser:
        # And its grammar does not cover all of a language such as Bash.
        return [] if await parser_accepts(chain, source, context) else problems
    return problems
