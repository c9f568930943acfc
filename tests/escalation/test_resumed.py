"""A task that was approved is the same task: its number, its history, its budget, its audit."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import msgspec
import pytest

from rung.config.settings import EscalationSettings, LearningSettings, ModelSettings
from rung.errors import UsageError
from rung.escalation.events import Event, Warned
from rung.escalation.reviewed import beside_of, outcome_of
from rung.escalation.task import Outcome, Task
from rung.ledger.rows import AttemptRow
from tests.fakes.replies import answer
from tests.fakes.server import failure
from tests.ladder import BIG, BROKEN, GOOD, SMALL, WRONG, Ladder, ladder, project

BOTH_PAID = {
    name: ModelSettings(tier=tier, usd_per_mtok_in=1.0, usd_per_mtok_out=1.0)
    for name, tier in ((SMALL, "flash"), (BIG, "haiku"))
}
ONE_ALLOWED = EscalationSettings(paid="ask", paid_tiers={"flash": "allow"})


async def waiting(it: Ladder, root: Path, **changes: object) -> Outcome:
    fields: dict[str, object] = {
        "checks": ["syntax", "cmd:grep -q 'a + b' sums.py"],
        "out": ["sums.py"],
        "chain": [SMALL, BIG],
        "root": root,
    }
    outcome = await it.rung.execute(Task("Write add(a, b).", **{**fields, **changes}))  # type: ignore[arg-type]
    assert outcome.status == "needs_review"
    return outcome


async def test_it_keeps_its_number_and_counts_what_had_failed_before(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=[WRONG], paid="ask") as it:
        outcome = await waiting(it, project(tmp_path))
        resumed = await it.rung.resume(outcome.review_id or 0)
        assert resumed.task_id == outcome.task_id
        assert resumed.attempts[: len(outcome.attempts)] == outcome.attempts
        last = resumed.attempts[-1]
        assert (last.n, last.failed_rungs, last.result) == (len(outcome.attempts) + 1, 1, "passed")
        assert resumed.seconds > outcome.seconds
        await it.rung.ledger.flush(5)
        lessons = await it.rung.ledger.lessons(10)
        assert [row.n for row in lessons.attempts] == list(range(1, last.n + 1))


async def test_the_next_model_is_told_what_was_wrong_before_the_wait(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=[WRONG], paid="ask") as it:
        outcome = await waiting(it, project(tmp_path))
        await it.rung.resume(outcome.review_id or 0)
        assert "grep -q" in it.big.chats[0].body["messages"][-1]["content"]


async def test_it_is_audited_like_any_other(tmp_path: Path) -> None:
    audits = LearningSettings(audit_rate=1.0)
    async with ladder(tmp_path, small=[WRONG], paid="ask", learning=audits) as it:
        outcome = await waiting(it, project(tmp_path))
        await it.rung.resume(outcome.review_id or 0)
        assert [item.kind for item in await it.rung.reviews.list()] == ["audit"]


async def test_what_it_spent_before_the_wait_counts_in_the_whole(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 1000, "total_tokens": 1010}
    small = [answer(WRONG, usage=usage)]
    async with ladder(
        tmp_path,
        small=small,
        models=BOTH_PAID,
        escalation=ONE_ALLOWED,
    ) as it:
        outcome = await waiting(it, project(tmp_path), budget_usd=0.5)
        assert outcome.cost_usd == pytest.approx(2 * 1010 / 1e6)
        item = await it.rung.reviews.show(outcome.review_id or 0)
        assert item.outcome["task"]["budget_usd"] == pytest.approx(0.5 - 2 * 1010 / 1e6)
        resumed = await it.rung.resume(outcome.review_id or 0)
        assert resumed.cost_usd is not None
        assert resumed.cost_usd > outcome.cost_usd


async def test_what_others_spent_after_the_question_is_not_given_twice(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 1000, "total_tokens": 1010}
    small = [answer(WRONG, usage=usage)]
    async with ladder(
        tmp_path,
        small=small,
        models=BOTH_PAID,
        escalation=ONE_ALLOWED,
    ) as it:
        outcome = await waiting(it, project(tmp_path), budget_usd=0.5, chain=[BIG, SMALL])
        item = await it.rung.reviews.show(outcome.review_id or 0)
        assert item.outcome["task"]["budget_usd"] == pytest.approx(0.5 - 2 * 1010 / 1e6)


async def test_the_answer_from_before_the_wait_is_not_lost_with_the_next_engine(
    tmp_path: Path,
) -> None:
    async with ladder(tmp_path, small=[WRONG], big=[failure(401, "no")], paid="ask") as it:
        outcome = await waiting(it, project(tmp_path))
        resumed = await it.rung.resume(outcome.review_id or 0)
        assert (resumed.status, resumed.files) == ("skipped", outcome.files)
        assert resumed.base_sha256 == outcome.base_sha256


async def test_a_later_review_has_the_answers_from_before_the_wait(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=[WRONG], big=[BROKEN], paid="ask") as it:
        outcome = await waiting(it, project(tmp_path), at_end="review")
        resumed = await it.rung.resume(outcome.review_id or 0)
        assert resumed.status == "needs_review"
        item = await it.rung.reviews.show(resumed.review_id or 0)
        answers = {answer.n: answer for answer in beside_of(item).answers}
        assert [resumed.attempts[n - 1].engine for n in answers] == ["small"] * 2 + ["big"] * 2
        assert answers[1].files == {"sums.py": "def add(a, b):\n    return a - b\n"}


async def test_the_best_answer_is_the_best_from_before_and_after_the_wait(tmp_path: Path) -> None:
    root = project(tmp_path)
    (root / "sums.py").write_text("before = 1\n")
    async with ladder(tmp_path, small=[WRONG], big=[BROKEN], paid="ask") as it:
        outcome = await waiting(it, root)
        (root / "sums.py").write_text("since = 1\n")
        resumed = await it.rung.resume(outcome.review_id or 0)
    assert (resumed.answered, resumed.files) == (outcome.answered, outcome.files)
    assert resumed.base_sha256 == outcome.base_sha256


async def test_a_task_that_is_cancelled_can_be_approved_again_for_what_is_left(
    tmp_path: Path,
) -> None:
    slow = answer(GOOD, stall_after=1)
    async with ladder(tmp_path, small=[WRONG], big=[slow, GOOD], paid="ask") as it:
        outcome = await waiting(it, project(tmp_path), budget_usd=0.5)
        number = outcome.review_id or 0
        resuming = asyncio.create_task(it.rung.resume(number, "go on"))
        while not it.big.chats:
            await asyncio.sleep(0.01)
        resuming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await resuming
        item = await it.rung.reviews.show(number)
        assert (item.kind, item.state) == ("approval", "open")
        so_far = outcome_of(item)
        assert len(so_far.attempts) == len(outcome.attempts) + 1
        assert item.outcome["task"]["budget_usd"] < 0.5
        assert item.reason == so_far.reason
        assert "nobody was there to agree" in item.reason
        resumed = await it.rung.resume(number)
        assert (resumed.status, resumed.task_id) == ("verified", outcome.task_id)
        assert resumed.attempts[: len(so_far.attempts)] == so_far.attempts


async def test_cancelled_at_any_moment_it_is_open_or_done(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=[WRONG], paid="ask") as it:
        outcome = await waiting(it, project(tmp_path))
        number = outcome.review_id or 0
        for moment in range(60):
            resuming = asyncio.create_task(it.rung.resume(number))
            await asyncio.sleep(moment / 2_000)
            resuming.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                assert (await resuming).status == "verified"
                return
            item = await it.rung.reviews.show(number)
            if item.state != "open":
                await it.rung.ledger.flush(5)
                assert (await it.rung.ledger.summary(24)).tasks["verified"] == 1
                return


async def test_of_two_who_approve_it_at_once_one_runs_the_task(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=[WRONG], paid="ask") as it:
        outcome = await waiting(it, project(tmp_path))
        number = outcome.review_id or 0
        found = await asyncio.gather(
            *(it.rung.resume(number) for _ in range(4)), return_exceptions=True
        )
        assert sum(isinstance(item, Outcome) for item in found) == 1
        assert len(it.big.chats) == 1
        assert (await it.rung.reviews.show(number)).state == "approved"


async def test_the_tasks_tokens_go_on(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 40_000, "completion_tokens": 10, "total_tokens": 40_010}
    more = {"prompt_tokens": 4_000, "completion_tokens": 10, "total_tokens": 4_010}
    small, big = [answer(WRONG, usage=usage)], [answer(WRONG, usage=more)]
    limited = EscalationSettings(paid="ask", task_tokens=85_000)
    async with ladder(tmp_path, small=small, big=big, escalation=limited) as it:
        outcome = await waiting(it, project(tmp_path))
        resumed = await it.rung.resume(outcome.review_id or 0)
        assert len(it.big.chats) == 1
        assert "of 85,000 a task are left" in resumed.reason


async def test_the_tasks_time_goes_on(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=[WRONG], paid="ask") as it:
        outcome = await waiting(it, project(tmp_path))
        item = await it.rung.reviews.show(outcome.review_id or 0)
        late = msgspec.structs.replace(item, outcome={**item.outcome, "seconds": 1e6})
        resumed = await it.rung.resume(await it.rung.ledger.add_review(late))
        assert it.big.chats == []
        assert "time was over" in resumed.reason


async def test_it_is_one_task_in_the_reports(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=[WRONG], paid="ask") as it:
        outcome = await waiting(it, project(tmp_path))
        await it.rung.resume(outcome.review_id or 0)
        await it.rung.ledger.flush(5)
        assert (await it.rung.ledger.summary(24)).tasks == {"verified": 1}


async def test_leave_to_spend_says_nothing_of_any_answer(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=[WRONG], paid="ask") as it:
        outcome = await waiting(it, project(tmp_path))
        await it.rung.resume(outcome.review_id or 0)
        refused = await waiting(it, project(tmp_path / "b"))
        await it.rung.reviews.decide(refused.review_id or 0, "rejected")
        await it.rung.ledger.flush(5)
        assert (await it.rung.ledger.lessons(10)).labels == []


async def test_a_task_that_is_wrong_by_now_can_be_approved_again(tmp_path: Path) -> None:
    root = project(tmp_path)
    given = root / "given.py"
    given.write_text("x = 1\n")
    async with ladder(tmp_path, small=[WRONG], paid="ask") as it:
        outcome = await waiting(it, root, files=["given.py"])
        given.unlink()
        with pytest.raises(UsageError, match=r"given\.py does not exist"):
            await it.rung.resume(outcome.review_id or 0)
        given.write_text("x = 1\n")
        assert (await it.rung.resume(outcome.review_id or 0)).status == "verified"


async def test_before_money_is_spent_it_is_said_what_such_tasks_cost(tmp_path: Path) -> None:
    warned: list[float | None] = []

    def on_event(event: Event) -> None:
        if isinstance(event, Warned):
            warned.append(event.usual_usd)

    async with ladder(tmp_path, small=[WRONG]) as it:
        rows = [
            AttemptRow(
                task_id=f"t{n}",
                n=1,
                model="m",
                engine="e",
                task_type="standard",
                result="passed",
                cost_usd=n / 1000,
            )
            for n in range(1, 20)
        ]
        for row in rows:
            it.rung.ledger.record(row)
        await it.rung.ledger.flush(5)
        task = Task("Write add(a, b).", ["cmd:grep -q 'a + b' sums.py"], out=["sums.py"])
        task = msgspec.structs.replace(
            task, type="standard", chain=[SMALL, BIG], root=project(tmp_path)
        )
        await it.rung.execute(task, on_event=on_event)
    assert warned == [pytest.approx(0.019)]
