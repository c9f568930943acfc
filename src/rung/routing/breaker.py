"""Whether an engine is to be asked now, by how it answered before: a pure state machine.

Three things are told apart. An outage opens the breaker, for longer each time; a refused key keeps
the engine out, but is no outage; a rate limit lasts as long as the engine says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from rung.errors import EngineErrorKind

_OUTAGES: frozenset[EngineErrorKind] = frozenset({"unreachable", "timeout", "server_error"})
_REFUSALS: frozenset[EngineErrorKind] = frozenset({"unconfigured", "unauthorized"})
_FULL: frozenset[EngineErrorKind] = frozenset({"rate_limited", "overloaded"})

# One failed answer may be the prompt's fault; nobody there is nobody there.
OUTAGES_TO_OPEN = 3
FIRST_OPEN_S = 5.0
LONGEST_OPEN_S = 300.0
REFUSED_S = 60.0
FULL_S = 5.0
LONGEST_FULL_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How an engine stands. `shut_until` is a moment of the caller's clock; `cause` says why.

    Once that moment is past, the breaker is half open: calls go through, the first success closes
    it, and the first outage opens it for twice as long.
    """

    outages: int = 0
    shut_until: float = 0.0
    cause: EngineErrorKind | None = None

    def is_open(self, now: float) -> bool:
        """Whether others should be asked first."""
        return now < self.shut_until


GOOD = Standing()


def after(
    standing: Standing, failure: EngineErrorKind | None, now: float, retry_after_s: float | None
) -> Standing:
    """The standing after one more call; `failure` is `None` for one that was answered.

    A failure that says nothing of the engine (a bad request, a missing model) changes nothing.
    """
    if failure is None:
        return GOOD
    if failure in _REFUSALS:
        return replace(standing, shut_until=now + REFUSED_S, cause=failure)
    if failure in _FULL:
        # Whatever it says, it is looked at again within the hour.
        wait_s = FULL_S if retry_after_s is None else min(retry_after_s, LONGEST_FULL_S)
        return replace(standing, shut_until=max(standing.shut_until, now + wait_s), cause=failure)
    if failure not in _OUTAGES:
        return standing
    if standing.is_open(now) and standing.cause in _OUTAGES:
        return standing  # a call that was under way when the breaker opened: the same outage
    outages = standing.outages + 1
    opened = outages if failure == "unreachable" else outages - OUTAGES_TO_OPEN + 1
    if opened < 1:
        return replace(standing, outages=outages)
    open_s = min(FIRST_OPEN_S * 2 ** min(opened - 1, 16), LONGEST_OPEN_S)
    return Standing(outages=outages, shut_until=now + open_s, cause=failure)
