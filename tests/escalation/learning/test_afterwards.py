"""Accepted work is looked at again: by a person, by another model; the outcome stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from rung.escalation.learning.afterwards import SHADOW
from rung.escalation.learning.sampling import audit_rate, is_drawn
from rung.ledger.rows import AuditRow
from tests.escalation.learning.test_learning import add_task, learning
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
