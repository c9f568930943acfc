"""Validators as a user would write them, good and bad."""

import sys

from rung.validation import Candidate, CheckContext, Verdict, validator


@validator("todo")
def todo(candidate: Candidate, context: CheckContext, argument: str) -> Verdict:
    """`todo`: no TODO is left in the answer's files."""
    left = [name for name, text in candidate.files.items() if "TODO" in text]
    return Verdict(validator="todo", result="fail" if left else "pass", evidence=", ".join(left))


@validator("cites", form="cites:WORD", rank=12)
async def cites(candidate: Candidate, context: CheckContext, argument: str) -> Verdict:
    """`cites:WORD`: the answer's text holds this word."""
    return Verdict(validator="cites", result="pass" if argument in candidate.text else "fail")


@validator("crashing")
def crashing(candidate: Candidate, context: CheckContext, argument: str) -> Verdict:
    raise RuntimeError("no luck")


@validator("leaving")
async def leaving(candidate: Candidate, context: CheckContext, argument: str) -> Verdict:
    sys.exit(0)


@validator("wordless")
def wordless(candidate: Candidate, context: CheckContext, argument: str) -> Verdict:
    return Verdict(validator="wordless", result="ok", evidence=7)  # type: ignore[arg-type]


def unregistered(candidate: Candidate, context: CheckContext, argument: str) -> Verdict:
    return Verdict(validator="unregistered", result="pass")
