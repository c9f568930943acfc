"""The report: what the ledger counted, with how sure its shares are."""

from __future__ import annotations

from datetime import datetime

import msgspec

from rung.config.settings import Settings
from rung.escalation.learning.history import History, gates_of
from rung.escalation.learning.rates import Share, wilson
from rung.escalation.learning.views import CheckView, check_views
from rung.escalation.money.budget_report import BudgetReport, budget_report
from rung.ledger.ledger import Ledger
from rung.ledger.period import Period
from rung.ledger.rows import now
from rung.ledger.stats import (
    CallCount,
    CheckCount,
    Counts,
    DayCount,
    PairCount,
    ReviewCount,
    TypeCount,
    WorkerCount,
)


class TypeStats(TypeCount, frozen=True, kw_only=True):
    """A task type; `success` is the share of its tasks that ended verified."""

    success: Share
    attempts_per_task: float
    climbs_per_task: float


class WorkerStats(WorkerCount, frozen=True, kw_only=True):
    """A worker; `success` is the share of its decided attempts that passed all checks."""

    success: Share


class PairStats(PairCount, frozen=True, kw_only=True):
    """A worker and its judge. `accepted` is the share of its attempts that passed, `correct` the
    share of the labelled ones among these that were right; `None` where nobody looked.

    `is_best` marks the surest pair of its task type, of those with at least five attempts.
    """

    accepted: Share
    correct: Share | None
    is_best: bool = False


class StatsReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of a period. Sums leave out what is unknown, and the lines say how much that is.

    `error_rates` and `budget` are of no period: the former rest on the last 5,000 attempts since
    learning was reset, the latter are of today and this month.
    """

    since: datetime | None
    until: datetime | None
    app: str | None
    is_on: bool
    tasks: int
    success: Share
    cost_usd: float | None
    saved_usd: float | None
    types: tuple[TypeStats, ...]
    workers: tuple[WorkerStats, ...]
    pairs: tuple[PairStats, ...]
    checks: tuple[CheckCount, ...]
    error_rates: tuple[CheckView, ...]
    calls: tuple[CallCount, ...]
    days: tuple[DayCount, ...]
    attempts_per_task: dict[int, int]
    reviews: tuple[ReviewCount, ...]
    budget: BudgetReport


LEAST_ATTEMPTS = 5


async def stats_report(
    settings: Settings, ledger: Ledger, history: History, period: Period
) -> StatsReport:
    """The report of a period. Raises LedgerError where the ledger cannot be read."""
    counts = await ledger.counts(period)
    budget = await budget_report(settings, ledger, now())
    return report_of(counts, period, budget, check_views(gates_of(history)))


def report_of(
    counts: Counts, period: Period, budget: BudgetReport, error_rates: tuple[CheckView, ...]
) -> StatsReport:
    """Pure: the counts of a period with their shares."""
    tasks = sum(item.tasks for item in counts.types)
    verified = sum(item.verified for item in counts.types)
    return StatsReport(
        since=period.since,
        until=period.until,
        app=period.app,
        is_on=budget.is_shared,
        tasks=tasks,
        success=wilson(verified, tasks),
        cost_usd=_sum([item.cost_usd for item in counts.types]),
        saved_usd=_sum([item.saved_usd for item in counts.types]),
        types=tuple(_type(item) for item in counts.types),
        workers=tuple(_worker(item) for item in counts.workers),
        pairs=ranked([_pair(item) for item in counts.pairs]),
        checks=counts.checks,
        error_rates=error_rates,
        calls=counts.calls,
        days=counts.days,
        attempts_per_task=counts.attempts_per_task,
        reviews=counts.reviews,
        budget=budget,
    )


def ranked(pairs: list[PairStats]) -> tuple[PairStats, ...]:
    """By type, and there by how surely an attempt is accepted and right; unlabelled ones last."""
    ordered = sorted(pairs, key=lambda pair: (pair.task_type, *_unsureness(pair)))
    best: dict[str, PairStats] = {}
    for pair in ordered:
        if pair.passed + pair.failed >= LEAST_ATTEMPTS:
            best.setdefault(pair.task_type, pair)
    return tuple(
        msgspec.structs.replace(pair, is_best=best.get(pair.task_type) is pair) for pair in ordered
    )


def _unsureness(pair: PairStats) -> tuple[bool, float]:
    right = pair.correct.low if pair.correct else 1.0
    return pair.correct is None, -pair.accepted.low * right


def _type(item: TypeCount) -> TypeStats:
    return TypeStats(
        **msgspec.structs.asdict(item),
        success=wilson(item.verified, item.tasks),
        attempts_per_task=item.attempts / item.tasks,
        climbs_per_task=item.climbs / item.tasks,
    )


def _worker(item: WorkerCount) -> WorkerStats:
    success = wilson(item.passed, item.passed + item.failed)
    return WorkerStats(**msgspec.structs.asdict(item), success=success)


def _pair(item: PairCount) -> PairStats:
    labels = item.right + item.wrong
    return PairStats(
        **msgspec.structs.asdict(item),
        accepted=wilson(item.passed, item.passed + item.failed),
        correct=wilson(item.right, labels) if labels else None,
    )


def _sum(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
