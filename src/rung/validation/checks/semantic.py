"""`semantic:CRITERIA`: what a checker model thinks of the answer."""

from __future__ import annotations

from pathlib import Path

from rung.errors import UsageError
from rung.validation.registry import validator
from rung.validation.verdict import Candidate, CheckContext, Verdict


def check_criteria(argument: str, _base: Path) -> None:
    if not argument:
        raise UsageError("check 'semantic' needs criteria: semantic:CRITERIA.")


@validator("semantic", form="semantic:CRITERIA", rank=70, check_argument=check_criteria, runs=0)
async def semantic(candidate: Candidate, context: CheckContext, argument: str) -> Verdict:
    """`semantic:CRITERIA`: a checker model finds that the answer meets CRITERIA.

    Where there is only one model it is its own checker, and its pass is worth little.

    Passes if the checker says so with a confidence of at least the settings' `checker_confidence`.
    """
    if context.judge is None:
        return Verdict(
            validator="semantic", result="unavailable", evidence="there is no checker model to ask"
        )
    judgement = await context.judge(argument, candidate)
    is_sure = judgement.confidence >= context.checker_confidence
    evidence = judgement.evidence
    if judgement.passed and not is_sure:
        evidence = (
            f"the checker agrees, but with confidence {judgement.confidence:.2f} below "
            f"{context.checker_confidence:.2f}: {evidence}"
        )
    return Verdict(
        validator="semantic",
        result="pass" if judgement.passed and is_sure else "fail",
        evidence=evidence,
        confidence=min(max(0.0, judgement.confidence), 1.0),
    )
