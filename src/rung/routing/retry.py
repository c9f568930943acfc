"""Whether a failed call is tried again on the same engine, and how long it waits: a pure decision.

Exponential backoff with full jitter ("Exponential Backoff And Jitter", AWS Architecture Blog,
2015); a wait that the engine asks for by `Retry-After` is kept to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rung.config.settings import RetrySettings
from rung.errors import EngineError, EngineErrorKind

# Failures before which a model cannot have generated anything that is billed.
UNBILLED: frozenset[EngineErrorKind] = frozenset(
    {
        "unconfigured",
        "unauthorized",
        "rate_limited",
        "overloaded",
        "model_missing",
        "model_not_loaded",
        "context_overflow",
        "bad_request",
        "over_budget",
    }
)
QUICK_WAIT_S = 0.05
LOADING_POLL_S = 1.0
WITH_OTHERS_S = 1.0
_LOADING = 503


@dataclass(frozen=True, kw_only=True)
class Again:
    """Try once more, after this wait."""

    wait_s: float


@dataclass(frozen=True, kw_only=True)
class Stop:
    """Try no more. `why` says so where the user could change it; empty where the error says all."""

    why: str = ""


# How many failures of a kind are followed by another try; what is not here is never repeated. A
# timeout would be paid for twice, a bad request fails twice, and `structured` mends bad output.
_REPEATS: Mapping[EngineErrorKind, int | None] = {
    "rate_limited": None,  # as often as the settings say
    "overloaded": None,
    "unreachable": 1,  # a connection that was kept too long
    "server_error": 1,
    "model_not_loaded": 1,  # someone else unloaded it: the next try loads it again
}


def next_try(
    error: EngineError,
    *,
    failures: int,
    has_begun: bool,
    has_others: bool,
    is_paid: bool,
    repeats_itself: bool,
    waited_s: float,
    remaining_s: float | None,
    settings: RetrySettings,
    random: float,
) -> Again | Stop:
    """What follows the `failures`-th failure of one call, counted from 1.

    `has_begun`: the caller has seen a part of the answer. `has_others`: another model is asked
    where this one stops, so that only a load is waited for longer than a second.
    `repeats_itself`: the engine has tried twice where its connection broke. `waited_s` is what
    earlier waits of this call took, `remaining_s` what is left of its time, if it has an end;
    `random` is in [0, 1).
    """
    is_loading = error.kind == "model_not_loaded" and error.status == _LOADING
    if has_begun or error.kind not in _REPEATS or (is_paid and error.kind not in UNBILLED):
        return Stop()
    if repeats_itself and error.kind == "unreachable":
        return Stop()
    if not is_loading and failures > _most_repeats(error.kind, settings):
        return Stop()
    wait_s = _wait_s(error, is_loading, failures, settings, random)
    limit_s = settings.longest_wait_s
    if has_others and not is_loading and wait_s > WITH_OTHERS_S:
        return Stop(why=f"not tried again after {wait_s:.1f} s, for another model can be asked")
    if wait_s > limit_s:
        return Stop(why=f"it asks to wait {wait_s:g} s, and retry.longest_wait_s is {limit_s:g}")
    if is_loading and waited_s + wait_s > limit_s:
        return Stop(why=f"it was still loading after {waited_s:.0f} s (retry.longest_wait_s)")
    if remaining_s is not None and wait_s >= remaining_s:
        return Stop(why=f"a retry after {wait_s:.1f} s would come after the call's time is over")
    return Again(wait_s=wait_s)


def _most_repeats(kind: EngineErrorKind, settings: RetrySettings) -> int:
    allowed = settings.attempts - 1
    most = _REPEATS[kind]
    return allowed if most is None else min(allowed, most)


def _wait_s(
    error: EngineError, is_loading: bool, failures: int, settings: RetrySettings, random: float
) -> float:
    if error.retry_after_s is not None:
        return max(0.0, error.retry_after_s)
    if is_loading:
        return LOADING_POLL_S
    if _REPEATS[error.kind] is not None:
        return QUICK_WAIT_S
    # 2 ** 30 is beyond any longest wait; a larger exponent would only overflow.
    ceiling_s = settings.first_wait_s * 2 ** min(failures - 1, 30)
    return random * min(ceiling_s, settings.longest_wait_s)
