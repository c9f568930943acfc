"""Suggestions and labels are the same on every database."""

from __future__ import annotations

import pytest

from rung.errors import LedgerError
from rung.ledger import AttemptRow, AuditRow, Ledger
from rung.ledger.labels import RESET
from rung.ledger.rows import LabelRow, SuggestionRow
from tests.ledger.conftest import Place

SUGGESTION = SuggestionRow(
    subject="matrix.standard.chain",
    before={"value": ["local_tiny", "haiku"]},
    after={"value": ["haiku"]},
    reason="it nearly always fails",
)


async def test_a_suggestion_is_made_once_applied_once_and_reverted_once(ledger: Ledger) -> None:
    number = await ledger.suggest(SUGGESTION)
    assert number is not None
    assert await ledger.suggest(SUGGESTION) is None
    with pytest.raises(LedgerError, match="is open, not applied"):
        await ledger.decide_suggestion(number, "reverted")
    assert (await ledger.decide_suggestion(number, "applied")).after == {"value": ["haiku"]}
    assert [row.id for row in await ledger.suggestions("applied")] == [number]
    reverted = await ledger.decide_suggestion(number, "reverted")
    assert (reverted.state, reverted.before) == ("reverted", SUGGESTION.before)
    with pytest.raises(LedgerError, match="is reverted, not open"):
        await ledger.decide_suggestion(number, "applied")
    assert await ledger.suggest(SUGGESTION) is None


async def test_a_suggestion_that_does_not_exist_cannot_be_decided(any_place: Place) -> None:
    ledger = any_place.open()
    with pytest.raises(LedgerError, match="there is no suggestion 9"):
        await ledger.decide_suggestion(9, "applied")
    await ledger.close()


async def test_lessons_come_in_order_and_begin_at_the_last_reset(ledger: Ledger) -> None:
    def attempt(task: str) -> AttemptRow:
        return AttemptRow(task_id=task, n=1, model="m", engine="e", task_type="standard")

    ledger.record(attempt("before"))
    ledger.record(LabelRow(task_id="before", attempt=1, source="person", verdict="right"))
    ledger.record(AuditRow(kind=RESET))
    for task in ("one", "two", "three"):
        ledger.record(attempt(task))
    ledger.record(LabelRow(task_id="two", attempt=1, source="audit", verdict="wrong", weight=33.0))
    found = await ledger.lessons(2)
    assert [row.task_id for row in found.attempts] == ["two", "three"]
    assert [(row.task_id, row.weight) for row in found.labels] == [("two", 33.0)]
    assert len((await ledger.lessons(50)).attempts) == 3


async def test_the_answer_of_a_task_is_the_one_that_passed(ledger: Ledger) -> None:
    for n, result in enumerate(["failed", "passed", "no_answer"], start=1):
        ledger.record(AttemptRow(task_id="t", n=n, model="m", engine="e", result=result))
    answered = await ledger.answered_by("t")
    assert answered is not None
    assert answered.n == 2
    assert await ledger.answered_by("none") is None


async def test_the_answer_of_a_task_without_a_pass_is_the_one_that_passed_most_checks(
    ledger: Ledger,
) -> None:
    passes = [{"validator": "syntax", "result": "pass"}]
    fails = [{"validator": "syntax", "result": "fail"}]
    for n, (result, verdicts) in enumerate(
        [("failed", passes), ("failed", fails), ("no_answer", [])], start=1
    ):
        ledger.record(
            AttemptRow(task_id="t", n=n, model="m", engine="e", result=result, verdicts=verdicts)
        )
    answered = await ledger.answered_by("t")
    assert answered is not None
    assert answered.n == 1


async def test_audit_events_can_be_read_by_kind(ledger: Ledger) -> None:
    for kind in ("climb", "shadow", "climb"):
        ledger.record(AuditRow(kind=kind))
    assert [row.kind for row in await ledger.audit(kind="shadow")] == ["shadow"]
    assert len(await ledger.audit()) == 3
