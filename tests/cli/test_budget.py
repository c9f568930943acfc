"""`rung budget`: what was spent and what is left, for people and for programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from rung.config.settings import LedgerSettings
from rung.escalation.money.scopes import period_name
from rung.ledger import Ledger
from rung.ledger.rows import BudgetRow, now
from tests.command import rung


async def used(folder: Path, part: str = "", **sums: float) -> None:
    ledger = Ledger.open(LedgerSettings(), folder)
    for period in ("day", "month"):
        name = "|".join(filter(None, (period_name(period, now()), part)))
        ledger.record(BudgetRow(scope=name, **sums))  # type: ignore[arg-type]
    await ledger.close(30)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {
        "RUNG_DATA_DIR": str(tmp_path),
        "RUNG_EMBEDDED__ENABLED": "false",
        "RUNG_BUDGET__DAY_USD": "1",
        "RUNG_BUDGET__MONTH_USD": "100",
        "RUNG_BUDGET__TYPES__CRITICAL__DAY_TOKENS": "50",
    }


async def test_each_limit_says_what_is_left_of_it(tmp_path: Path, env: dict[str, str]) -> None:
    await used(tmp_path, spent_nano_usd=800_000_000, reserved_nano_usd=50_000_000, tokens=1_000)
    await used(tmp_path, "type:critical", tokens=80)
    await used(tmp_path, "app:rung", tokens=7)
    shown = rung("budget", env=env)
    lines = {line.split("  ")[0]: line.split() for line in shown.out.splitlines()}
    day = next(line for line in shown.out.splitlines() if line.startswith("day, USD"))
    assert day.split()[2:8] == ["everything", "$1.0000", "$0.8000", "$0.0500", "$0.1500", "low"]
    assert lines["month, USD"][-3] == "ok"
    [critical] = [line for line in shown.out.splitlines() if "type critical" in line]
    assert "used up" in critical
    assert "app rung" not in shown.out
    assert "app rung" in rung("budget", "--all", env=env).out


async def test_as_json_every_line_names_its_setting(tmp_path: Path, env: dict[str, str]) -> None:
    await used(tmp_path, "type:critical", tokens=80)
    report = rung("budget", "--json", env=env).json
    assert report["is_shared"] is True
    [line] = [line for line in report["lines"] if line["limit"] == 50]
    assert (line["setting"], line["used"], line["left"]) == (
        "budget.types.critical.day_tokens",
        80,
        0,
    )


def test_without_a_ledger_it_says_whose_budgets_these_are(env: dict[str, str]) -> None:
    shown = rung("budget", env={**env, "RUNG_DATABASE_URL": "off"})
    assert "those of one process each" in shown.out


def test_a_limit_of_a_type_that_does_not_exist_is_an_error(env: dict[str, str]) -> None:
    shown = rung("budget", env={**env, "RUNG_BUDGET__TYPES__STANDART__DAY_USD": "1"})
    assert shown.status == 2
    assert "did you mean 'standard'?" in shown.err
