"""A type checker at work on a candidate, and on what the project had in its place."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Sequence

from rung.validation import sandbox
from rung.validation.checks.baseline import Baseline
from rung.validation.checks.diagnostics import Diagnostic, parse
from rung.validation.checks.endings import exit_words
from rung.validation.interpreter import environments, project_python
from rung.validation.paths import safe_path
from rung.validation.sandbox import SandboxResult
from rung.validation.sources import Source
from rung.validation.suite_files import restore_from
from rung.validation.type_tools import CONFIGURATION, InstalledTool
from rung.validation.verdict import Candidate, CheckContext, Result, Verdict

# In the scratch copy, for blocks of text; a name that no tool passes over.
_PRIVATE = "rung_blocks"
# The user's own settings do not count, nor what a candidate puts where those would be.
_NO_SETTINGS = {"HOME": "/nonexistent", "XDG_CONFIG_HOME": "/nonexistent"}
_TAIL_CHARACTERS = 500


class TypeRun:
    """One tool, the candidate's sources that it reads, and the scratch copy that they are in."""

    def __init__(
        self,
        installed: InstalledTool,
        sources: Sequence[Source],
        candidate: Candidate,
        context: CheckContext,
    ) -> None:
        self._installed = installed
        self._tool = installed.tool
        self._sources = sources
        self._is_text = not candidate.files
        self._context = context
        self._baseline = Baseline(candidate, context)

    async def verdict(self) -> Verdict | str:
        """The verdict, or in words why this tool cannot give one here."""
        name = self._tool.name
        if self._is_text and self._tool.needs:
            return f"{name} looks at the files of a project only"
        result = await self._run(await asyncio.to_thread(self._prepare))
        found = self._read(result)
        if result.killed_reason or (result.exit_status != 0 and not found):
            ended = result.killed_reason or exit_words(result.exit_status)
            tail = result.output[-_TAIL_CHARACTERS:].strip()
            return f"{name} does not work here ({ended}): {tail}"
        now = [diagnostic for diagnostic in found if self._is_blamed(diagnostic)]
        new = await self._new(now)
        if new:
            return self._says("fail", f"{name}: {self._baseline.describe(new)}")
        old = f", {len(now)} that the project has without it" if now else ""
        return self._says("pass", f"{name}: no new errors ({self._tool.what}){old}")

    async def _new(self, now: list[Diagnostic]) -> list[Diagnostic]:
        if not now or self._is_text:
            return now

        async def look_again() -> list[Diagnostic]:
            targets = self._targets(self._baseline.names)
            return self._read(await self._run(targets)) if targets else []

        return await self._baseline.new(now, look_again)

    def _prepare(self) -> list[str]:
        """Make the scratch copy ready; what the tool is to look at."""
        base, scratch = self._context.base, self._context.scratch
        for name in CONFIGURATION:
            path = safe_path(scratch, name)
            if not path.is_dir():
                path.unlink(missing_ok=True)
        restore_from(base, scratch, CONFIGURATION)
        packages = scratch / "node_modules"
        if (base / "node_modules").is_dir() and not packages.exists():
            packages.symlink_to(base / "node_modules")
        for source in self._sources:
            path = safe_path(scratch, self._place(source))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self._unsilenced(source).encode("utf-8", "replace"))
        return self._targets([self._place(source) for source in self._sources])

    def _place(self, source: Source) -> str:
        if not self._is_text:
            return source.name
        return f"{_PRIVATE}/{source.name.replace(' ', '_')}{source.language.extensions[0]}"

    def _targets(self, names: Sequence[str]) -> list[str]:
        if self._tool.whole and not self._is_text:
            return list(self._tool.whole)
        places = {self._place(source) for source in self._sources}
        return [f"./{name}" for name in names if name in places]

    def _unsilenced(self, source: Source) -> str:
        """The text, without effect of comments on its new lines that switch the tool off."""
        silencer = self._tool.silencer
        if silencer is None:
            return source.text
        return "".join(
            line if self._baseline.has_line(source.name, line) else silencer.sub(_blanked, line)
            for line in source.text.splitlines(keepends=True)
        )

    async def _run(self, targets: Sequence[str]) -> SandboxResult:
        scratch, settings = self._context.scratch, self._context.sandbox
        python = project_python(self._context.base, settings)
        options = [option.replace("{python}", str(python)) for option in self._tool.options]
        return await sandbox.run(
            [*self._installed.command, *options, *targets],
            cwd=scratch,
            writable=[scratch],
            readable=self._installed.readable,
            settings=settings,
            python=python,
            env={**_NO_SETTINGS, **dict(self._tool.env)},
        )

    def _read(self, result: SandboxResult) -> list[Diagnostic]:
        if result.exit_status == 0:
            return []
        return parse(self._tool.diagnostic, result.output, str(self._context.scratch))

    def _is_blamed(self, diagnostic: Diagnostic) -> bool:
        """Not for a module that may well exist, if only the project's packages were known here."""
        missing = self._tool.missing_module and self._tool.missing_module.search(diagnostic.message)
        return not missing or self._knows_packages() or self._is_ours(missing[1])

    def _knows_packages(self) -> bool:
        base = self._context.base
        if "python" in self._tool.languages:
            return bool(self._context.sandbox.python or environments(base))
        return (base / "node_modules").is_dir()

    def _is_ours(self, module: str) -> bool:
        """Whether it would be the project's own, or Python's."""
        top = module.split(".")[0]
        if not top or top in sys.stdlib_module_names:
            return True
        folders = (self._context.scratch, self._context.scratch / "src")
        return any((folder / name).exists() for folder in folders for name in (top, f"{top}.py"))

    def _says(self, result: Result, evidence: str) -> Verdict:
        return Verdict(validator="types", result=result, evidence=evidence)


def _blanked(match: re.Match[str]) -> str:
    """The match with spaces in the place of its groups."""
    text = match[0]
    for start, end in match.regs[1:]:
        if start >= 0:
            blank = " " * (end - start)
            text = text[: start - match.start()] + blank + text[end - match.start() :]
    return text
