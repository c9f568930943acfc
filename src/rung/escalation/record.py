"""What the ledger keeps of a task: its attempts, climbs and approvals, the task, its review."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import shorten
from typing import Any

import msgspec

from rung.config.settings import Settings, StoreContent
from rung.errors import LedgerError
from rung.escalation.attempt import Finished
from rung.escalation.earlier import OpenQuestion, kept
from rung.escalation.outcome import best_of, waiting
from rung.escalation.plan import Plan
from rung.escalation.reviewed import beside
from rung.escalation.task import Attempt, Outcome
from rung.ledger.content import stored
from rung.ledger.ledger import Ledger
from rung.ledger.rows import SHADOW_APP, AttemptRow, AuditRow, ReviewItem, TaskRow

TITLE_LENGTH = 100
# The model was not asked, or another's answer came first: nothing climbs to it, or from it.
NO_WORK = ("over_budget", "cancelled")


class Recorder:
    """Writes one task's rows."""

    def __init__(
        self, ledger: Ledger, plan: Plan, settings: Settings, *, is_shadow: bool = False
    ) -> None:
        self._ledger = ledger
        self._is_shadow = is_shadow
        self._plan = plan
        self._policy: StoreContent = settings.ledger.store_content
        self._app = SHADOW_APP if is_shadow else settings.app

    def attempt(self, attempt: Attempt) -> None:
        self._ledger.record(
            AttemptRow(
                task_id=self._plan.task_id,
                task_type=self._plan.classification.type,
                app=self._app,
                **msgspec.to_builtins(attempt),
            )
        )

    def audit(self, kind: str, details: dict[str, Any]) -> None:
        self._ledger.record(AuditRow(kind=kind, task_id=self._plan.task_id, details=details))

    def ended(
        self, outcome: str, finished: Sequence[Finished], seconds: float, cost_usd: float | None
    ) -> None:
        """The task ended without an outcome: stopped from outside, or by an error."""
        self._task(outcome, finished, cost_usd, None, seconds)

    async def finished(
        self, outcome: Outcome, finished: Sequence[Finished], asked: OpenQuestion | None = None
    ) -> Outcome:
        """Record the task; put it into the review queue where it needs a person.

        With a question (`asked`) it waits there for the answer.
        """
        if asked is not None:
            outcome = waiting(outcome, finished, asked.question)
        try:
            if outcome.status == "needs_review" and not self._is_shadow:
                outcome = await self._queued(outcome, finished, asked)
        finally:
            # It has ended, even where the caller does not wait for the queue.
            self._task(
                outcome.status, finished, outcome.cost_usd, outcome.saved_usd, outcome.seconds
            )
        return outcome

    def review_item(
        self, outcome: Outcome, finished: Sequence[Finished], asked: OpenQuestion | None
    ) -> ReviewItem:
        """What a person is shown, and what goes on if they agree to what was `asked`."""
        return ReviewItem(
            task_id=outcome.task_id,
            title=shorten(self._plan.task.text, TITLE_LENGTH, placeholder=" …"),
            reason=outcome.reason,
            outcome={
                **msgspec.to_builtins(outcome),
                **msgspec.to_builtins(beside(self._plan, finished)),
                **(kept(self._plan, asked) if asked else {}),
            },
            kind="approval" if asked else "work",
        )

    async def _queued(
        self, outcome: Outcome, finished: Sequence[Finished], asked: OpenQuestion | None
    ) -> Outcome:
        item = self.review_item(outcome, finished, asked)
        try:
            review_id = await self._ledger.add_review(item)
        except LedgerError as error:
            # The answer is in the caller's hands all the same, and the reason says what is missing.
            reason = f"{outcome.reason}; it is not in the review queue: {error}"
            return msgspec.structs.replace(outcome, reason=reason)
        return msgspec.structs.replace(outcome, review_id=review_id)

    def _task(
        self,
        status: str,
        finished: Sequence[Finished],
        cost_usd: float | None,
        saved_usd: float | None,
        seconds: float,
    ) -> None:
        """Record the task, which is the work of the model whose answer it ended with."""
        if self._is_shadow:
            return
        plan = self._plan
        attempts = [item.attempt for item in finished]
        checker = next((a.checker for a in reversed(attempts) if a.checker), None)
        workers = [_worker(item.attempt) for item in finished if item.error_kind not in NO_WORK]
        best = best_of(finished)
        kept = stored(plan.task.text, self._policy)
        row = TaskRow(
            task_id=plan.task_id,
            task_type=plan.classification.type,
            description=kept.get("text") or kept.get("sha256", ""),
            complexity_score=plan.classification.complexity,
            worker=_worker(best.attempt) if best else next(reversed(workers), None),
            checker=checker,
            outcome=status,
            attempts=len(attempts),
            escalations=max(0, len(set(workers)) - 1),
            validation_method="+".join(plan.check_names),
            latency_ms=seconds * 1000,
            tokens_in=sum(attempt.tokens_in or 0 for attempt in attempts),
            tokens_out=sum(attempt.tokens_out or 0 for attempt in attempts),
            cost_usd=cost_usd,
            saved_usd=saved_usd,
            app=self._app,
        )
        self._ledger.record(row)


def _worker(attempt: Attempt) -> str:
    return f"{attempt.engine}/{attempt.model}"
