"""Diagnostics of compilers and type checkers, and which of them are new since the project's own.

Matched by file, rule and message, so that code which only moved is not blamed. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

# "already defined on line 12", "first seen at a.c:3:5"
_PLACE_IN_WORDS = re.compile(r"\bline \d+|(?<=\w):\d+(?::\d+)?\b")
_MOST_DETAILS = 6


@dataclass(frozen=True, kw_only=True)
class Diagnostic:
    """One error. `details` are the lines that the tool printed below it."""

    path: str
    line: int
    rule: str
    message: str
    details: tuple[str, ...] = ()

    @property
    def identity(self) -> tuple[str, str, str]:
        """The same for the same error at another line. javac names the symbol below the message."""
        symbols = [line.strip() for line in self.details if line.lstrip().startswith("symbol:")]
        words = _PLACE_IN_WORDS.sub("", " ".join([self.message, *symbols]))
        return self.path, self.rule, words

    def __str__(self) -> str:
        rule = f" [{self.rule}]" if self.rule else ""
        return "\n".join([f"{self.path}:{self.line}: {self.message}{rule}", *self.details])


def parse(pattern: re.Pattern[str], output: str, folder: str = "") -> list[Diagnostic]:
    """What a tool reported; `pattern` has the groups path, line, message and maybe rule.

    Paths become relative to `folder`. Lines in between belong to the diagnostic above them.
    """
    found: list[Diagnostic] = []
    details: list[str] = []
    last: re.Match[str] | None = None

    def finish() -> None:
        if last is not None:
            found.append(_diagnostic(last, details, folder))

    for line in output.splitlines():
        match = pattern.match(line)
        if match is None:
            details.append(line)
            continue
        finish()
        last, details = match, []
    finish()
    return found


def _diagnostic(match: re.Match[str], details: Sequence[str], folder: str) -> Diagnostic:
    groups = match.groupdict("")
    indented = [line.rstrip() for line in details if line.startswith((" ", "\t")) and line.strip()]
    return Diagnostic(
        path=groups["path"].removeprefix(f"{folder}/").removeprefix("./"),
        line=int(groups["line"]),
        rule=groups.get("rule", ""),
        message=groups["message"].strip(),
        details=tuple(indented[:_MOST_DETAILS]),
    )


def new_since(
    before: Iterable[Diagnostic],
    now: Iterable[Diagnostic],
    is_changed: Callable[[Diagnostic], bool],
) -> list[Diagnostic]:
    """Those of `now` beyond as many of the same identity as there were `before`.

    Of several that are the same, those on lines that were not touched are the old ones.
    """
    left = Counter(diagnostic.identity for diagnostic in before)
    new: list[Diagnostic] = []
    for diagnostic in sorted(now, key=is_changed):
        if left[diagnostic.identity] > 0:
            left[diagnostic.identity] -= 1
        else:
            new.append(diagnostic)
    return sorted(new, key=lambda diagnostic: (diagnostic.path, diagnostic.line))
