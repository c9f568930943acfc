"""A paid rung that nobody could be asked about: its task waits in the review queue for a yes."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import msgspec

from rung.chat import JsonObject
from rung.errors import UsageError
from rung.escalation.events import OnEvent
from rung.escalation.money.cost import Approve, CostGuard, PaidRung
from rung.escalation.outcome import Ending
from rung.escalation.plan import Plan
from rung.escalation.task import Outcome, Task, checked_task
from rung.ledger.ledger import Ledger
from rung.ledger.rows import AuditRow, ReviewItem


class Execute(Protocol):
    """Does a task; `after` is what it had come to when it stopped: see `Executor.execute`."""

    def __call__(
        self,
        task: Task,
        *,
        approve: Approve | None = None,
        on_event: OnEvent | None = None,
        after: Outcome | None = None,
    ) -> Awaitable[Outcome]: ...


class Approvals:
    """Lets tasks go on that waited for leave to spend. Raises LedgerError without a ledger."""

    def __init__(self, ledger: Ledger, execute: Execute) -> None:
        self._ledger = ledger
        self._execute = execute

    async def resume(
        self,
        review_id: int,
        note: str = "",
        *,
        approve: Approve | None = None,
        on_event: OnEvent | None = None,
    ) -> Outcome:
        """Approve the item, and do its task from the rung on that it waited for.

        That model may be asked, for all that was left of the task's budget; every other limit
        holds as ever. `approve` is asked about further paid rungs. It is the same task: its number,
        attempts and cost go on. An item is good for one run: of two who approve it, one runs the
        task. Raises UsageError for an item of another kind, and for a task that is wrong by now,
        whose item stays open.
        """
        item = await self._ledger.review(review_id)
        task, question = waiting_task(item)
        after = msgspec.convert(item.outcome, Outcome)
        await self._ledger.decide_review(review_id, "approved", note)
        details = {"review": review_id, "note": note, **msgspec.to_builtins(question)}
        self._audit("review_approved", item, details)
        try:
            return await self._execute(
                task, approve=granted(question, approve), on_event=on_event, after=after
            )
        except UsageError as error:
            # No model was asked: a file is gone, say, and may come back.
            await self._ledger.reopen_review(review_id)
            self._audit("review_reopened", item, {"review": review_id, "note": str(error)})
            raise

    def _audit(self, kind: str, item: ReviewItem, details: JsonObject) -> None:
        row = AuditRow(kind=kind, task_id=item.task_id, actor="user", details=details)
        self._ledger.record(row)


def open_question(plan: Plan, ending: Ending, guard: CostGuard) -> PaidRung | None:
    """What a person must be asked before the task can go on; `None` where that would not help.

    A caller who would rather let the task go is not kept waiting.
    """
    if ending in ("passed", "unchecked") or plan.task.at_end == "skip" or not guard.unasked:
        return None
    # Rungs after the one that nobody agreed to may have been paid for.
    return replace(guard.unasked[0], budget_left_usd=guard.left_usd)


def waiting(outcome: Outcome, question: PaidRung) -> Outcome:
    """The outcome of a task that waits for an answer to `question`."""
    reason = (
        f"{question.model} is paid, and nobody was there to agree; approve it to go on, for up to "
        f"${question.worst_case_usd:.4f} a call and ${question.budget_left_usd:.2f} in all "
        f"({outcome.reason})"
    )
    return msgspec.structs.replace(outcome, status="needs_review", reason=reason)


def kept(plan: Plan, question: PaidRung) -> dict[str, Any]:
    """What a review item needs to know, so that the task can be run again from that rung on."""
    names = [model.name for model in plan.chain]
    task = msgspec.structs.replace(
        plan.task,
        root=plan.root,
        type=plan.classification.type,
        chain=names[names.index(question.model) :] if question.model in names else names,
        budget_usd=question.budget_left_usd,
    )
    return {
        "task": msgspec.to_builtins(task, enc_hook=str),
        "question": msgspec.to_builtins(question),
    }


def waiting_task(item: ReviewItem) -> tuple[Task, PaidRung]:
    """The task of a review item as it is to be run, and what was asked."""
    if item.kind != "approval":
        raise UsageError(
            f"review {item.id} asks for a look at finished work, and there is nothing to go on with"
        )
    task = checked_task(item.outcome["task"], f"the task of review {item.id}")
    if not Path(task.root or "").is_dir():
        raise UsageError(f"the task's folder {task.root} does not exist any more")
    return task, msgspec.convert(item.outcome["question"], PaidRung)


def granted(question: PaidRung, approve: Approve | None) -> Approve:
    """Agrees to the model that was asked about; passes every other question on."""

    async def answer(asked: PaidRung) -> bool | None:
        if asked.model == question.model:
            return True
        return await approve(asked) if approve is not None else None

    return answer
