"""Validators by name: reading a check's spec, refusing bad ones early, running them in order."""

from __future__ import annotations

import asyncio
import difflib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from rung.errors import EngineError, SandboxUnavailable, UsageError
from rung.validation import evidence
from rung.validation.verdict import Candidate, Check, CheckContext, Verdict

Validate = Callable[[Candidate, CheckContext, str], Awaitable[Verdict]]
# Raises UsageError for an argument that cannot work; the folder is the project's root.
CheckArgument = Callable[[str, Path], None]


@dataclass(frozen=True, kw_only=True)
class Validator:
    """One kind of check. Kinds run by ascending `rank`: the cheapest first."""

    kind: str
    form: str
    rank: int
    validate: Validate
    check_argument: CheckArgument
    runs: int


_validators: dict[str, Validator] = {}

# What a validator may take beyond its own runs in the sandbox before it counts as hanging.
_SLACK_S = 30.0
_JUDGE_TIMEOUT_S = 600.0


def validator(
    kind: str, *, form: str, rank: int, check_argument: CheckArgument, runs: int = 1
) -> Callable[[Validate], Validate]:
    """Register an async function as the validator `kind`; its docstring tells users what it does.

    `form` is the spec as users write it; `runs` is how many sandbox runs it makes at most, each
    of which may take the sandbox's time limit.
    """

    def register(function: Validate) -> Validate:
        _validators[kind] = Validator(
            kind=kind,
            form=form,
            rank=rank,
            validate=function,
            check_argument=check_argument,
            runs=runs,
        )
        return function

    return register


def known_validators() -> tuple[Validator, ...]:
    """Every validator, the cheapest first."""
    _load_built_in()
    return tuple(sorted(_validators.values(), key=lambda known: known.rank))


def parse_check(spec: str) -> Check:
    """`syntax`, `tests:tests/test_api.py` and the like.

    Raises UsageError naming the nearest known kind and the forms that are accepted.
    """
    kind, separator, argument = spec.partition(":")
    check = Check(kind=kind.strip(), argument=argument.strip())
    form = _known(check).form
    if separator and not check.argument:
        raise UsageError(f"check {spec!r}: nothing follows the colon; write {form}.")
    return check


def check_arguments(check: Check, base: Path) -> None:
    """Refuse, before any model is called, a check that cannot work in the project at `base`.

    Raises UsageError: a tests path or schema file that does not exist or lies outside the project,
    a language that is not known, an empty command, a limit that is not a number.
    """
    _known(check).check_argument(check.argument, base)


def cheapest_first(checks: Sequence[Check]) -> list[Check]:
    """The checks in the order in which they are run."""
    return sorted(checks, key=lambda check: _known(check).rank)


async def run_checks(
    checks: Sequence[Check], candidate: Candidate, context: CheckContext
) -> list[Verdict]:
    """The verdicts, cheapest check first, up to and including the first `fail`.

    A validator that crashes or hangs gives `error` with the reason as evidence, never `pass`; one
    that needs a sandbox where none works, or a checker model that does not answer, gives
    `unavailable`.
    """
    known = {check.kind: _known(check) for check in checks}
    verdicts: list[Verdict] = []
    for check in cheapest_first(checks):
        verdict = await _run_one(known[check.kind], check, candidate, context)
        verdicts.append(verdict)
        if verdict.result == "fail":
            break
    return verdicts


async def _run_one(
    known: Validator, check: Check, candidate: Candidate, context: CheckContext
) -> Verdict:
    limit_s = known.runs * context.sandbox.timeout_s + _SLACK_S if known.runs else _JUDGE_TIMEOUT_S
    limit = asyncio.timeout(limit_s)
    started = time.perf_counter()
    try:
        async with limit:
            verdict = await known.validate(candidate, context, check.argument)
    except (SandboxUnavailable, EngineError) as error:  # no sandbox, no checker model
        verdict = Verdict(validator=check.spec, result="unavailable", evidence=str(error))
    except Exception as error:  # noqa: BLE001 - any crash is a verdict of its own: `error`, not a pass
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


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _known(check: Check) -> Validator:
    every = {entry.kind: entry for entry in known_validators()}
    if check.kind not in every:
        near = difflib.get_close_matches(check.kind, every, n=1)
        guess = f" Did you mean {near[0]!r}?" if near else ""
        forms = ", ".join(entry.form for entry in every.values())
        raise UsageError(f"unknown check {check.spec!r}.{guess} Checks are: {forms}.")
    return every[check.kind]


def _load_built_in() -> None:
    """Import the built-in validators, late: parsers and pytest's XML are not for `rung --help`."""
    import rung.validation.checks  # pyright: ignore[reportUnusedImport]  # noqa: F401
