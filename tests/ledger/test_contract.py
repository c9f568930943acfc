"""What readers and writers may rely on, whatever the ledger is: SQLite, PostgreSQL, or off."""

from __future__ import annotations

import asyncio
import random
import statistics
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest

from rung.errors import LedgerError
from rung.ledger import CallRow, Ledger, ModelSummary, Summary, ToolStatus
from tests.ledger.conftest import Place
from tests.ledger.samples import attempt, audit, call, review, task

FULL_CALL = call(
    project_id="p",
    session_id="s",
    args_json={"model": "qwen3-4b", "nested": {"list": [1, 2.5, None, True, "ü\n\"'"]}},
    result_json={"response_length": 7},
    violations_json=[{"code": "timeout", "message": "30 s"}],
    created_at=datetime(2026, 11, 21, 12, 30, 0, 123456, tzinfo=UTC),
    app="bench",
    task_id="t1",
    attempt=2,
    served_model="qwen3-4b-q4",
    locality="lan",
    tier="local_fast",
    status="error",
    error_kind="timeout",
    tokens_in=2**40,
    tokens_cached=0,
    tokens_out=12,
    cost_usd=0.000123,
    queue_ms=0.5,
    first_token_ms=12.25,
    total_ms=1234.5,
    tokens_per_s=33.3,
)


def without_ids(rows: list) -> list:
    return [msgspec.structs.replace(row, id=None) for row in rows]


async def test_every_reader_answers_an_empty_ledger_with_empty_shapes(any_place: Place) -> None:
    ledger = any_place.open()
    summary = await ledger.summary(24)
    assert summary == Summary(since=summary.since)
    assert await ledger.calls() == []
    assert await ledger.attempts("t1") == []
    assert await ledger.tasks() == []
    assert await ledger.audit() == []
    assert await ledger.reviews(None) == []
    await ledger.close()


async def test_recording_never_raises_and_flush_settles_everything(any_place: Place) -> None:
    ledger = any_place.open()
    for row in (call(), attempt(), task(), audit(), review()):
        ledger.record(row)
    assert await ledger.flush()
    health = await ledger.health()
    assert (health.ok, health.pending_rows, health.lost_rows) == (True, 0, 0)
    await ledger.close()


async def test_health_tells_mode_place_and_revision(any_place: Place) -> None:
    ledger = any_place.open()
    health = await ledger.health()
    assert health.ok and health.mode == any_place.mode and health.last_error is None
    assert (health.revision is None) == (health.latency_ms is None) == (any_place.mode == "off")
    await ledger.close()


async def test_an_unknown_review_is_an_error_that_says_so(any_place: Place) -> None:
    ledger = any_place.open()
    with pytest.raises(LedgerError, match="no review 7"):
        await ledger.review(7)
    with pytest.raises(LedgerError, match="no review 7"):
        await ledger.decide_review(7, "approved")
    await ledger.close()


async def test_with_the_ledger_off_a_review_is_refused_with_what_to_do(tmp_path) -> None:
    ledger = Place(mode="off", url="off", data_dir=tmp_path).open()
    with pytest.raises(LedgerError, match="RUNG_DATABASE_URL"):
        await ledger.add_review(review())
    await ledger.close()
    assert list(tmp_path.iterdir()) == []


async def test_a_row_comes_back_as_it_was_recorded(ledger: Ledger) -> None:
    rows = [
        FULL_CALL,
        attempt(
            verdicts=[{"validator": "tests", "result": "fail"}], repairs=["fence"], seconds=1.5
        ),
        task(complexity_score=5.5, saved_usd=0.25, latency_ms=8500.0, checker="big"),
        audit(task_id="t1", actor="user", details={"from": "a", "to": "b"}),
    ]
    for row in rows:
        ledger.record(row)
    read = [await ledger.calls(), await ledger.attempts("t1")]
    read += [await ledger.tasks(), await ledger.audit()]
    assert [without_ids(found) for found in read] == [[row] for row in rows]


async def test_json_is_json_in_the_database_and_not_a_string_of_json(ledger: Ledger) -> None:
    ledger.record(call(args_json={"a": {"b": 1}}))
    (found,) = await ledger.calls()
    assert found.args_json == {"a": {"b": 1}}


async def test_a_reader_sees_what_was_recorded_just_before(ledger: Ledger) -> None:
    for n in range(3):
        ledger.record(call(attempt=n))
        assert (await ledger.calls(1))[0].attempt == n


async def test_times_of_any_zone_come_back_as_the_same_moment_in_utc(ledger: Ledger) -> None:
    moment = datetime(2026, 3, 1, 1, 0, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    ledger.record(call(created_at=moment))
    (found,) = await ledger.calls()
    assert found.created_at == moment
    assert found.created_at.utcoffset() == timedelta(0)


async def test_rows_outlive_the_process_that_wrote_them(place: Place) -> None:
    ledger = place.open()
    ledger.record(call())
    await ledger.close()
    again = place.open()
    assert len(await again.calls()) == 1
    await again.close()


async def test_lists_are_newest_first_and_limited(ledger: Ledger) -> None:
    for n in range(5):
        ledger.record(call(attempt=n))
        ledger.record(task(task_id=str(n)))
        ledger.record(audit(task_id=str(n)))
    assert [row.attempt for row in await ledger.calls(2)] == [4, 3]
    assert [row.task_id for row in await ledger.tasks(2)] == ["4", "3"]
    assert [row.task_id for row in await ledger.audit(2)] == ["4", "3"]


async def test_attempts_are_of_one_task_in_their_order(ledger: Ledger) -> None:
    for n in (2, 1, 3):
        ledger.record(attempt(n=n))
    ledger.record(attempt(task_id="other"))
    assert [row.n for row in await ledger.attempts("t1")] == [1, 2, 3]


async def test_the_summary_counts_calls_errors_tokens_and_tasks(ledger: Ledger) -> None:
    start = datetime.now(UTC)
    for n, ms in enumerate((30.0, 10.0, 20.0)):
        at = start + timedelta(microseconds=n)
        ledger.record(call(created_at=at, total_ms=ms, tokens_in=10, tokens_out=2, cost_usd=0.5))
    last = start + timedelta(seconds=1)
    failed = call(created_at=last, status="error", error_kind="timeout", total_ms=9e9)
    ledger.record(failed)
    ledger.record(task(task_id="t1", outcome="needs_review"))  # and then it went on
    for n, (outcome, saved) in enumerate(
        (("verified", 0.25), ("verified", 0.5), ("skipped", None))
    ):
        ledger.record(task(task_id=f"t{n + 1}", outcome=outcome, saved_usd=saved))
    await ledger.add_review(review())
    summary = await ledger.summary(1)
    assert summary.models == [
        ModelSummary(
            engine="lmstudio",
            model="qwen3-4b",
            calls=4,
            ok=3,
            errors={"timeout": 1},
            tokens_in=30,
            tokens_out=6,
            cost_usd=1.5,
            calls_of_unknown_cost=1,
            median_total_ms=20.0,
            last_call_at=last,
        )
    ]
    assert summary.pipelines == [
        ToolStatus(tool="lm_studio", success=3, failure=1, last_run_at=last, last_status="error")
    ]
    assert summary.tasks == {"verified": 2, "skipped": 1}
    assert (summary.saved_usd, summary.open_reviews) == (0.75, 1)


async def test_numbers_of_a_summary_can_be_printed_as_json(ledger: Ledger) -> None:
    ledger.record(call(tokens_in=1, tokens_out=2))
    (model,) = (await ledger.summary(1)).models
    assert msgspec.json.decode(msgspec.json.encode(model))["tokens_in"] == 1


@pytest.mark.parametrize(
    ("costs", "expected"),
    [((None, None), (None, 2)), ((0.0, None), (0.0, 1)), ((0.0, 0.0), (0.0, 0))],
)
async def test_an_unknown_cost_is_never_counted_as_zero(ledger: Ledger, costs, expected) -> None:
    for cost in costs:
        ledger.record(call(cost_usd=cost))
    (model,) = (await ledger.summary(1)).models
    assert (model.cost_usd, model.calls_of_unknown_cost) == expected


async def test_a_summary_looks_no_further_back_than_its_window(ledger: Ledger) -> None:
    ledger.record(call(created_at=datetime.now(UTC) - timedelta(hours=3)))
    assert (await ledger.summary(2)).models == []
    assert len((await ledger.summary(4)).models) == 1


async def test_medians_are_those_of_the_statistics_module(ledger: Ledger) -> None:
    dice = random.Random(1)
    times = {f"m{n}": [dice.uniform(1, 1e4) for _ in range(n)] for n in range(1, 12)}
    for model, values in times.items():
        for value in values:
            ledger.record(call(model=model, total_ms=value))
    found = {model.model: model.median_total_ms for model in (await ledger.summary(1)).models}
    expected = {model: statistics.median(values) for model, values in times.items()}
    assert found == pytest.approx(expected)


async def test_a_review_waits_open_with_the_whole_outcome_until_it_is_decided(place: Place) -> None:
    outcome = {"answer": "é", "files": {"a.py": "x\n"}, "attempts": [{"n": 1, "cost_usd": None}]}
    ledger = place.open()
    number = await ledger.add_review(review(outcome=outcome))
    await ledger.close()
    other = place.open()
    (item,) = await other.reviews()
    assert (item.id, item.state, item.outcome) == (number, "open", outcome)
    decided = await other.decide_review(number, "approved", "fine")
    assert (decided.state, decided.note) == ("approved", "fine")
    assert decided.decided_at is not None and decided.decided_at >= decided.created_at
    assert await other.reviews() == []
    assert await other.reviews("approved") == [decided] == [await other.review(number)]
    await other.close()


async def test_a_decision_stands(ledger: Ledger) -> None:
    number = await ledger.add_review(review())
    await ledger.decide_review(number, "rejected", "no")
    with pytest.raises(LedgerError, match="already rejected"):
        await ledger.decide_review(number, "approved")
    assert (await ledger.review(number)).note == "no"


async def test_of_two_people_who_decide_at_once_only_one_does(place: Place) -> None:
    ledgers = [place.open(), place.open()]
    for _ in range(10):
        number = await ledgers[0].add_review(review())
        decisions = await asyncio.gather(
            ledgers[0].decide_review(number, "approved"),
            ledgers[1].decide_review(number, "rejected"),
            return_exceptions=True,
        )
        errors = [found for found in decisions if isinstance(found, LedgerError)]
        assert len(errors) == 1 and "already" in str(errors[0])
    for ledger in ledgers:
        await ledger.close()


async def test_reviews_are_numbered_and_newest_first(ledger: Ledger) -> None:
    numbers = [await ledger.add_review(review(title=title)) for title in "abc"]
    assert [(item.id, item.title) for item in await ledger.reviews()] == list(
        zip(reversed(numbers), "cba", strict=True)
    )


async def test_thousands_of_rows_arrive_complete_and_in_order(ledger: Ledger) -> None:
    for n in range(5000):
        ledger.record(call(attempt=n))
    assert await ledger.flush(60)
    rows: list[CallRow] = await ledger.calls(6000)
    assert [row.attempt for row in reversed(rows)] == list(range(5000))


async def test_threads_that_record_together_lose_nothing(ledger: Ledger) -> None:
    def record(thread: int) -> None:
        for n in range(500):
            ledger.record(call(model=f"m{thread}", attempt=n))

    await asyncio.gather(*(asyncio.to_thread(record, thread) for thread in range(8)))
    assert await ledger.flush(60)
    rows = await ledger.calls(5000)
    for thread in range(8):
        numbers = [row.attempt for row in reversed(rows) if row.model == f"m{thread}"]
        assert numbers == list(range(500))


async def test_what_is_recorded_after_closing_is_counted_as_lost(place: Place) -> None:
    ledger = place.open()
    ledger.record(call())
    await ledger.close()
    await ledger.close()
    ledger.record(call())
    assert len(await ledger.calls()) == 1
    health = await ledger.health()
    assert (health.lost_rows, health.last_error) == (1, "recorded after the ledger was closed")
