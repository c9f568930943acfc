"""Reviews are narrowed, edited, decided and given back alike on either database."""

from __future__ import annotations

import pytest

from rung.errors import LedgerError
from rung.ledger import Ledger
from rung.ledger.rows import AuditRow, LabelRow, ReviewItem
from tests.ledger.samples import review


def label(review_id: int) -> LabelRow:
    return LabelRow(task_id="t1", attempt=1, source="person", verdict="right", review_id=review_id)


async def labels(ledger: Ledger) -> list[LabelRow]:
    return (await ledger.lessons(10)).labels


async def test_the_type_is_read_from_the_outcome(ledger: Ledger) -> None:
    for kind in ("standard", "critical", None):
        await ledger.add_review(review(outcome={"type": kind} if kind else {}))
    found = await ledger.reviews(None, task_type="critical")
    assert [item.outcome["type"] for item in found] == ["critical"]
    assert len(await ledger.reviews(task_type=None, kind="work")) == 3
    assert len(await ledger.reviews(limit=2)) == 2
    assert await ledger.review_counts() == {"open": 3}


async def test_an_edit_is_kept_while_the_item_is_open_and_not_after(ledger: Ledger) -> None:
    number = await ledger.add_review(review())
    edited = {"files": {"a.py": "é\n\ud800"}}
    item = await ledger.edit_review(number, edited)
    assert (item.state, item.edited) == ("open", {"files": {"a.py": "é\n\ufffd"}})
    await ledger.decide_review(number, "approved")
    with pytest.raises(LedgerError, match="already approved"):
        await ledger.edit_review(number, {})


async def test_a_label_comes_and_goes_with_its_decision(ledger: Ledger) -> None:
    number = await ledger.add_review(review())
    other = await ledger.add_review(review())
    for at in (number, other):
        await ledger.decide_review(at, "approved", settle=lambda item: [label(item.id or 0)])
    assert [row.review_id for row in await labels(ledger)] == [number, other]
    item = await ledger.reopen_review(number)
    assert (item.state, item.decided_at) == ("open", None)
    assert [row.review_id for row in await labels(ledger)] == [other]
    with pytest.raises(LedgerError, match="open already"):
        await ledger.reopen_review(number)


async def test_a_decision_whose_last_step_fails_was_never_made(ledger: Ledger) -> None:
    number = await ledger.add_review(review())

    def fail(item: ReviewItem) -> list[AuditRow]:
        raise RuntimeError(f"the disk is full at {item.id}")

    with pytest.raises(RuntimeError, match="disk"):
        await ledger.decide_review(number, "approved", settle=fail)
    assert (await ledger.review(number)).state == "open"
    assert await labels(ledger) == []


async def test_a_decision_and_its_event_are_on_record_together(ledger: Ledger) -> None:
    number = await ledger.add_review(review())
    event = AuditRow(kind="review_rejected", task_id="t")
    await ledger.decide_review(number, "rejected", settle=lambda _: [event])
    with pytest.raises(LedgerError, match="already rejected"):
        await ledger.decide_review(number, "approved", settle=lambda _: [event])
    assert [row.kind for row in await ledger.audit()] == ["review_rejected"]


async def test_what_does_not_exist_can_be_neither_edited_nor_reopened(ledger: Ledger) -> None:
    for work in (ledger.edit_review(7, {}), ledger.reopen_review(7)):
        with pytest.raises(LedgerError, match="no review 7"):
            await work
