"""Running validators, the cheapest first; one that breaks gives a verdict, too."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import msgspec

from rung.errors import EngineError, SandboxUnavailable
from rung.validation import evidence
from rung.validation.registry import Validator, cheapest_first, known
from rung.validation.verdict import Candidate, Check, CheckContext, Verdict

# What a validator may take beyond its own runs in the sandbox before it counts as hanging.
_SLACK_S = 30.0
_JUDGE_TIMEOUT_S = 600.0


async def run_checks(
    checks: Sequence[Check], candidate: Candidate, context: CheckContext
) -> list[Verdict]:
    """The verdicts, cheapest check first, up to and including the first `fail`.

    A validator that crashes or hangs gives `error` with the reason as evidence, never `pass`; one
    that needs a sandbox where none works, or a checker model that does not answer, gives
    `unavailable`. Raises UsageError for a check that is not known, before any runs.
    """
    verdicts: list[Verdict] = []
    for check, entry in [(check, known(check)) for check in cheapest_first(checks)]:
        verdict = await _run_one(entry, check, candidate, context)
        verdicts.append(verdict)
        if verdict.result == "fail":
            break
    return verdicts


async def _run_one(
    entry: Validator, check: Check, candidate: Candidate, context: CheckContext
) -> Verdict:
    limit_s = entry.runs * context.sandbox.timeout_s + _SLACK_S if entry.runs else _JUDGE_TIMEOUT_S
    limit = asyncio.timeout(limit_s)
    started = time.perf_counter()
    try:
        async with limit:
            verdict = _checked(await entry.validate(candidate, context, check.argument))
    except (SandboxUnavailable, EngineError) as error:  # no sandbox, no checker model
        verdict = Verdict(validator=check.spec, result="unavailable", evidence=str(error))
    # Any crash is a verdict of its own, `error` and not a pass; a plugin's `sys.exit` is one, too.
    except (Exception, SystemExit) as error:  # noqa: BLE001
        took_too_long = limit.expired()
        reason = f"took more than {limit_s:g} s" if took_too_long else _describe(error)
        verdict = Verdict(
            validator=check.spec, result="error", evidence=f"the validator broke: {reason}"
        )
    return msgspec.structs.replace(
        verdict,
        validator=check.spec,
        evidence=evidence.clean(verdict.evidence),
        seconds=time.perf_counter() - started,
    )


def _checked(verdict: object) -> Verdict:
    """The verdict with every field of its type. Raises TypeError, msgspec.ValidationError."""
    if not isinstance(verdict, Verdict):
        raise TypeError(f"it returned {type(verdict).__name__}, not a Verdict")
    return msgspec.convert(msgspec.to_builtins(verdict), Verdict)


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
