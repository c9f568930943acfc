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


Event = Planned | AttemptStarted | Generated | Checked | AttemptFinished | Climbed
OnEvent = Callable[[Event], None]
