"""The review queue: what a person decides about work that no check could settle."""

from __future__ import annotations

from pathlib import Path

from rung.errors import UsageError
from rung.escalation.apply import apply_files
from rung.ledger.ledger import Ledger
from rung.ledger.rows import AuditRow, Decision, ReviewItem, ReviewState


class Reviews:
    """Lists, shows and decides review items. Raises LedgerError where there is no ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def list(self, state: ReviewState | None = "open") -> list[ReviewItem]:
        return await self._ledger.reviews(state)

    async def show(self, review_id: int) -> ReviewItem:
        return await self._ledger.review(review_id)

    async def decide(
        self, review_id: int, decision: Decision, note: str = "", *, apply: bool = False
    ) -> tuple[ReviewItem, list[str]]:
        """Close an item; with `apply`, an approved answer's files are written first.

        Returns the item as it is now and the paths that were written. A person's approval is what
        makes these files good enough to write; nothing else of the queue ever is.
        """
        item = await self._ledger.review(review_id)
        if item.kind == "approval" and decision == "approved":
            raise UsageError(
                f"review {review_id} asks for leave to spend, not for a look: approve it with "
                f"`rung review approve {review_id}` or `Rung.resume`, and its task goes on"
            )
        written: list[str] = []
        if apply:
            if decision != "approved" or item.state != "open":
                raise UsageError("only an open item that you approve can be applied")
            outcome = item.outcome
            written = apply_files(Path(outcome["root"]), outcome["files"], outcome["base_sha256"])
        decided = await self._ledger.decide_review(review_id, decision, note)
        details = {"review": review_id, "note": note, "written": written}
        row = AuditRow(kind=f"review_{decision}", task_id=item.task_id, details=details)
        self._ledger.record(row)
        return decided, written
