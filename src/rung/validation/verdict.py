"""What a check looks at, and what it says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from rung.config.settings import SandboxSettings

Result = Literal["pass", "fail", "unavailable", "error"]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What one validator found. Only `pass` is a pass.

    `evidence` is what a person, or the next attempt's prompt, needs to see: the error with its
    place, the failing test with its assertion. `confidence`, between 0 and 1, is how sure a check
    is of what it saw: the checker model's own word for `semantic`, 1 for all that do not guess. It
    is not how likely a passing answer is right; how often a check errs is counted from outcomes.
    """

    validator: str
    result: Result
    evidence: str = ""
    confidence: float = 1.0
    seconds: float = 0.0


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed `--check SPEC`: `kind` names the validator, `argument` is what follows the colon."""

    kind: str
    argument: str = ""

    @property
    def spec(self) -> str:
        return f"{self.kind}:{self.argument}" if self.argument else self.kind


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An answer to be checked. `files` maps relative POSIX paths to new contents."""

    text: str
    files: Mapping[str, str]
    object: Any = None


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What a checker model said of a candidate: whether it meets every criterion.

    `is_own_work`: it judged its own answer, for want of another model.
    """

    passed: bool
    confidence: float
    evidence: str
    is_own_work: bool = False


Judge = Callable[[Sequence[str], Candidate], Awaitable[Judgement]]


@dataclass(frozen=True, kw_only=True)
class CheckContext:
    """Where checks run. `base` is the user's project root, which no check may change.

    `scratch` is a private copy of it with the candidate's files laid over. `judge` asks the
    checker model whether a candidate meets all criteria; it is `None` where there is no checker.
    Its "yes" counts from `checker_confidence` on.
    """

    base: Path
    scratch: Path
    sandbox: SandboxSettings
    judge: Judge | None = None
    checker_confidence: float = 0.8
