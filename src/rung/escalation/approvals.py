"""A paid rung that nobody could be asked about: its task waits in the review queue for a yes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import msgspec

from rung.errors import RungError, UsageError
from rung.escalation.earlier import Earlier, OpenQuestion, earlier_of, kept_task
from rung.escalation.events import OnEvent
from rung.escalation.money.cost import Approve, CostGuard, PaidRung
from rung.escalation.outcome import Ending
from rung.escalation.plan import Plan
from rung.escalation.task import Outcome, Task
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
        after: Earlier | None = None,
    ) -> Awaitable[Outcome]: ...


class Approvals:
    """Lets tasks go on that waited for leave to spend. Raises LedgerError without a ledger.

    `look` is called with each outcome, as after any other task.
    """

    def __init__(
        self,
        ledger: Ledger,
        execute: Execute,
        look: Callable[[Task, Outcome], Awaitable[None]],
    ) -> None:
        self._ledger = ledger
        self._execute = execute
        self._look = look

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
        attempts, answers, tokens, seconds and cost go on. An item is good for one run: of two who
        approve it, one runs the task. Where that run is stopped before its end (it is cancelled,
        or the task is wrong by now, which is a UsageError), the item is open again, with what is
        left. Raises UsageError for an item of another kind.
        """
        cut_off: list[ReviewItem] = []
        # On its own: where the caller goes away it may have been decided all the same.
        approved = asyncio.ensure_future(
            self._ledger.decide_review(
                review_id, "approved", note, settle=lambda item: [_approval(item, note)]
            )
        )
        try:
            item = await asyncio.shield(approved)
            task, after = waiting_task(item), earlier_of(item, cut_off.append)
            outcome = await self._execute(
                task,
                approve=granted(after.asked.question, approve),
                on_event=on_event,
                after=after,
            )
        except BaseException as error:
            giving_back = self._give_back(approved, cut_off, error)
            await asyncio.shield(asyncio.ensure_future(giving_back))
            raise
        await self._look(task, outcome)
        return outcome

    async def _give_back(
        self,
        approved: asyncio.Future[ReviewItem],
        cut_off: Sequence[ReviewItem],
        error: BaseException,
    ) -> None:
        """Open the item again, as far as its task has come, if it was this run that took it."""
        with contextlib.suppress(RungError):  # it was not this run, or `error` says more
            item = await approved
            note = str(error) or type(error).__name__
            await self._ledger.reopen_review(
                item.id or 0,
                anew=cut_off[0] if cut_off else None,
                settle=lambda item: [_event(item, "reopened", note=note)],
            )


def _approval(item: ReviewItem, note: str) -> AuditRow:
    """What goes on record as the item is approved. Raises UsageError where it cannot be."""
    waiting_task(item)
    question = msgspec.convert(item.outcome, OpenQuestion).question
    return _event(item, "approved", note=note, **msgspec.to_builtins(question))


def _event(item: ReviewItem, what: str, **details: Any) -> AuditRow:
    about = {"review": item.id, **details}
    return AuditRow(kind=f"review_{what}", task_id=item.task_id, actor="user", details=about)


def open_question(plan: Plan, ending: Ending, guard: CostGuard) -> OpenQuestion | None:
    """What a person must be asked before the task can go on; `None` where that would not help.

    A caller who would rather let the task go is not kept waiting.
    """
    if ending in ("passed", "unchecked", "deadline") or plan.task.at_end == "skip":
        return None
    return still_open(guard.unasked[0], guard) if guard.unasked else None


def still_open(question: PaidRung, guard: CostGuard) -> OpenQuestion:
    """The question with what is left now: other rungs may have been paid for since it was asked."""
    left = replace(question, budget_left_usd=guard.left_usd)
    return OpenQuestion(question=left, tokens_used=guard.tokens_used)


def waiting_task(item: ReviewItem) -> Task:
    """The task of a review item as it is to be run. Raises UsageError where there is none."""
    if item.kind != "approval":
        raise UsageError(
            f"review {item.id} asks for a look at finished work, and there is nothing to go on with"
        )
    task = kept_task(item)
    if not Path(task.root or "").is_dir():
        raise UsageError(f"the task's folder {task.root} does not exist any more")
    return task


def granted(question: PaidRung, approve: Approve | None) -> Approve:
    """Agrees to the model that was asked about; passes every other question on."""

    async def answer(asked: PaidRung) -> bool | None:
        if asked.model == question.model:
            return True
        return await approve(asked) if approve is not None else None

    return answer
