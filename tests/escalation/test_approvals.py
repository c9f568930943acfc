"""A task that nobody could be asked about waits in the queue, and goes on once it is approved."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rung.config.settings import BudgetSettings
from rung.errors import LedgerError, UsageError
from rung.escalation.approvals import granted
from rung.escalation.money.cost import PaidRung
from rung.escalation.task import Outcome, Task
from tests.command import rung
from tests.fakes.replies import answer
from tests.fakes.server import FakeServer
from tests.ladder import BIG, GOOD, MODEL, SMALL, WRONG, Ladder, ladder, project

FILES = {"sums.py": "def add(a, b):\n    return a + b\n"}


def add_task(root: Path, **changes: object) -> Task:
    fields: dict[str, object] = {
        "checks": ["syntax", "cmd:grep -q 'a + b' sums.py"],
        "out": ["sums.py"],
        "chain": [SMALL, BIG],
        "root": root,
    }
    return Task("Write add(a, b).", **{**fields, **changes})  # type: ignore[arg-type]


async def waits(it: Ladder, root: Path, **changes: object) -> Outcome:
    outcome = await it.rung.execute(add_task(root, **changes))
    assert outcome.status == "needs_review"
    assert it.big.chats == []
    return outcome


async def test_a_task_goes_on_from_the_rung_it_waited_for(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=[WRONG], paid="ask") as it:
        outcome = await waits(it, project(tmp_path))
        assert outcome.review_id is not None
        item = await it.rung.reviews.show(outcome.review_id)
        assert (item.kind, item.state) == ("approval", "open")
        assert item.outcome["question"]["model"] == BIG
        asked_before = len(it.small.chats)
        resumed = await it.rung.resume(outcome.review_id, "go on")
        assert (resumed.status, resumed.engine, resumed.files) == ("verified", "big", FILES)
        assert len(it.small.chats) == asked_before
        item = await it.rung.reviews.show(outcome.review_id)
        assert (item.state, item.note) == ("approved", "go on")
        kinds = [row.kind for row in await it.rung.ledger.audit()]
        assert {"paid_refused", "review_approved", "paid_approved"} <= set(kinds)


async def test_leave_to_spend_is_not_given_by_calling_the_work_right(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=[WRONG], paid="ask") as it:
        outcome = await waits(it, project(tmp_path))
        with pytest.raises(UsageError, match="leave to spend"):
            await it.rung.reviews.decide(outcome.review_id or 0, "approved")
        item, _ = await it.rung.reviews.decide(outcome.review_id or 0, "rejected")
        assert item.state == "rejected"


async def test_an_approval_is_good_for_one_run(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=[WRONG], paid="ask") as it:
        outcome = await waits(it, project(tmp_path))
        await it.rung.resume(outcome.review_id or 0)
        with pytest.raises(LedgerError, match=r"already approved at .* UTC$"):
            await it.rung.resume(outcome.review_id or 0)
        assert len(it.big.chats) == 1


async def test_an_approved_task_spends_no_more_than_was_left_of_its_budget(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 1000, "total_tokens": 1010}
    async with ladder(tmp_path, small=[WRONG], big=[answer(WRONG, usage=usage)], paid="ask") as it:
        outcome = await waits(it, project(tmp_path), budget_usd=0.002)
        resumed = await it.rung.resume(outcome.review_id or 0)
        assert len(it.big.chats) == 1
        assert resumed.cost_usd == pytest.approx(1010 / 1e6)
        assert resumed.review_id is None


async def test_an_approved_task_is_held_to_all_other_budgets(tmp_path: Path) -> None:
    nothing = BudgetSettings(month_usd=0.0)
    async with ladder(tmp_path, small=[WRONG], paid="ask", budget=nothing) as it:
        outcome = await waits(it, project(tmp_path))
        resumed = await it.rung.resume(outcome.review_id or 0)
        assert it.big.chats == []
        assert "a month is left" in resumed.reason


async def test_only_the_model_that_was_asked_about_is_approved() -> None:
    def about(model: str) -> PaidRung:
        return PaidRung(task_id="t", model=model, tier="x", worst_case_usd=0.1, budget_left_usd=1.0)

    async def refuse(_: PaidRung) -> bool:
        return False

    for approve, answer_to_others in ((None, None), (refuse, False)):
        answers = granted(about(BIG), approve)
        assert await answers(about(BIG)) is True
        assert await answers(about("big/other")) is answer_to_others


async def test_who_was_asked_and_said_no_is_not_asked_again(tmp_path: Path) -> None:
    async def refuse(_: PaidRung) -> bool:
        return False

    async with ladder(tmp_path, small=[WRONG], paid="ask") as it:
        outcome = await it.rung.execute(add_task(project(tmp_path)), approve=refuse)
        assert (outcome.status, outcome.review_id) == ("skipped", None)
        skipped = await it.rung.execute(add_task(project(tmp_path / "b"), at_end="skip"))
        assert (skipped.status, skipped.review_id) == ("skipped", None)


async def test_what_denies_paid_models_leaves_nothing_to_approve(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=[WRONG], paid="deny") as it:
        outcome = await it.rung.execute(add_task(project(tmp_path)))
        assert (outcome.status, outcome.review_id) == ("skipped", None)


async def test_finished_work_that_waits_for_a_look_does_not_go_on(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=[WRONG], big=[WRONG]) as it:
        outcome = await it.rung.execute(add_task(project(tmp_path), at_end="review"))
        with pytest.raises(UsageError, match="nothing to go on with"):
            await it.rung.resume(outcome.review_id or 0)


async def test_a_task_whose_folder_is_gone_stays_open(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=[WRONG], paid="ask") as it:
        outcome = await waits(it, project(tmp_path))
        (tmp_path / "project").rename(tmp_path / "moved")
        with pytest.raises(UsageError, match="does not exist any more"):
            await it.rung.resume(outcome.review_id or 0)
        assert (await it.rung.reviews.show(outcome.review_id or 0)).state == "open"


async def test_in_the_terminal(tmp_path: Path) -> None:
    root = project(tmp_path)
    async with FakeServer("openai", [WRONG]) as small, FakeServer("openai", [GOOD]) as big:
        (tmp_path / "rung.toml").write_text(
            "discover = false\n[embedded]\nenabled = false\n"
            f'[engines.small]\nbase_url = "{small.settings().base_url}"\nlocality = "local"\n'
            f'[engines.big]\nbase_url = "{big.settings().base_url}"\nlocality = "cloud"\n'
            f'[models."{BIG}"]\ntier = "haiku"\nusd_per_mtok_in = 1\nusd_per_mtok_out = 1\n'
        )
        env = {"RUNG_CONFIG": str(tmp_path / "rung.toml"), "RUNG_DATA_DIR": str(tmp_path / "data")}

        async def run(*arguments: str):
            return await asyncio.to_thread(rung, *arguments, cwd=root, env=env)

        check = "cmd:grep -q 'a + b' sums.py"
        chain = f"small/{MODEL},{BIG}"
        do = ("do", "Write add", "--out", "sums.py", "--check", check, "--chain", chain)
        skipped = await run(*do, "--at-end", "skip")
        assert skipped.status == 4, skipped.err
        done = await run(*do)
        assert done.status == 3, done.err
        assert "nobody was there to agree" in done.err
        approved = await run("review", "approve", "1", "--apply")
    assert approved.status == 0, approved.err
    assert "written: sums.py" in approved.err
    assert (root / "sums.py").read_text() == FILES["sums.py"]
