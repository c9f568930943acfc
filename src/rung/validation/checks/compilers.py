"""`compile[:LANG]`: does the language's own compiler accept it?"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

from rung.validation import languages
from rung.validation.checks import own_parser
from rung.validation.checks.baseline import Baseline
from rung.validation.checks.combine import worst
from rung.validation.checks.diagnostics import Diagnostic, parse
from rung.validation.checks.endings import forced_end
from rung.validation.checks.syntax import check_language
from rung.validation.checks.toolchain_run import PRIVATE, run_toolchain
from rung.validation.checks.toolchains import TOOLCHAINS, Installed, Toolchain, find_installed
from rung.validation.checks.type_run import TypeRun
from rung.validation.javascript_parser import node
from rung.validation.paths import safe_path
from rung.validation.registry import validator
from rung.validation.sandbox import SandboxResult
from rung.validation.sources import Source, sources_of
from rung.validation.type_tools import tools_for
from rung.validation.verdict import Candidate, CheckContext, Result, Verdict
from rung.wording import counted

_PUBLIC_TYPE = re.compile(
    r"^\s*public\s+(?:\w+\s+){0,4}?(?:class|interface|enum|record)\s+(\w{1,200})", re.M
)


@validator("compile", form="compile[:LANG]", rank=30, check_argument=check_language, runs=4)
async def compile_sources(candidate: Candidate, context: CheckContext, argument: str) -> Verdict:
    """`compile` or `compile:LANG`: each language's own compiler accepts every file, or block.

    Nothing is linked or run. A language whose toolchain is not installed makes it `unavailable`.
    """
    sources = sources_of(candidate, languages.require(argument) if argument else None)
    by_language: dict[str, list[Source]] = {}
    for source in sources:
        by_language.setdefault(source.language.name, []).append(source)
    verdicts = [
        verdict
        for name, group in by_language.items()
        if (verdict := await _compile_language(name, group, candidate, context)) is not None
    ]
    none = "nothing to compile: no source in a language with a compiler"
    return worst("compile", verdicts, none=none)


async def _compile_language(
    name: str, sources: list[Source], candidate: Candidate, context: CheckContext
) -> Verdict | None:
    """`None` for a language that is not compiled at all, such as YAML."""
    if name in own_parser.LANGUAGES:
        return await _parse(name, sources, context)
    chain = TOOLCHAINS.get(name)
    if chain is None:
        return None
    governing = [file for file in chain.package_files if (context.scratch / file).exists()]
    if governing:
        reason = f"{name}: {governing[0]} governs these files; use the check {chain.instead!r}"
        found = await _compile_project(name, sources, candidate, context)
        return found or _verdict("unavailable", reason)
    installed = await asyncio.to_thread(find_installed, chain, context.base)
    if installed is None:
        return _verdict("unavailable", f"{name}: {chain.tool} is not installed")
    compiling = _Compiling(chain, installed, candidate, context)
    return await compiling.verdict(sources)


async def _compile_project(
    name: str, sources: list[Source], candidate: Candidate, context: CheckContext
) -> Verdict | None:
    """By the checker that looks at a whole project, where the language has one that compiles."""
    tools = await asyncio.to_thread(tools_for, frozenset({name}), context.base)
    for installed in tools:
        if installed.tool.is_compiler:
            found = await TypeRun(installed, sources, candidate, context).verdict()
            return found if isinstance(found, Verdict) else _verdict("unavailable", found)
    return None


async def _parse(name: str, sources: list[Source], context: CheckContext) -> Verdict | None:
    """For languages whose own parser is all that there is to a compiler."""
    problems = [await own_parser.own_problem(source, context) for source in sources]
    if any(problems):
        return _verdict("fail", "\n".join(problem for problem in problems if problem))
    parsed = [source for source, problem in zip(sources, problems, strict=True) if problem == ""]
    if parsed:
        return _verdict("pass", f"{name}: accepted {_names(parsed)}")
    if name == "javascript" and node() is None:
        return _verdict("unavailable", f"{name}: node is not installed")
    return None


class _Compiling:
    """One toolchain, and one candidate in its scratch copy."""

    def __init__(
        self, chain: Toolchain, installed: Installed, candidate: Candidate, context: CheckContext
    ) -> None:
        self._chain = chain
        self._installed = installed
        self._candidate = candidate
        self._context = context

    async def verdict(self, sources: Sequence[Source]) -> Verdict:
        paths = [_place(source, self._candidate, self._context.scratch) for source in sources]
        results = await self._run(paths)
        for result in results:
            forced = forced_end("compile", result, self._context.sandbox)
            if forced is not None:
                return forced
        if all(result.exit_status == 0 for result in results):
            return _verdict("pass", f"{self._chain.tool}: accepted {_names(sources)}")
        output = "\n".join(result.output for result in results if result.exit_status != 0)
        return await self._refused(sources, output.replace(f"{self._context.scratch}/", ""))

    async def _refused(self, sources: Sequence[Source], output: str) -> Verdict:
        """Only errors that the project does not have by itself are the candidate's fault."""
        baseline = Baseline(self._candidate, self._context)
        theirs = [source.name for source in sources if source.name in baseline.names]
        now = self._read(output)
        if not theirs or not now:
            return _verdict("fail", output)

        async def look_again() -> list[Diagnostic]:
            results = await self._run([f"./{name}" for name in theirs])
            return self._read("\n".join(result.output for result in results))

        new = await baseline.new(now, look_again)
        if len(new) == len(now):
            return _verdict("fail", output)
        old = f"{counted(len(now) - len(new), 'error')} that the project has without it"
        if new:
            return _verdict("fail", f"{baseline.describe(new)}\n(and {old})")
        shown = baseline.describe(now)
        return _verdict("unavailable", f"{self._chain.tool} sees no new error, but {old}:\n{shown}")

    async def _run(self, paths: Sequence[str]) -> list[SandboxResult]:
        scratch, settings = self._context.scratch, self._context.sandbox
        return await run_toolchain(self._chain, self._installed, paths, scratch, settings)

    def _read(self, output: str) -> list[Diagnostic]:
        pattern = self._chain.diagnostic
        return [] if pattern is None else parse(pattern, output, str(self._context.scratch))


def _place(source: Source, candidate: Candidate, scratch: Path) -> str:
    """Where the compiler finds the source: in the project's copy, or in a folder of its own."""
    if source.name in candidate.files:
        return f"./{source.name}"  # a name that starts with a dash is not an option
    public = _PUBLIC_TYPE.search(source.text) if source.language.name == "java" else None
    stem = public[1] if public else "block"  # javac wants the file named after it
    folder = safe_path(scratch, f"{PRIVATE}/{source.name.replace('/', '-')}")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}{source.language.extensions[0]}"
    path.write_bytes(source.text.encode("utf-8", "replace"))
    return f"./{path.relative_to(scratch)}"


def _names(sources: Sequence[Source]) -> str:
    return ", ".join(source.name for source in sources)


def _verdict(result: Result, evidence: str) -> Verdict:
    return Verdict(validator="compile", result=result, evidence=evidence)
