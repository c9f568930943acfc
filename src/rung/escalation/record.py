"""What the ledger keeps of a task: its attempts, climbs and approvals, the task, its review."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from textwrap import shorten
from typing import Any

import msgspec

from rung.config.settings import Settings, StoreContent
from rung.errors import LedgerError
from rung.escalation.attempt import Finished
from rung.escalation.cost import Approve, PaidRung
from rung.escalation.matrix import pick_checker
from rung.escalation.plan import Plan
from rung.escalation.task import Attempt, Outcome
from rung.ledger.content import stored
from rung.ledger.ledger import Ledger
from rung.ledger.rows import AttemptRow, AuditRow, ReviewItem, TaskRow

TITLE_LENGTH = 100


class Recorder:
    """Writes one task's rows."""

    def __init__(self, ledger: Ledger, plan: Plan, settings: Settings) -> None:
        self._ledger = ledger
        self._plan = plan
        self._policy: StoreContent = settings.ledger.store_content

    def attempt(self, attempt: Attempt) -> None:
        row = AttemptRow(task_id=self._plan.task_id, **msgspec.to_builtins(attempt))
        self._ledger.record(row)

    def audit(self, kind: str, details: dict[str, Any]) -> None:
        self._ledger.record(AuditRow(kind=kind, task_id=self._plan.task_id, details=details))

    def audited(self, approve: Approve) -> Approve:
        """The same question, with the answer put on record."""

        async def ask(question: PaidRung) -> bool:
            agreed = await approve(question)
            self.audit("paid_approved" if agreed else "paid_refused", msgspec.to_builtins(question))
            return agreed

        return ask

    def ended(self, outcome: str, finished: Sequence[Finished], seconds: float) -> None:
        """The task ended without an outcome: stopped from outside, or by an error."""
        attempts = [item.attempt for item in finished]
        self._ledger.record(self._task_row(outcome, attempts, None, None, seconds))

    async def finished(self, outcome: Outcome) -> Outcome:
        """Record the task; put it into the review queue where it needs a person."""
        if outcome.status == "needs_review":
            outcome = await self._queued(outcome)
        self._ledger.record(
            self._task_row(
                outcome.status,
                outcome.attempts,
                outcome.cost_usd,
                outcome.saved_usd,
                outcome.seconds,
            )
        )
        return outcome

    async def _queued(self, outcome: Outcome) -> Outcome:
        item = ReviewItem(
            task_id=outcome.task_id,
            title=shorten(self._plan.task.text, TITLE_LENGTH, placeholder=" …"),
            reason=outcome.reason,
            outcome={**msgspec.to_builtins(outcome), "root": str(self._plan.root)},
        )
        try:
            review_id = await self._ledger.add_review(item)
        except LedgerError as error:
            # The answer is in the caller's hands all the same, and the reason says what is missing.
            reason = f"{outcome.reason}; it is not in the review queue: {error}"
            return msgspec.structs.replace(outcome, reason=reason)
        return msgspec.structs.replace(outcome, review_id=review_id)

    def _task_row(
        self,
        status: str,
        attempts: Sequence[Attempt],
        cost_usd: float | None,
        saved_usd: float | None,
        seconds: float,
    ) -> TaskRow:
        plan = self._plan
        checker = pick_checker(plan.row, plan.chain, 0)
        models = [f"{attempt.engine}/{attempt.model}" for attempt in attempts]
        kept = stored(plan.task.text, self._policy)
        return TaskRow(
            task_id=plan.task_id,
            task_type=plan.classification.type,
            description=kept.get("text") or kept.get("sha256", ""),
            complexity_score=plan.classification.complexity,
            worker=models[-1] if models else None,
            checker=checker.name if checker else None,
            outcome=status,
            attempts=len(attempts),
            escalations=sum(a != b for a, b in pairwise(models)),
            validation_method="+".join(plan.check_names),
            latency_ms=seconds * 1000,
            tokens_in=sum(attempt.tokens_in or 0 for attempt in attempts),
            tokens_out=sum(attempt.tokens_out or 0 for attempt in attempts),
            cost_usd=cost_usd,
            saved_usd=saved_usd,
        )
