"""All checks of one candidate, each where nothing that came before can have forged it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rung.validation.registry import cheapest_first, run_checks
from rung.validation.verdict import Candidate, Check, CheckContext, Verdict
from rung.validation.workspace import Workspace

# These read the candidate alone, and need no copy of the project.
_READ_ONLY = frozenset({"schema", "semantic", "syntax"})
# These show something of the project's files, so of an answer only if it changes one.
_OF_FILES = frozenset({"bench", "cmd", "tests"})


async def check_candidate(
    workspace: Workspace,
    checks: Sequence[Check],
    candidate: Candidate,
    context_in: Callable[[Path], CheckContext],
) -> list[Verdict]:
    """The verdicts, cheapest check first, up to and including the first `fail`.

    Each check that runs code gets a fresh scratch copy, given to `context_in`: code that ran for
    one check must not be able to prepare the next. Raises UnsafePathError for a candidate's path
    that cannot be in the project.
    """
    tests = [check.argument for check in checks if check.kind == "tests"]
    verdicts: list[Verdict] = []
    for check in cheapest_first(checks):
        if check.kind in _OF_FILES and not candidate.files:
            verdicts.append(_shows_nothing(check))
            continue
        if check.kind in _READ_ONLY:
            verdicts += await run_checks([check], candidate, context_in(workspace.root))
        else:
            async with workspace.attempt(candidate.files, tests=tests) as scratch:
                verdicts += await run_checks([check], candidate, context_in(scratch))
        if verdicts[-1].result == "fail":
            break
    return verdicts


def _shows_nothing(check: Check) -> Verdict:
    return Verdict(
        validator=check.spec,
        result="unavailable",
        evidence="the answer changes no file, so this would show nothing about it",
    )
