"""What a review item holds beside its outcome, and what a decision on it says: pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from rung.chat import JsonObject
from rung.errors import UsageError
from rung.escalation.attempt import Finished
from rung.escalation.plan import Plan
from rung.escalation.task import Outcome
from rung.ledger.rows import Decision, LabelRow, ReviewItem
from rung.validation.verdict import Candidate


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer as a person may change it: text, or an object, or new contents by path."""

    answer: str = ""
    object: Any = None
    files: dict[str, str] = {}


class AttemptAnswer(Answer, frozen=True, kw_only=True):
    """What attempt number `n` answered; only text where no candidate could be made of it."""

    n: int


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """What an item knows beside the outcome. Audits know the folder and their rate only.

    `checks` are specs without those that ask a model, as a person takes its place. `before` has the
    SHA-256 of every file that could be written, as it was (`None`: there was none). `audit_rate` is
    the share of answers that is looked at like this one.
    """

    root: str = "."
    answers: tuple[AttemptAnswer, ...] = ()
    checks: tuple[str, ...] = ()
    schema: JsonObject | None = None
    before: dict[str, str | None] = {}
    audit_rate: float = 1.0


def beside(plan: Plan, finished: Sequence[Finished]) -> Beside:
    """What is kept of a task that waits for a person."""
    return Beside(
        root=str(plan.root),
        answers=tuple(_answer(item) for item in finished if item.answer or item.candidate),
        checks=tuple(check.spec for check in plan.checks if check.kind != "semantic"),
        schema=plan.task.schema,
        before=dict(plan.before),
    )


def _answer(item: Finished) -> AttemptAnswer:
    candidate = item.candidate
    if candidate is None:
        return AttemptAnswer(n=item.attempt.n, answer=item.answer)
    return AttemptAnswer(
        n=item.attempt.n,
        answer=candidate.text,
        object=candidate.object,
        files=dict(candidate.files),
    )


def outcome_of(item: ReviewItem) -> Outcome:
    return msgspec.convert(item.outcome, Outcome)


def beside_of(item: ReviewItem) -> Beside:
    return msgspec.convert(item.outcome, Beside)


def given_answer(item: ReviewItem) -> Answer:
    """What the models answered, as the outcome has it."""
    return msgspec.convert(item.outcome, Answer)


def answer_of(item: ReviewItem) -> Answer:
    """What a decision is about: the answer as a person changed it, else as it was given."""
    return given_answer(item) if item.edited is None else msgspec.convert(item.edited, Answer)


def label_of(item: ReviewItem, decision: Decision, note: str) -> LabelRow | None:
    """What a decision says of the attempt's answer; `None` where it says nothing.

    An answer that had to be changed before it was approved was not right.
    """
    attempt = outcome_of(item).answered
    if decision == "skipped" or item.kind == "approval" or attempt is None:
        return None
    is_right = decision == "approved" and answer_of(item) == given_answer(item)
    is_audit = item.kind == "audit"
    rate = beside_of(item).audit_rate
    return LabelRow(
        task_id=item.task_id,
        attempt=attempt,
        source="audit" if is_audit else "person",
        verdict="right" if is_right else "wrong",
        weight=1.0 / rate if is_audit and rate > 0 else 1.0,
        note=note,
        review_id=item.id,
    )


def base_sha256(item: ReviewItem) -> dict[str, str | None]:
    """What each file held when the task began, for all that an answer may write."""
    return {**beside_of(item).before, **outcome_of(item).base_sha256}


def candidate_of(answer: Answer, schema: JsonObject | None) -> Candidate:
    """The answer as checks see it. Raises UsageError where an object's file is no JSON."""
    value = answer.object
    if schema is not None and answer.files:
        path, text = next(iter(answer.files.items()))
        try:
            value = json.loads(text)
        except ValueError as error:
            raise UsageError(f"{path} is not JSON: {error}") from None
    return Candidate(text=answer.answer, files=answer.files, object=value)
