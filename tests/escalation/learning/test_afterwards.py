"""Accepted work is looked at again: by a person, by another model; the outcome stays."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from rung.errors import RungError
from rung.escalation.learning import afterwards
from rung.escalation.learning.sampling import audit_rate, is_drawn
from rung.escalation.task import Outcome
from rung.ledger.period import Period
from rung.ledger.rows import SHADOW, AuditRow
from tests.escalation.learning.test_learning import add_task, learning
from tests.fakes.server import Reply
from tests.ladder import BIG, GOOD, SMALL, WRONG, Ladder, ladder, project


async def shadows(it: Ladder) -> list[AuditRow]:
    await it.rung.afterwards.close()
    return await it.rung.ledger.audit(kind=SHADOW)


async def test_an_audit_waits_for_a_person_with_its_rate(tmp_path: Path) -> None:
    async with ladder(tmp_path, learning=learning("advise", audit_rate=0.5)) as it:
        root = project(tmp_path)
        outcomes = [await it.rung.execute(add_task(root)) for _ in range(4)]
        items = await it.rung.ledger.reviews()
        # A model without labels is looked at three times as often: at 0.5, always.
        assert [item.kind for item in items] == ["audit"] * 4
        assert {item.task_id for item in items} == {outcome.task_id for outcome in outcomes}
        assert items[0].outcome["audit_rate"] == 1.0
        assert {outcome.status for outcome in outcomes} == {"verified"}


async def test_nothing_is_audited_in_the_mode_off_or_where_it_was_not_accepted(
    tmp_path: Path,
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    async with ladder(tmp_path / "a", learning=learning("off", audit_rate=1.0)) as it:
        await it.rung.execute(add_task(project(tmp_path / "a")))
        assert await it.rung.ledger.reviews() == []
    wrong = {"small": [WRONG], "big": [WRONG]}
    async with ladder(tmp_path / "b", **wrong, learning=learning("on", audit_rate=1.0)) as it:
        await it.rung.execute(add_task(project(tmp_path / "b"), at_end="skip"))
        assert await it.rung.ledger.reviews() == []


async def test_a_shadow_is_compared_and_never_served(tmp_path: Path) -> None:
    settings = learning("advise", shadow_rate=1.0, shadow_model=BIG)
    other = "```python\ndef add(a, b):\n    total = a + b\n    return total\n```"
    async with ladder(tmp_path, big=[GOOD, other], learning=settings) as it:
        root = project(tmp_path)
        outcomes = [await it.rung.execute(add_task(root)) for _ in range(2)]
        assert [outcome.engine for outcome in outcomes] == ["small", "small"]
        rows = await shadows(it)
        assert sorted(row.details["agrees"] for row in rows) == [False, True]
        assert {row.task_id for row in rows} == {outcome.task_id for outcome in outcomes}
        assert {row.details["worker"] for row in rows} == {SMALL}
        # Its attempts are on record, for the posteriors and for a replay.
        shadow_task = rows[0].details["shadow_task"]
        assert [row.engine for row in await it.rung.ledger.attempts(shadow_task)] == ["big"]


async def test_a_shadow_spends_nothing_that_was_not_allowed(tmp_path: Path) -> None:
    settings = learning("advise", shadow_rate=1.0, shadow_model=BIG)
    async with ladder(tmp_path, paid="ask", learning=settings) as it:
        await it.rung.execute(add_task(project(tmp_path)))
        [row] = await shadows(it)
        assert row.details["agrees"] is None
        assert it.big.chats == []


async def test_a_shadow_that_does_not_exist_is_on_record_as_such(tmp_path: Path) -> None:
    settings = learning("advise", shadow_rate=1.0, shadow_model="big/nobody")
    async with ladder(tmp_path, learning=settings) as it:
        outcome = await it.rung.execute(add_task(project(tmp_path)))
        assert outcome.status == "verified"
        [row] = await shadows(it)
        assert "nobody" in row.details["error"]


def test_draws_are_fair_and_models_with_few_labels_are_looked_at_more_often() -> None:
    drawn = sum(is_drawn(f"task {n}", "audit", 0.1) for n in range(5000))
    assert 420 <= drawn <= 580
    assert audit_rate(0.03, 0) == pytest.approx(0.09)
    assert audit_rate(0.03, 100) == 0.03
    assert audit_rate(0.5, 0) == 1.0


async def test_a_shadow_sees_the_project_as_the_worker_saw_it(tmp_path: Path) -> None:
    """The caller writes the answer at once, while the shadow still thinks."""
    edit = {"answer": "", "edits": [{"path": "sums.py", "find": "a - b", "replace": "a + b"}]}
    settings = learning("advise", shadow_rate=1.0, shadow_model=BIG)
    slow = Reply(text=json.dumps(edit), first_after_s=0.3)
    async with ladder(
        tmp_path, small=[json.dumps(edit)], big=lambda _: slow, learning=settings
    ) as it:
        root = project(tmp_path)
        (root / "sums.py").write_text("def add(a, b):\n    return a - b\n")
        task = add_task(root, files=["sums.py"], out=[])
        outcome = await it.rung.execute(task)
        assert await it.rung.apply(task, outcome) == ["sums.py"]
        [row] = await shadows(it)
        assert (row.details["status"], row.details["agrees"]) == ("verified", True)


async def test_a_shadow_is_no_task_of_the_users(tmp_path: Path) -> None:
    settings = learning("advise", shadow_rate=1.0, shadow_model=BIG)
    async with ladder(tmp_path, price=1000.0, paid="allow", learning=settings) as it:
        root = project(tmp_path)
        for _ in range(20):
            await it.rung.execute(add_task(root, budget_usd=100.0))
        assert len(await shadows(it)) == 20
        await it.rung.ledger.flush()
        report = await it.rung.stats(Period())
        assert report.tasks == 20
        [view] = (await it.rung.learning.show("standard")).types
        assert view.reserve_usd == 0.0


async def test_a_shadow_of_critical_work_asks_nobody_for_a_review(tmp_path: Path) -> None:
    async with ladder(tmp_path, learning=learning("advise")) as it:
        task = add_task(project(tmp_path), type="critical", chain=[SMALL])
        outcome = await it.rung.execute(task)
        accepted = replace(outcome, status="verified")
        await it.rung.afterwards.shadow(task, accepted, BIG)
        assert [item.task_id for item in await it.rung.ledger.reviews()] == [outcome.task_id]


async def test_only_accepted_work_is_compared_and_with_another_model(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=[WRONG, WRONG, GOOD], learning=learning("advise")) as it:
        task = add_task(project(tmp_path), chain=[SMALL], at_end="skip")
        failed = await it.rung.execute(task)
        with pytest.raises(RungError, match="only accepted work"):
            await it.rung.afterwards.shadow(task, failed, BIG)
        accepted = await it.rung.execute(task)
        row = await it.rung.afterwards.shadow(task, accepted, "local_fast")
        assert row.details["agrees"] is None
        assert "its own shadow" in row.details["error"]


async def test_an_outcome_waits_for_no_shadow_that_does_not_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(afterwards, "BEGIN_S", 0.05)
    settings = learning("advise", shadow_rate=1.0, shadow_model=BIG)
    async with ladder(tmp_path, learning=settings) as it:

        async def hanging(*_: object, **__: object) -> Outcome:
            await asyncio.Event().wait()
            raise AssertionError

        it.rung.afterwards._execute = hanging
        outcome = await it.rung.execute(add_task(project(tmp_path)))
        assert outcome.status == "verified"
        assert await shadows(it) == []
