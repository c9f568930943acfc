"""`semantic:CRITERIA`: what a checker model thinks of the answer."""

from __future__ import annotations

import re
from pathlib import Path

from rung.errors import UsageError
from rung.validation.registry import validator
from rung.validation.verdict import Candidate, CheckContext, Result, Verdict

MOST_CRITERIA = 8
_BETWEEN = re.compile(r"[;\n]")


def criteria_of(argument: str) -> tuple[str, ...]:
    """The criteria: one, or several with semicolons or new lines between them."""
    return tuple(stripped for part in _BETWEEN.split(argument) if (stripped := part.strip()))


def check_criteria(argument: str, _base: Path) -> None:
    criteria = criteria_of(argument)
    if not criteria:
        raise UsageError("check 'semantic' needs criteria: semantic:CRITERIA.")
    if len(criteria) > MOST_CRITERIA:
        raise UsageError(
            f"check 'semantic' has {len(criteria)} criteria, and at most {MOST_CRITERIA} can be "
            "judged at once: write several semantic checks."
        )


@validator("semantic", form="semantic:CRITERIA", rank=70, check_argument=check_criteria, runs=0)
async def semantic(candidate: Candidate, context: CheckContext, argument: str) -> Verdict:
    """`semantic:CRITERIA`: a checker model finds that the answer meets CRITERIA.

    Several criteria, with semicolons between them, are judged one by one, and all must be met.
    Passes if the checker says so with a confidence of at least the settings' `checker_confidence`,
    and quotes words of the answer for it. Where there is only one model it judges its own work:
    what it finds wrong counts, its agreement does not.
    """
    if context.judge is None:
        return Verdict(
            validator="semantic", result="unavailable", evidence="there is no checker model to ask"
        )
    found = await context.judge(criteria_of(argument), candidate)
    is_sure = found.confidence >= context.checker_confidence
    evidence = found.evidence
    result: Result = "pass" if found.passed and is_sure else "fail"
    if found.passed and not is_sure:
        evidence = (
            f"the checker agrees, but with confidence {found.confidence:.2f} below "
            f"{context.checker_confidence:.2f}: {evidence}"
        )
    elif found.passed and found.is_own_work:
        result = "unavailable"
        evidence = (
            "the checker is the worker itself, which shows little; add a model of another "
            f"family: {evidence}"
        )
    return Verdict(
        validator="semantic",
        result=result,
        evidence=evidence,
        confidence=min(max(0.0, found.confidence), 1.0),
    )
