"""Which attempt comes next: a pure decision over what has been tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from rung.escalation.task import AttemptResult as Result
from rung.validation.verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class Tried:
    """One finished attempt: its rung, and what came of it.

    `is_unfit`: the prompt did not fit the model's context window, which says nothing of the model.
    """

    rung: int
    result: Result
    may_retry: bool = True
    is_unfit: bool = False


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Hard caps from the matrix row. A prompt that did not fit is no attempt."""

    rungs: int
    attempts_per_rung: int
    max_attempts: int


@dataclass(frozen=True, kw_only=True)
class Next:
    """Try this rung; `is_retry` where it was tried before."""

    rung: int
    is_retry: bool


@dataclass(frozen=True, kw_only=True)
class Stop:
    """No further attempt, and why."""

    why: Literal["passed", "unchecked", "top", "attempts", "not_worth_it"]


# How a task's rungs are ordered: the chain as it is (`next_step`), or as outcomes have taught.
Order = Callable[[Sequence[Tried], Limits], Next | Stop]


def result_of(verdicts: Sequence[Verdict]) -> Result:
    """What verdicts amount to. Only all passes are a pass; none at all is no check.

    A crashed validator (`error`) counts as a failure of the attempt: another answer may not crash
    it. One that is missing stays missing whatever the answer, so it leaves the answer unchecked.
    """
    results = {verdict.result for verdict in verdicts}
    if results & {"fail", "error"}:
        return "failed"
    return "passed" if results == {"pass"} else "unchecked"


def next_step(tried: Sequence[Tried], limits: Limits) -> Next | Stop:
    """One retry on each rung where it may help, then the next rung, inside the caps.

    Rungs that were tried side by side have their retries one after another.
    """
    if not tried:
        return Next(rung=0, is_retry=False) if limits.rungs else Stop(why="top")
    last = tried[-1]
    if last.result in ("passed", "unchecked"):
        return Stop(why=last.result)
    if sum(not attempt.is_unfit for attempt in tried) >= limits.max_attempts:
        return Stop(why="attempts")
    for rung, (attempt, times) in _last_of_each(tried).items():
        if attempt.may_retry and times < limits.attempts_per_rung:
            return Next(rung=rung, is_retry=True)
    above = 1 + max(attempt.rung for attempt in tried)
    return Next(rung=above, is_retry=False) if above < limits.rungs else Stop(why="top")


def _last_of_each(tried: Sequence[Tried]) -> dict[int, tuple[Tried, int]]:
    """The last attempt on each rung, and how many there were, in the order of the first ones."""
    found: dict[int, tuple[Tried, int]] = {}
    for attempt in tried:
        found[attempt.rung] = attempt, 1 + found.get(attempt.rung, (attempt, 0))[1]
    return found
