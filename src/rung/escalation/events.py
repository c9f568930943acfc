"""What the executor says while it works, so that a door can show progress."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rung.escalation.task import Attempt, Classification
from rung.validation.verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class Planned:
    """Type, chain (model names), checker and checks are decided."""

    task_id: str
    classification: Classification
    chain: Sequence[str]
    checker: str | None
    checks: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class AttemptStarted:
    n: int
    model: str
    tier: str
    is_retry: bool
    temperature: float
    is_beside: bool = False  # while the attempt before goes on
    is_compressed: bool = False  # with less of what is given, to fit the window


@dataclass(frozen=True, kw_only=True)
class Generated:
    """The worker's answer so far, in characters."""

    n: int
    characters: int


@dataclass(frozen=True, kw_only=True)
class Checked:
    n: int
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class AttemptFinished:
    attempt: Attempt


@dataclass(frozen=True, kw_only=True)
class Climbed:
    from_model: str
    to_model: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Warned:
    """Money is about to be spent: said before the call, whether or not anybody is asked.

    `worst_case_usd` is the most that the call can cost, `None` where its price is unknown.
    `usual_usd` is what 95 % of tasks of this type cost at most, `None` where too few are known.
    """

    model: str
    tier: str
    worst_case_usd: float | None
    reason: str
    usual_usd: float | None = None


Event = Planned | AttemptStarted | Generated | Checked | AttemptFinished | Climbed | Warned
OnEvent = Callable[[Event], None]
