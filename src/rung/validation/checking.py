"""All checks of one candidate, each where nothing that came before can have forged it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from rung.validation.registry import cheapest_first, known
from rung.validation.running import run_checks
from rung.validation.verdict import Candidate, Check, CheckContext, Verdict
from rung.validation.workspace import Workspace

# What these say of the project as it is, they say of an answer that leaves it so.
_OF_THE_PROJECT = frozenset({"tests", "cmd"})


async def check_candidate(
    workspace: Workspace,
    checks: Sequence[Check],
    candidate: Candidate,
    context_in: Callable[[Path], CheckContext],
    *,
    wants_change: bool = False,
) -> list[Verdict]:
    """The verdicts, cheapest check first, up to and including the first `fail`.

    Where the caller `wants_change`, an answer that changes no file fails the checks that the
    project as it is fails; otherwise they show nothing about it.

    Each check that runs code gets a fresh scratch copy, given to `context_in`: code that ran for
    one check must not be able to prepare the next. Raises UnsafePathError for a candidate's path
    that cannot be in the project.
    """
    tests = [check.argument for check in checks if check.kind == "tests"]
    verdicts: list[Verdict] = []
    for check in cheapest_first(checks):
        entry = known(check)
        is_of_nothing = entry.of_files and not candidate.files
        if is_of_nothing and not (wants_change and check.kind in _OF_THE_PROJECT):
            verdicts.append(_shows_nothing(check))
            continue
        if entry.reads_only:
            verdicts += await run_checks([check], candidate, context_in(workspace.root))
        else:
            async with workspace.attempt(candidate.files, tests=tests) as scratch:
                verdicts += await run_checks([check], candidate, context_in(scratch))
        if is_of_nothing:
            verdicts[-1] = _of_nothing(check, verdicts[-1])
        if verdicts[-1].result == "fail":
            break
    return verdicts


def _of_nothing(check: Check, verdict: Verdict) -> Verdict:
    """An answer that changes nothing is wrong where the project fails; a pass is not its own."""
    if verdict.result != "fail":
        return _shows_nothing(check)
    evidence = f"the answer changes no file, and the project fails as it is:\n{verdict.evidence}"
    return msgspec.structs.replace(verdict, evidence=evidence)


def _shows_nothing(check: Check) -> Verdict:
    return Verdict(
        validator=check.spec,
        result="unavailable",
        evidence="the answer changes no file, so this would show nothing about it",
    )
