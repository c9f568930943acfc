"""What the ledger counts of a period is what happened in it, on either database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from rung.ledger import Ledger
from rung.ledger.period import Period
from rung.ledger.rows import LabelRow
from rung.ledger.stats import Counts
from tests.ledger.conftest import Place
from tests.ledger.samples import attempt, call, review, task

START = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
ALL = Period()


def hours(count: float) -> datetime:
    return START + timedelta(hours=count)


async def test_a_ledger_that_is_off_or_empty_counts_nothing(any_place: Place) -> None:
    ledger = any_place.open()
    assert await ledger.counts(ALL) == Counts()
    await ledger.close()


async def test_tasks_count_once_by_type_day_and_number_of_attempts(ledger: Ledger) -> None:
    first = {"task_id": "a", "task_type": "standard", "attempts": 1, "app": "x"}
    # The same task waited for leave, and went on.
    ledger.record(task(**first, outcome="needs_review", timestamp=hours(0)))
    last = {**first, "attempts": 3, "escalations": 1, "worker": "e/m", "cost_usd": 0.5}
    ledger.record(task(**last, outcome="verified", saved_usd=0.25, timestamp=hours(2)))
    for n in range(3):
        ledger.record(task(task_id=f"b{n}", latency_ms=1000.0 * n, timestamp=hours(3), app="y"))
    found = await ledger.counts(ALL)
    quick, standard = found.types
    assert (quick.task_type, quick.tasks, quick.verified) == ("quick_edit", 3, 3)
    assert (quick.cost_usd, quick.tasks_of_unknown_cost) == (None, 3)
    assert (quick.median_s, quick.p95_s) == (1.0, 2.0)
    assert (standard.outcomes, standard.attempts, standard.climbs) == ({"verified": 1}, 3, 1)
    assert (standard.cost_usd, standard.saved_usd, standard.median_s) == (0.5, 0.25, None)
    assert found.attempts_per_task == {0: 3, 3: 1}
    [day] = found.days
    assert (day.day, day.tasks, day.verified, day.cost_usd) == ("2026-11-21", 4, 4, 0.5)
    assert [item.task_type for item in (await ledger.counts(Period(app="x"))).types] == ["standard"]


async def test_days_are_those_of_utc(ledger: Ledger) -> None:
    for n in (0.99, 1.01):
        ledger.record(task(task_id=str(n), timestamp=hours(n)))
    assert [day.day for day in (await ledger.counts(ALL)).days] == ["2026-11-20", "2026-11-21"]


@pytest.mark.parametrize(
    ("period", "tasks"),
    [
        (Period(since=hours(1)), 2),
        (Period(until=hours(1)), 1),
        (Period(since=hours(1), until=hours(2)), 1),
        (Period(app="nobody"), 0),
    ],
)
async def test_a_period_begins_with_its_first_moment_and_ends_before_its_last(
    period: Period, tasks: int, ledger: Ledger
) -> None:
    for n in range(3):
        ledger.record(task(task_id=str(n), timestamp=hours(n)))
        ledger.record(call(created_at=hours(n)))
        ledger.record(attempt(task_id=str(n), created_at=hours(n)))
    found = await ledger.counts(period)
    assert sum(item.tasks for item in found.types) == tasks
    assert sum(item.calls for item in found.calls) == tasks
    assert sum(item.attempts for item in found.workers) == tasks


async def test_workers_pairs_and_checks_are_counted_from_attempts(ledger: Ledger) -> None:
    verdicts = [
        {"validator": "tests:tests/test_a.py", "result": "pass"},
        {"validator": "cmd:a:b", "result": "fail"},
        {"validator": "syntax", "result": "unavailable"},
        {"validator": "semantic:ok", "result": "error"},
    ]
    judged = {"checker": "e/judge", "task_type": "standard", "cost_usd": 0.1}
    results = ["passed", "passed", "passed", "failed", "no_answer"]
    for n, result in enumerate(results):
        row = attempt(task_id=f"t{n}", result=result, seconds=float(n), verdicts=verdicts, **judged)
        ledger.record(row)
    ledger.record(attempt(task_id="t9", result="passed"))
    ledger.record(task(task_id="t0", worker="lmstudio/qwen3"))
    # The newer label of an attempt is what is known of it.
    for task_id, verdict in (("t0", "wrong"), ("t0", "right"), ("t1", "wrong"), ("t3", "right")):
        ledger.record(LabelRow(task_id=task_id, attempt=1, source="person", verdict=verdict))
    found = await ledger.counts(ALL)
    [worker] = found.workers
    assert (worker.worker, worker.attempts) == ("lmstudio/qwen3", 6)
    assert (worker.passed, worker.failed, worker.verified_tasks) == (4, 1, 1)
    assert worker.cost_usd == pytest.approx(0.5)
    assert (worker.attempts_of_unknown_cost, worker.median_s, worker.p95_s) == (1, 2.0, 4.0)
    [pair] = found.pairs
    assert (pair.task_type, pair.worker, pair.checker) == ("standard", worker.worker, "e/judge")
    assert (pair.passed, pair.failed, pair.right, pair.wrong) == (3, 1, 1, 1)
    assert {check.check: msgspec.structs.astuple(check)[1:] for check in found.checks} == {
        "cmd": (0, 5, 0, 0),
        "semantic": (0, 0, 0, 5),
        "syntax": (0, 0, 5, 0),
        "tests": (5, 0, 0, 0),
    }


async def test_calls_have_their_speed_and_errors(ledger: Ledger) -> None:
    for speed in (10.0, 20.0, 30.0):
        ledger.record(call(tokens_per_s=speed, total_ms=speed * 100, tokens_in=5, cost_usd=0.0))
    ledger.record(call(status="error", total_ms=9e9))
    [found] = (await ledger.counts(ALL)).calls
    assert (found.calls, found.errors, found.tokens_in, found.tokens_out) == (4, 1, 15, 0)
    assert (found.cost_usd, found.calls_of_unknown_cost) == (0.0, 1)
    assert (found.median_s, found.p95_s, found.median_tokens_per_s) == (2.0, 3.0, 20.0)


async def test_reviews_are_counted_by_kind_with_the_time_to_decide(ledger: Ledger) -> None:
    created = datetime.now(UTC) - timedelta(hours=2)
    for decision in ("approved", "rejected", None):
        number = await ledger.add_review(review(created_at=created))
        if decision:
            await ledger.decide_review(number, decision)
    await ledger.add_review(review(kind="audit", task_id="elsewhere"))
    audit, work = (await ledger.counts(ALL)).reviews
    assert (audit.kind, audit.states, audit.median_s) == ("audit", {"open": 1}, None)
    assert work.states == {"approved": 1, "rejected": 1, "open": 1}
    assert work.median_s is not None and 7200 <= work.median_s < 7300
    ledger.record(task(task_id="t1", app="x"))
    assert [item.kind for item in (await ledger.counts(Period(app="x"))).reviews] == ["work"]


async def test_counts_can_be_printed_as_json(ledger: Ledger) -> None:
    ledger.record(task(cost_usd=1.0, task_type="ü\x1b[2J<script>"))
    ledger.record(attempt(result="passed", verdicts=[{"validator": "ü", "result": "pass"}]))
    ledger.record(call(tokens_in=1))
    found = await ledger.counts(ALL)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Counts) == found
