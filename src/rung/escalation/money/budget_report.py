"""How the budgets stand: what `rung budget` shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Literal

import msgspec

from rung.config.settings import Settings
from rung.escalation.money.bill import NANO
from rung.escalation.money.scopes import PERIODS, Period, Scope, part_scopes, period_name, resets_at
from rung.ledger.ledger import Ledger
from rung.ledger.rows import BudgetRow

Unit = Literal["usd", "tokens", "seconds", "attempts"]


class BudgetLine(msgspec.Struct, frozen=True, kw_only=True):
    """One limit, or what is used where there is none. `part` is empty for everything.

    `reserved` is the worst case of the calls under way; `left` and `limit` are `None` without a
    limit. `left` is never negative.
    """

    scope: str
    period: Period
    part: str
    unit: Unit
    limit: float | None
    used: float
    reserved: float
    left: float | None
    resets_at: datetime
    setting: str


class BudgetReport(msgspec.Struct, frozen=True, kw_only=True):
    """`is_shared` is false where the ledger is off: then no process knows what others spend."""

    is_shared: bool
    lines: tuple[BudgetLine, ...]


async def budget_report(settings: Settings, ledger: Ledger, at: datetime) -> BudgetReport:
    """All that has a limit, and what was used without one. Raises LedgerError."""
    await ledger.flush()
    rows = await ledger.budgets.used([period_name(period, at) for period in PERIODS])
    used = {row.scope: row for row in rows}
    parts = dict.fromkeys(
        [
            "",
            *(f"type:{name}" for name in settings.budget.types),
            *(f"app:{name}" for name in settings.budget.apps),
            *sorted(row.scope.partition("|")[2] for row in rows),
        ]
    )
    return BudgetReport(
        is_shared=ledger.budgets.is_shared,
        lines=tuple(
            line
            for part in parts
            for scope in part_scopes(settings.budget, at, part)
            for line in _lines(scope, used, resets_at(scope.period, at))
        ),
    )


def _lines(scope: Scope, used: Mapping[str, BudgetRow], resets: datetime) -> Iterator[BudgetLine]:
    row = used.get(scope.name) or BudgetRow(scope=scope.name)
    measures: tuple[tuple[Unit, float | None, float, float], ...] = (
        ("usd", scope.usd, row.spent_nano_usd / NANO, row.reserved_nano_usd / NANO),
        ("tokens", scope.tokens, row.tokens, 0),
        ("seconds", scope.seconds, row.seconds, 0),
        ("attempts", scope.attempts, row.attempts, 0),
    )
    for unit, limit, amount, reserved in measures:
        if limit is None and not amount and not reserved and (scope.part or unit != "usd"):
            continue
        yield BudgetLine(
            scope=scope.name,
            period=scope.period,
            part=scope.part,
            unit=unit,
            limit=limit,
            used=amount,
            reserved=reserved,
            left=None if limit is None else max(0.0, limit - amount - reserved),
            resets_at=resets,
            setting=f"{scope.setting}_{unit}",
        )
