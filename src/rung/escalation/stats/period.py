"""From what a user writes to a moment: `7d`, `36h`, `2026-11-01`, `2026-11-01T12:00`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from rung.errors import UsageError
from rung.ledger.period import Period

_AGO = re.compile(r"(\d{1,6})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(text: str, now: datetime) -> datetime | None:
    """The moment in UTC; dates and times without a zone are local. `all` is `None`: no bound."""
    if text == "all":
        return None
    try:
        if ago := _AGO.fullmatch(text):
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{text!r} is no time: give 30m, 36h, 7d or 2w ago, a date such as 2026-11-01, or all"
        ) from None


def period(since: str, until: str | None, app: str | None, now: datetime) -> Period:
    """The period of a report. Raises UsageError where it is empty."""
    first, last = moment(since, now), moment(until, now) if until else None
    if first is not None and last is not None and first >= last:
        raise UsageError(f"--since {since} is not before --until {until}")
    return Period(since=first, until=last, app=app)
