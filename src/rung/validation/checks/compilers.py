"""`compile[:LANG]`: does the language's own compiler accept it?"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from rung.validation import languages, sandbox
from rung.validation.checks.endings import forced_end
from rung.validation.checks.syntax import check_language, json_problems
from rung.validation.checks.toolchains import TOOLCHAINS, Installed, Toolchain, find_installed
from rung.validation.interpreter import project_python
from rung.validation.paths import safe_path
from rung.validation.python_compiler import python_problems
from rung.validation.registry import validator
from rung.validation.sources import Source, sources_of
from rung.validation.verdict import Candidate, CheckContext, Result, Verdict

# In the scratch copy, for blocks of text and for what compilers write.
_PRIVATE = ".rung-compile"
_PUBLIC_TYPE = re.compile(
    r"^\s*public\s+(?:\w+\s+){0,4}?(?:class|interface|enum|record)\s+(\w{1,200})", re.M
)
_MODULE_SYNTAX = re.compile(r"^[ \t]*(?:import[\s{*\"']|export[\s{*])", re.M)


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
    return _combine(verdicts)


def _combine(verdicts: Sequence[Verdict]) -> Verdict:
    """The worst of them: a failure counts before a compiler that is missing."""
    for result in ("fail", "error", "unavailable"):
        of_kind = [verdict.evidence for verdict in verdicts if verdict.result == result]
        if of_kind:
            return _verdict(result, "\n".join(of_kind))
    if not verdicts:
        return _verdict(
            "unavailable", "nothing to compile: no source in a language with a compiler"
        )
    return _verdict("pass", "; ".join(verdict.evidence for verdict in verdicts))


async def _compile_language(
    name: str, sources: list[Source], candidate: Candidate, context: CheckContext
) -> Verdict | None:
    """`None` for a language that is not compiled at all, such as YAML."""
    if name in ("python", "json"):
        if name == "python":
            interpreter = project_python(context.base, context.sandbox)
            problems = await python_problems(sources, interpreter)
        else:
            problems = [line for source in sources for line in json_problems(source)]
        evidence = "\n".join(problems) or f"{name}: accepted {_names(sources)}"
        return _verdict("fail" if problems else "pass", evidence)
    chain = TOOLCHAINS.get(name)
    readable = [source for source in sources if chain and _is_read_by(chain, source, candidate)]
    if chain is None or not readable:
        return None
    governing = [file for file in chain.package_files if (context.scratch / file).exists()]
    if governing:
        reason = f"{name}: {governing[0]} governs these files; use the check {chain.instead!r}"
        return _verdict("unavailable", reason)
    installed = await asyncio.to_thread(find_installed, chain, context.base)
    if installed is None:
        return _verdict("unavailable", f"{name}: {chain.tool} is not installed")
    return await _run_toolchain(chain, installed, readable, candidate, context)


async def _run_toolchain(
    chain: Toolchain,
    installed: Installed,
    sources: list[Source],
    candidate: Candidate,
    context: CheckContext,
) -> Verdict:
    out = context.scratch / _PRIVATE / "out"
    out.mkdir(parents=True, exist_ok=True)
    options = [option.replace("{out}", f"{_PRIVATE}/out") for option in chain.options]
    paths = [_place(source, candidate, context.scratch) for source in sources]
    for batch in [[path] for path in paths] if chain.one_at_a_time else [paths]:
        result = await sandbox.run(
            [*installed.command, *options, *batch],
            cwd=context.scratch,
            writable=[context.scratch],
            readable=installed.readable,
            settings=context.sandbox,
        )
        forced = forced_end("compile", result, context.sandbox)
        if forced is not None:
            return forced
        if result.exit_status != 0:
            return _verdict("fail", result.output.replace(f"{context.scratch}/", ""))
    return _verdict("pass", f"{chain.tool}: accepted {_names(sources)}")


def _is_read_by(chain: Toolchain, source: Source, candidate: Candidate) -> bool:
    if not chain.suffixes or source.name not in candidate.files:
        return True
    return PurePosixPath(source.name).suffix in chain.suffixes


def _place(source: Source, candidate: Candidate, scratch: Path) -> str:
    """Where the compiler finds the source: in the project's copy, or in a folder of its own."""
    is_module = source.language.name == "javascript" and _MODULE_SYNTAX.search(source.text)
    if source.name in candidate.files and not is_module:
        return f"./{source.name}"  # a name that starts with a dash is not an option
    stem, extension = "block", ".mjs" if is_module else source.language.extensions[0]
    public = _PUBLIC_TYPE.search(source.text) if source.language.name == "java" else None
    if public:  # javac wants the file named after it
        stem = public[1]
    folder = safe_path(scratch, f"{_PRIVATE}/{source.name.replace('/', '-')}")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}{extension}"
    path.write_bytes(source.text.encode("utf-8", "replace"))
    return f"./{path.relative_to(scratch)}"


def _names(sources: Sequence[Source]) -> str:
    return ", ".join(source.name for source in sources)


def _verdict(result: Result, evidence: str) -> Verdict:
    return Verdict(validator="compile", result=result, evidence=evidence)
