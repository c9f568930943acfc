"""What a person decides about work in the queue, and what it teaches."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from rung.errors import LedgerError, UsageError
from rung.escalation.learning.afterwards import audit_item
from rung.escalation.reviewed import Answer, answer_of, beside_of
from rung.escalation.task import Outcome, Task
from rung.ledger.rows import LabelRow, ReviewItem
from tests.ladder import BROKEN, GOOD, SMALL, WRONG, Ladder, ladder, project

CHECKS = ["syntax", "cmd:grep -q 'a + b' sums.py"]
RIGHT = Answer(files={"sums.py": "def add(a, b):\n    return a + b\n"})
STILL_WRONG = Answer(files={"sums.py": "def add(a, b):\n    return a * b\n"})


async def waiting(it: Ladder, root: Path, **changes: object) -> ReviewItem:
    fields: dict[str, object] = {
        "checks": CHECKS,
        "out": ["sums.py"],
        "chain": [SMALL],
        "root": root,
        "at_end": "review",
    }
    outcome = await it.rung.execute(Task("Write add(a, b).", **{**fields, **changes}))  # type: ignore[arg-type]
    assert outcome.status == "needs_review"
    return await it.rung.reviews.show(outcome.review_id or 0)


async def labels(it: Ladder) -> list[LabelRow]:
    return (await it.rung.ledger.lessons(100)).labels


async def test_an_item_keeps_what_each_attempt_answered(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=[WRONG, BROKEN]) as it:
        item = await waiting(it, project(tmp_path))
        kept = beside_of(item)
        assert [answer.n for answer in kept.answers] == [1, 2]
        assert "a - b" in kept.answers[0].files["sums.py"]
        assert kept.checks == tuple(CHECKS)
        # The first passed the parser, the second not even that.
        assert item.outcome["answered"] == 1


@pytest.mark.parametrize(("decision", "verdict"), [("approved", "right"), ("rejected", "wrong")])
async def test_a_decision_is_a_label_of_the_attempt_that_answered(
    decision, verdict: str, tmp_path: Path
) -> None:
    async with ladder(tmp_path, small=[WRONG, BROKEN]) as it:
        item = await waiting(it, project(tmp_path))
        await it.rung.reviews.decide(item.id or 0, decision, "because")
        [label] = await labels(it)
        assert (label.task_id, label.attempt, label.verdict) == (item.task_id, 1, verdict)
        assert (label.source, label.note, label.review_id) == ("person", "because", item.id)


async def test_a_skipped_task_teaches_nothing(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=[WRONG]) as it:
        item = await waiting(it, project(tmp_path))
        await it.rung.reviews.decide(item.id or 0, "skipped")
        assert await labels(it) == []


async def test_an_audit_weighs_what_it_stands_for(tmp_path: Path) -> None:
    async with ladder(tmp_path) as it:
        task = Task("Write add.", checks=CHECKS, out=["sums.py"], root=project(tmp_path))
        outcome = await it.rung.execute(task)
        number = await it.rung.ledger.add_review(audit_item(task, outcome, 0.05))
        await it.rung.reviews.decide(number, "rejected", "off by one")
        [label] = await labels(it)
        assert (label.source, label.verdict, label.attempt) == ("audit", "wrong", 1)
        assert label.weight == pytest.approx(20.0)


async def test_an_edit_that_passes_is_approved_and_written(tmp_path: Path) -> None:
    root = project(tmp_path)
    async with ladder(tmp_path, small=[WRONG]) as it:
        item = await waiting(it, root)
        edited = await it.rung.reviews.edit(item.id or 0, RIGHT, apply=True)
        assert [verdict.result for verdict in edited.verdicts] == ["pass", "pass"]
        assert (edited.item.state, edited.written) == ("approved", ("sums.py",))
        assert (root / "sums.py").read_text() == RIGHT.files["sums.py"]
        # What the model wrote had to be changed.
        assert [label.verdict for label in await labels(it)] == ["wrong"]
        kinds = [row.kind for row in await it.rung.ledger.audit()]
        assert kinds[:2] == ["review_approved", "review_edited"]


async def test_an_edit_that_fails_its_checks_waits_with_what_was_written(tmp_path: Path) -> None:
    root = project(tmp_path)
    async with ladder(tmp_path, small=[WRONG]) as it:
        item = await waiting(it, root)
        edited = await it.rung.reviews.edit(item.id or 0, STILL_WRONG, apply=True)
        assert edited.verdicts[-1].result == "fail"
        assert (edited.item.state, edited.written) == ("open", ())
        assert not (root / "sums.py").exists()
        assert answer_of(await it.rung.reviews.show(item.id or 0)) == STILL_WRONG
        assert await labels(it) == []
        forced = await it.rung.reviews.edit(item.id or 0, STILL_WRONG, apply=True, force=True)
        assert (forced.item.state, forced.written) == ("approved", ("sums.py",))
        assert (root / "sums.py").read_text() == STILL_WRONG.files["sums.py"]


async def test_an_edit_that_changes_nothing_or_leaves_the_project_is_refused(
    tmp_path: Path,
) -> None:
    async with ladder(tmp_path, small=[WRONG]) as it:
        item = await waiting(it, project(tmp_path))
        with pytest.raises(UsageError, match="nothing was changed"):
            await it.rung.reviews.edit(item.id or 0, answer_of(item))
        with pytest.raises(UsageError, match="unsafe path"):
            await it.rung.reviews.edit(item.id or 0, Answer(files={"../x.py": ""}))
        assert (await it.rung.reviews.show(item.id or 0)).edited is None


async def test_an_edited_object_is_checked_against_the_schema(tmp_path: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 1}},
        "required": ["n"],
    }
    given = {"schema": schema, "checks": ["cmd:false"], "out": ["n.json"]}
    async with ladder(tmp_path, small=['{"n": 1}']) as it:
        item = await waiting(it, project(tmp_path), **given)
        for text, found in (('{"n": 0}', "fail"), ('{"n": 2}', "pass")):
            edited = await it.rung.reviews.edit(item.id or 0, Answer(files={"n.json": text}))
            assert (edited.verdicts[0].validator, edited.verdicts[0].result) == ("schema", found)
        with pytest.raises(UsageError, match="not JSON"):
            await it.rung.reviews.edit(item.id or 0, Answer(files={"n.json": "{"}))


async def test_a_reopened_item_waits_again_and_its_label_is_gone(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=[WRONG]) as it:
        item = await waiting(it, project(tmp_path))
        elsewhere = LabelRow(task_id=item.task_id, attempt=1, source="ci", verdict="wrong")
        it.rung.ledger.record(elsewhere)
        await it.rung.reviews.decide(item.id or 0, "approved", "looks fine")
        with pytest.raises(LedgerError, match="reopen"):
            await it.rung.reviews.decide(item.id or 0, "rejected")
        reopened = await it.rung.reviews.reopen(item.id or 0)
        assert (reopened.state, reopened.note, reopened.decided_at) == ("open", "", None)
        assert [label.source for label in await labels(it)] == ["ci"]
        with pytest.raises(LedgerError, match="open already"):
            await it.rung.reviews.reopen(item.id or 0)
        await it.rung.reviews.decide(item.id or 0, "rejected")
        assert [label.source for label in await labels(it)] == ["ci", "person"]
        events = {row.kind: row.details for row in await it.rung.ledger.audit()}
        assert events["review_reopened"]["was"] == "approved"
        assert events["review_reopened"]["was_note"] == "looks fine"


async def test_an_item_whose_files_cannot_be_written_stays_open(tmp_path: Path) -> None:
    root = project(tmp_path)
    async with ladder(tmp_path, small=[WRONG]) as it:
        item = await waiting(it, root)
        (root / "sums.py").write_text("# somebody was faster\n")
        with pytest.raises(UsageError, match="changed while"):
            await it.rung.reviews.decide(item.id or 0, "approved", apply=True)
        assert (await it.rung.reviews.show(item.id or 0)).state == "open"
        assert await labels(it) == []
        assert (root / "sums.py").read_text() == "# somebody was faster\n"


async def test_an_answer_that_was_edited_meanwhile_is_not_approved_unseen(tmp_path: Path) -> None:
    root = project(tmp_path)
    async with ladder(tmp_path, small=[WRONG]) as it:
        item = await waiting(it, root)
        reviews, ledger = it.rung.reviews, it.rung.ledger
        seen = ledger.review

        async def slowly(review_id: int) -> ReviewItem:
            """Somebody else edits the item right after it was read."""
            found = await seen(review_id)
            await ledger.edit_review(review_id, msgspec.to_builtins(RIGHT))
            return found

        ledger.review = slowly  # type: ignore[method-assign]
        with pytest.raises(UsageError, match="edited meanwhile"):
            await reviews.decide(item.id or 0, "approved", apply=True)
        ledger.review = seen  # type: ignore[method-assign]
        assert (await reviews.show(item.id or 0)).state == "open"
        assert not (root / "sums.py").exists()
        assert await labels(it) == []
        with pytest.raises(UsageError, match="edited meanwhile"):
            await reviews.edit(item.id or 0, STILL_WRONG, seen=item)
        assert answer_of(await reviews.show(item.id or 0)) == RIGHT


async def test_files_of_an_approval_that_was_taken_back_can_be_approved_again(
    tmp_path: Path,
) -> None:
    root = project(tmp_path)
    async with ladder(tmp_path, small=[WRONG]) as it:
        item = await waiting(it, root)
        for _ in range(2):
            _, written = await it.rung.reviews.decide(item.id or 0, "approved", apply=True)
            assert written == ["sums.py"]
            await it.rung.reviews.reopen(item.id or 0)
        assert await labels(it) == []


async def test_nothing_can_be_approved_where_there_is_no_answer(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=["", ""]) as it:
        item = await waiting(it, project(tmp_path))
        with pytest.raises(UsageError, match="no answer"):
            await it.rung.reviews.decide(item.id or 0, "approved")
        edited = await it.rung.reviews.edit(item.id or 0, RIGHT, apply=True)
        assert edited.written == ("sums.py",)
        assert await labels(it) == []


async def test_the_queue_is_narrowed_by_state_kind_and_type(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=[WRONG, WRONG, WRONG, WRONG, GOOD]) as it:
        root = project(tmp_path)
        first = await waiting(it, root, type="standard")
        second = await waiting(it, root, type="quick_edit")
        audited = Outcome(
            task_id="a", status="verified", type="quick_edit", complexity=1, reason=""
        )
        await it.rung.ledger.add_review(audit_item(Task("x"), audited, 1.0))
        await it.rung.reviews.decide(first.id or 0, "rejected")
        queue = it.rung.reviews
        assert [item.kind for item in await queue.list()] == ["audit", "work"]
        assert [item.id for item in await queue.list("rejected")] == [first.id]
        assert [item.id for item in await queue.list(kind="work")] == [second.id]
        assert [item.kind for item in await queue.list(None, task_type="quick_edit")] == [
            "audit",
            "work",
        ]
        assert len(await queue.list(None, limit=1)) == 1
        assert await queue.counts() == {"open": 2, "rejected": 1}


async def test_without_a_ledger_the_queue_is_empty_and_says_so(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=[WRONG], ledger="off") as it:
        assert await it.rung.reviews.list() == []
        assert await it.rung.reviews.counts() == {}
        for work in (it.rung.reviews.show(1), it.rung.reviews.reopen(1)):
            with pytest.raises(LedgerError, match="no review 1"):
                await work
