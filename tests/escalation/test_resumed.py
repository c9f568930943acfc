"""A task that was approved is the same task: its number, its history, its budget, its audit."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from rung.config.settings import EscalationSettings, LearningSettings, ModelSettings
from rung.errors import UsageError
from rung.escalation.events import Event, Warned
from rung.escalation.task import Outcome, Task
from rung.ledger.rows import AttemptRow
from tests.fakes.replies import answer
from tests.fakes.server import failure
from tests.ladder import BIG, SMALL, WRONG, Ladder, ladder, project

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
        task = msgspec.structs.replace(task, chain=[SMALL, BIG], root=project(tmp_path))
        await it.rung.execute(task, on_event=on_event)
    assert warned == [pytest.approx(0.019)]
