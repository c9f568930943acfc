"""`bench:COMMAND<=SECONDS`: is it fast enough?"""

from __future__ import annotations

import math
import statistics
from pathlib import Path

from rung.errors import UsageError
from rung.validation.checks.command import run_shell
from rung.validation.checks.endings import exit_words, forced_end
from rung.validation.registry import validator
from rung.validation.verdict import Candidate, CheckContext, Verdict

_RUNS = 5


def check_limit(argument: str, _base: Path) -> None:
    parse_limit(argument)


def parse_limit(argument: str) -> tuple[str, float]:
    """The command and its limit in seconds. Raises UsageError."""
    command, separator, limit = argument.rpartition("<=")
    try:
        seconds = float(limit.strip().removesuffix("s"))
    except ValueError:
        seconds = math.nan
    if not separator or not command.strip() or not (0 < seconds < math.inf):
        raise UsageError(
            f"check 'bench:{argument}': write bench:COMMAND<=SECONDS, as in "
            "'bench:python -m app<=1.5'."
        )
    return command.strip(), seconds


@validator(
    "bench", form="bench:COMMAND<=SECONDS", rank=60, check_argument=check_limit, runs=_RUNS + 1
)
async def bench(_candidate: Candidate, context: CheckContext, argument: str) -> Verdict:
    """`bench:COMMAND<=SECONDS`: the median of five runs, after a warm-up, is within the limit.

    Each run is in the sandbox and must end with exit status 0; wall-clock time is measured.
    """
    command, limit_s = parse_limit(argument)
    times_s: list[float] = []
    for _ in range(_RUNS + 1):
        result = await run_shell(command, context)
        forced = forced_end("bench", result, context.sandbox)
        if forced is not None:
            return forced
        if result.exit_status != 0:
            return Verdict(
                validator="bench",
                result="fail",
                evidence=f"{exit_words(result.exit_status)}\n{result.output[-2000:]}",
            )
        times_s.append(result.seconds)
    median_s = statistics.median(times_s[1:])
    shown = ", ".join(f"{time_s:.3f}" for time_s in times_s[1:])
    return Verdict(
        validator="bench",
        result="pass" if median_s <= limit_s else "fail",
        evidence=f"median {median_s:.3f} s, limit {limit_s:g} s; runs {shown}; "
        f"warm-up {times_s[0]:.3f}",
    )
