"""Which budgets a call counts in, and what they allow: pure decisions.

A scope is a day or a month of local time, of everything or of one task type or application:
`day:2026-11-21`, `month:2026-11|type:standard`. A call counts where it began.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal

from rung.config.settings import BudgetSettings, LimitSettings

Period = Literal["day", "month"]
PERIODS: tuple[Period, ...] = ("day", "month")
_UNLIMITED = LimitSettings()


@dataclass(frozen=True, kw_only=True)
class Scope:
    """One budget. `part` is empty for everything, else `type:standard` or `app:rung`.

    `setting` is where its limits stand in the settings; a limit of `None` is none.
    """

    name: str
    period: Period
    part: str
    setting: str
    usd: float | None
    tokens: int | None
    seconds: float | None
    attempts: int | None

    @property
    def words(self) -> str:
        """The scope for a person: `day`, `day for type standard`."""
        return f"{self.period} for {self.part.replace(':', ' ', 1)}" if self.part else self.period


def scopes_of(
    budget: BudgetSettings, at: datetime, task_type: str | None, app: str
) -> tuple[Scope, ...]:
    """All scopes that a call at this moment counts in."""
    parts = ["", *([f"type:{task_type}"] if task_type else []), f"app:{app}"]
    return tuple(scope for part in parts for scope in part_scopes(budget, at, part))


def part_scopes(budget: BudgetSettings, at: datetime, part: str) -> Iterator[Scope]:
    """The day and the month of one part."""
    kind, _, name = part.partition(":")
    setting = "budget"
    limits: BudgetSettings | LimitSettings = budget
    if kind:
        setting = f"budget.{kind}s.{name}"
        limits = {"type": budget.types, "app": budget.apps}[kind].get(name, _UNLIMITED)
    for period in PERIODS:
        is_day = period == "day"
        yield Scope(
            name="|".join(filter(None, (period_name(period, at), part))),
            period=period,
            part=part,
            setting=f"{setting}.{period}",
            usd=limits.day_usd if is_day else limits.month_usd,
            tokens=limits.day_tokens if is_day else None,
            seconds=limits.day_seconds if is_day else None,
            attempts=limits.day_attempts if is_day else None,
        )


def period_name(period: Period, at: datetime) -> str:
    """`day:2026-11-21` or `month:2026-11`, as the clock on the wall has it."""
    day = at.astimezone().date()
    return f"day:{day.isoformat()}" if period == "day" else f"month:{day:%Y-%m}"


def resets_at(period: Period, at: datetime) -> datetime:
    """The next midnight, or the first one of the next month, of local time."""
    day = at.astimezone().date()
    following = day + timedelta(days=1) if period == "day" else _first_of_next_month(day)
    return datetime.combine(following, time()).astimezone()


def _first_of_next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=31)).replace(day=1)
