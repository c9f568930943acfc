"""The project's own version of a candidate's files, to tell its errors from the candidate's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

from rung.validation.checks.diagnostics import Diagnostic, new_since
from rung.validation.paths import safe_path
from rung.validation.suite_files import restore_from
from rung.validation.verdict import Candidate, CheckContext

_MOST_SHOWN = 20


class Baseline:
    """What the project has in the place of the candidate's files."""

    def __init__(self, candidate: Candidate, context: CheckContext) -> None:
        self._files = candidate.files
        self._context = context
        self._line_sets: dict[str, frozenset[str]] = {}
        self.names = [name for name in candidate.files if (context.base / name).is_file()]

    async def new(
        self, now: Iterable[Diagnostic], look_again: Callable[[], Awaitable[list[Diagnostic]]]
    ) -> list[Diagnostic]:
        """Those of `now` that the project does not have by itself.

        For that its own files are put back into the scratch copy, and `look_again` looks at it.
        """
        await asyncio.to_thread(self._put_back)
        return new_since(await look_again(), now, self.is_changed)

    def is_changed(self, diagnostic: Diagnostic) -> bool:
        """Whether the line that it is about is not one of the project's own."""
        return not self.has_line(diagnostic.path, self._line(diagnostic))

    def has_line(self, name: str, line: str) -> bool:
        """Whether the project's own version of the file has this line, however indented."""
        if name not in self._line_sets:
            self._line_sets[name] = frozenset(self._own_lines(name))
        return line.strip() in self._line_sets[name]

    def _own_lines(self, name: str) -> list[str]:
        try:
            content = (self._context.base / name).read_bytes()
        except OSError:  # the candidate's alone
            return []
        return [line.strip() for line in content.decode("utf-8", "replace").splitlines()]

    def describe(self, diagnostics: Sequence[Diagnostic]) -> str:
        """Each with the line that it is about, unless the tool has shown it."""
        shown = [self._described(diagnostic) for diagnostic in diagnostics[:_MOST_SHOWN]]
        left_out = len(diagnostics) - len(shown)
        return "\n".join([*shown, *([f"… and {left_out} more"] if left_out else [])])

    def _described(self, diagnostic: Diagnostic) -> str:
        line = "" if diagnostic.details else self._line(diagnostic)
        return f"{diagnostic}\n    {line}" if line else str(diagnostic)

    def _line(self, diagnostic: Diagnostic) -> str:
        text = self._files.get(diagnostic.path)
        lines = self._own_lines(diagnostic.path) if text is None else text.splitlines()
        return lines[diagnostic.line - 1].strip() if 0 < diagnostic.line <= len(lines) else ""

    def _put_back(self) -> None:
        scratch = self._context.scratch
        for name in self._files:
            safe_path(scratch, name).unlink(missing_ok=True)
        restore_from(self._context.base, scratch, self.names)
