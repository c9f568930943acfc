"""`bench:COMMAND<=LIMIT`: is it fast enough, in seconds or against the project as it is?"""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from rung.errors import UsageError
from rung.validation.checks import speed
from rung.validation.checks.command import run_shell
from rung.validation.checks.endings import exit_words, forced_end
from rung.validation.registry import validator
from rung.validation.sandbox import SandboxResult
from rung.validation.verdict import Candidate, CheckContext, Result, Verdict
from rung.validation.workspace import Workspace

_RUNS = 5
# All pairs together may take this many times the sandbox's limit for one run.
_BUDGET_RUNS = 5


@dataclass(frozen=True, kw_only=True)
class Limit:
    """`limit` is in seconds, or a share of the time that the project takes without the answer."""

    command: str
    limit: float
    is_ratio: bool


def check_limit(argument: str, _base: Path) -> None:
    parse_limit(argument)


def parse_limit(argument: str) -> Limit:
    """The command and what it may take. Raises UsageError."""
    command, separator, words = argument.rpartition("<=")
    words = words.strip()
    is_ratio = words.endswith("x")
    try:
        limit = float(words.removesuffix("x" if is_ratio else "s"))
    except ValueError:
        limit = math.nan
    if not separator or not command.strip() or not (0 < limit < math.inf):
        raise UsageError(
            f"check 'bench:{argument}': write bench:COMMAND<=SECONDS or bench:COMMAND<=RATIOx, as "
            "in 'bench:python -m app<=1.5' or 'bench:python -m app<=0.9x'."
        )
    return Limit(command=command.strip(), limit=limit, is_ratio=is_ratio)


@validator(
    "bench",
    form="bench:COMMAND<=SECONDS or bench:COMMAND<=RATIOx",
    rank=60,
    check_argument=check_limit,
    runs=_BUDGET_RUNS + 4,
    of_files=True,
    needs="sandbox",
)
async def bench(_candidate: Candidate, context: CheckContext, argument: str) -> Verdict:
    """`bench:COMMAND<=SECONDS`: the median of five runs takes no longer than that.

    `bench:COMMAND<=0.9x`: it takes at most 0.9 times as long as in the project without the answer.
    Runs of the two alternate, 10 to 30 pairs of them; the bootstrap interval of the median ratio
    has to lie below 0.9, so a gain too small to be sure of does not pass. Warm-up runs do not
    count, each run is in the sandbox and must end with exit status 0; time is wall-clock time.
    """
    limit = parse_limit(argument)
    if not limit.is_ratio:
        return await _measure(context, limit)
    async with Workspace(context.base) as workspace, workspace.attempt({}) as base:
        return await _compare(context, base, limit)


async def _measure(context: CheckContext, limit: Limit) -> Verdict:
    times_s: list[float] = []
    for _ in range(_RUNS + 1):
        result = await run_shell(limit.command, context)
        broken = _broken(result, context)
        if broken is not None:
            return broken
        times_s.append(result.seconds)
    median_s = statistics.median(times_s[1:])
    shown = ", ".join(f"{time_s:.3f}" for time_s in times_s[1:])
    return _says(
        "pass" if median_s <= limit.limit else "fail",
        f"median {median_s:.3f} s, limit {limit.limit:g} s; runs {shown}; warm-up {times_s[0]:.3f}",
    )


async def _compare(context: CheckContext, base: Path, limit: Limit) -> Verdict:
    """Interleaved pairs in `base`, a copy without the answer, and in the scratch folder."""
    ratios: list[float] = []
    deadline = time.monotonic() + _BUDGET_RUNS * context.sandbox.timeout_s
    for pair in range(1 + speed.MOST_PAIRS):
        times_s: dict[Path, float] = {}
        # Which of the two goes first alternates: neither has always the warmer machine.
        for folder in (base, context.scratch) if pair % 2 else (context.scratch, base):
            result = await run_shell(limit.command, context, folder)
            broken = _broken(result, context)
            if broken is not None:
                return _without_base(broken) if folder == base else broken
            times_s[folder] = max(result.seconds, 1e-9)
        if pair == 0:
            continue
        ratios.append(times_s[context.scratch] / times_s[base])
        is_late = time.monotonic() > deadline
        if len(ratios) in speed.LOOKS or is_late:
            verdict = _verdict(ratios, limit.limit)
            if verdict is not None or is_late:
                return verdict or _unclear(ratios, limit.limit)
    return _unclear(ratios, limit.limit)


def _verdict(ratios: list[float], threshold: float) -> Verdict | None:
    """`None` while it is not clear."""
    if len(ratios) < speed.FEWEST_PAIRS:
        return None
    side = speed.judge(speed.median_interval(ratios), threshold)
    if side == "unclear":
        return None
    return _says("pass" if side == "below" else "fail", _words(ratios, threshold))


def _unclear(ratios: list[float], threshold: float) -> Verdict:
    if len(ratios) < speed.FEWEST_PAIRS:
        return _says(
            "fail",
            f"not shown: only {len(ratios)} pairs of runs in the time there is, and "
            f"{speed.FEWEST_PAIRS} are needed; have the command do less, or raise "
            "sandbox.timeout_s",
        )
    return _says("fail", f"not shown: {_words(ratios, threshold)}")


def _words(ratios: list[float], threshold: float) -> str:
    found = speed.median_interval(ratios)
    return (
        f"median ratio to the project without the answer {found.median:.3f}, between "
        f"{found.low:.3f} and {found.high:.3f}, threshold {threshold:g}; {len(ratios)} pairs"
    )


def _broken(result: SandboxResult, context: CheckContext) -> Verdict | None:
    forced = forced_end("bench", result, context.sandbox)
    if forced is not None or result.exit_status == 0:
        return forced
    return _says("fail", f"{exit_words(result.exit_status)}\n{result.output[-2000:]}")


def _without_base(broken: Verdict) -> Verdict:
    why = "the command does not work in the project without the answer, so there is no comparison"
    return _says("unavailable", f"{why}: {broken.evidence}")


def _says(result: Result, evidence: str) -> Verdict:
    return Verdict(validator="bench", result=result, evidence=evidence)
