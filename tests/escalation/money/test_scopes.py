"""Days and months of local time, and what counts in them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from rung.config.settings import BudgetSettings, LimitSettings
from rung.escalation.money.scopes import period_name, resets_at, scopes_of


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_call_counts_in_the_day_and_month_of_all_of_its_type_and_of_its_app() -> None:
    names = [scope.name for scope in scopes_of(BudgetSettings(), at("2026-11-21T12:00"), "x", "a")]
    assert sorted(names) == sorted(
        f"{period}{part}"
        for period in ("day:2026-11-21", "month:2026-11")
        for part in ("", "|type:x", "|app:a")
    )
    names = [scope.name for scope in scopes_of(BudgetSettings(), at("2026-11-21T12:00"), None, "a")]
    assert len(names) == 4


def test_each_scope_has_its_own_limits_and_only_days_have_others_than_money() -> None:
    budget = BudgetSettings(
        day_usd=1.0,
        month_usd=9.0,
        day_tokens=5,
        types={"standard": LimitSettings(day_attempts=3)},
        apps={"rung": LimitSettings(month_usd=2.0)},
    )
    found = {
        scope.words: (scope.usd, scope.tokens, scope.seconds, scope.attempts)
        for scope in scopes_of(budget, at("2026-11-21T12:00"), "standard", "rung")
    }
    assert found == {
        "day": (1.0, 5, None, None),
        "month": (9.0, None, None, None),
        "day for type standard": (None, None, None, 3),
        "month for type standard": (None, None, None, None),
        "day for app rung": (None, None, None, None),
        "month for app rung": (2.0, None, None, None),
    }


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("moment", "day", "month", "next_day", "next_month"),
    [
        ("2026-11-20T23:30", "2026-11-21", "2026-11", "2026-11-21T23:00", "2026-11-30T23:00"),
        ("2026-12-31T22:59", "2026-12-31", "2026-12", "2026-12-31T23:00", "2026-12-31T23:00"),
        ("2026-12-31T23:00", "2027-01-01", "2027-01", "2027-01-01T23:00", "2027-01-31T23:00"),
        # The day on which summer time begins has 23 hours, the one on which it ends 25.
        ("2026-03-28T23:00", "2026-03-29", "2026-03", "2026-03-29T22:00", "2026-03-31T22:00"),
        ("2026-10-24T22:00", "2026-10-25", "2026-10", "2026-10-25T23:00", "2026-10-31T23:00"),
        ("2028-02-28T23:00", "2028-02-29", "2028-02", "2028-02-29T23:00", "2028-02-29T23:00"),
    ],
)
def test_days_and_months_begin_at_local_midnight_whatever_the_clocks_do(
    moment: str, day: str, month: str, next_day: str, next_month: str
) -> None:
    now = at(moment)
    assert period_name("day", now) == f"day:{day}"
    assert period_name("month", now) == f"month:{month}"
    assert resets_at("day", now) == at(next_day)
    assert resets_at("month", now) == at(next_month)
    for period in ("day", "month"):
        turn = resets_at(period, now)
        assert period_name(period, turn - timedelta(microseconds=1)) == period_name(period, now)
        assert period_name(period, turn) != period_name(period, now)
