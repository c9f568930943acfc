"""The review queue: what a person decides about work that no check could settle."""

from __future__ import annotations

import builtins
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from rung.errors import UsageError
from rung.escalation.apply import apply_files
from rung.escalation.attempt import schema_verdict
from rung.escalation.plan import check_paths
from rung.escalation.reviewed import (
    Answer,
    answer_of,
    base_sha256,
    beside_of,
    candidate_of,
    label_of,
)
from rung.escalation.task import TaskType
from rung.ledger.ledger import Ledger
from rung.ledger.rows import AuditRow, Decision, LabelRow, ReviewItem, ReviewKind, ReviewState
from rung.validation.verdict import Candidate, Verdict

# Runs checks on a candidate in a scratch copy of a folder: `Rung.validate`.
Validate = Callable[[Candidate, Sequence[str], Path], Awaitable[list[Verdict]]]


class Edited(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an edit: the item, still open where a check failed; what was written."""

    item: ReviewItem
    verdicts: tuple[Verdict, ...] = ()
    written: tuple[str, ...] = ()


class Reviews:
    """Lists, shows and decides review items. Raises LedgerError where there is no ledger."""

    def __init__(self, ledger: Ledger, validate: Validate) -> None:
        self._ledger = ledger
        self._validate = validate

    async def list(
        self,
        state: ReviewState | None = "open",
        *,
        kind: ReviewKind | None = None,
        task_type: TaskType | None = None,
        limit: int | None = None,
    ) -> builtins.list[ReviewItem]:
        """Newest first; `None` narrows nothing."""
        return await self._ledger.reviews(state, kind=kind, task_type=task_type, limit=limit)

    async def counts(self) -> dict[ReviewState, int]:
        """How many items are in each state."""
        return await self._ledger.review_counts()

    async def show(self, review_id: int) -> ReviewItem:
        return await self._ledger.review(review_id)

    async def decide(
        self, review_id: int, decision: Decision, note: str = "", *, apply: bool = False
    ) -> tuple[ReviewItem, builtins.list[str]]:
        """Close an item, and keep what that says of the answer as a label.

        With `apply` an approved answer's files are written; if they cannot be, the item stays open.
        Returns the item as it is now and the paths that were written. A person's approval is what
        makes these files good enough to write; nothing else of the queue ever is.
        """
        return await self._decide(await self._ledger.review(review_id), decision, note, apply=apply)

    async def edit(
        self,
        review_id: int,
        answer: Answer,
        note: str = "",
        *,
        apply: bool = False,
        force: bool = False,
        seen: ReviewItem | None = None,
    ) -> Edited:
        """Put a person's answer in the place of the models', check it, and approve it.

        Where a check fails the item stays open and keeps the new answer, unless `force` says that
        it is right all the same. What needs a tool that is missing does not hold it up. `seen` is
        the item that the person began with: UsageError where somebody edited it since.
        """
        item = seen or await self._ledger.review(review_id)
        check_editable(item)
        if item.edited is None and answer == answer_of(item):
            so = f"`rung review approve {item.id}` takes the answer as it is"
            raise UsageError(f"nothing was changed; {so if _is_answer(answer) else 'it is empty'}")
        check_paths(_root_of(item), tuple(answer.files))
        item = await self._edit(item, answer)
        verdicts = tuple(await self._verdicts(item, answer))
        if not force and any(verdict.result in ("fail", "error") for verdict in verdicts):
            return Edited(item=item, verdicts=verdicts)
        decided, written = await self._decide(item, "approved", note, apply=apply)
        return Edited(item=decided, verdicts=verdicts, written=tuple(written))

    async def reopen(self, review_id: int, note: str = "") -> ReviewItem:
        """Take a decision back, and the label that it made. Files that it wrote stay written."""

        def settle(item: ReviewItem) -> builtins.list[AuditRow]:
            if item.kind == "approval" and item.state == "approved":
                raise UsageError(
                    f"review {review_id} gave leave to spend, and its task went on: that cannot be "
                    "taken back"
                )
            return [_event(item, "reopened", note=note, was=item.state, was_note=item.note)]

        return await self._ledger.reopen_review(review_id, settle=settle)

    async def _decide(
        self, seen: ReviewItem, decision: Decision, note: str, *, apply: bool
    ) -> tuple[ReviewItem, builtins.list[str]]:
        """Decide on the answer that was seen; on no other that may have taken its place."""
        _check_decision(seen, decision, apply=apply)
        written: builtins.list[str] = []

        def settle(item: ReviewItem) -> builtins.list[LabelRow | AuditRow]:
            _check_unedited(item, seen)
            if apply:
                files, root = answer_of(item).files, _root_of(item)
                written.extend(apply_files(root, files, base_sha256(item)))
            label = label_of(item, decision, note)
            event = _event(item, decision, note=note, written=written)
            return [event] if label is None else [event, label]

        decided = await self._ledger.decide_review(seen.id or 0, decision, note, settle=settle)
        return decided, written

    async def _edit(self, seen: ReviewItem, answer: Answer) -> ReviewItem:
        def settle(item: ReviewItem) -> builtins.list[AuditRow]:
            _check_unedited(item, seen)
            return [_event(item, "edited", files=sorted(answer.files))]

        edited = msgspec.to_builtins(answer)
        return await self._ledger.edit_review(seen.id or 0, edited, settle=settle)

    async def _verdicts(self, item: ReviewItem, answer: Answer) -> builtins.list[Verdict]:
        known = beside_of(item)
        candidate = candidate_of(answer, known.schema)
        verdicts = [] if known.schema is None else [schema_verdict(candidate, known.schema)]
        if known.checks and not any(verdict.result == "fail" for verdict in verdicts):
            verdicts += await self._validate(candidate, known.checks, _root_of(item))
        return verdicts


def _event(item: ReviewItem, what: str, **details: Any) -> AuditRow:
    about = {"review": item.id, **details}
    return AuditRow(kind=f"review_{what}", task_id=item.task_id, actor="user", details=about)


def _check_unedited(item: ReviewItem, seen: ReviewItem) -> None:
    if item.edited != seen.edited:
        raise UsageError(
            f"the answer of review {item.id} was edited meanwhile; `rung review show {item.id}` "
            "shows it as it is now"
        )


def _check_decision(item: ReviewItem, decision: Decision, *, apply: bool) -> None:
    if item.kind == "approval" and decision == "approved":
        raise UsageError(
            f"review {item.id} asks for leave to spend, not for a look: approve it with "
            f"`rung review approve {item.id}` or `Rung.resume`, and its task goes on"
        )
    if apply and (decision != "approved" or item.state != "open"):
        raise UsageError("only an open item that you approve can be applied")
    answer = answer_of(item)
    if decision == "approved" and not _is_answer(answer):
        raise UsageError(
            f"review {item.id} has no answer that could be right: write one with "
            f"`rung review edit {item.id}`, or reject or skip it"
        )
    if apply and not answer.files:
        raise UsageError(
            f"the answer of review {item.id} has no files: approve it without applying"
        )


def _is_answer(answer: Answer) -> bool:
    return bool(answer.answer or answer.files or answer.object is not None)


def check_editable(item: ReviewItem) -> None:
    """Raise UsageError where a person's own answer cannot take the models' place."""
    if item.kind != "work":
        what = "leave to spend" if item.kind == "approval" else "a second look at accepted work"
        raise UsageError(f"review {item.id} asks for {what}, so there is no answer to change")
    if item.state != "open":
        raise UsageError(
            f"review {item.id} was {item.state}; `rung review reopen {item.id}` gives it back"
        )


def _root_of(item: ReviewItem) -> Path:
    root = Path(beside_of(item).root)
    if not root.is_dir():
        raise UsageError(f"the task's folder {root} does not exist any more")
    return root
