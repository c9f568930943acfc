"""What a task had come to when it had to wait for leave to spend, and how it is taken up again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from rung.escalation.attempt import Finished, evidence_of
from rung.escalation.money.cost import PaidRung
from rung.escalation.plan import Plan
from rung.escalation.reviewed import Beside, beside_of, outcome_of
from rung.escalation.task import Attempt, Outcome, Task, checked_task
from rung.ledger.rows import ReviewItem
from rung.validation.verdict import Candidate


class OpenQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """What a person is asked before a task goes on, and the tokens that it has used so far."""

    question: PaidRung
    tokens_used: int = 0


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """A task before the wait. `cut_off` is told how far it came where it is stopped once more."""

    outcome: Outcome
    beside: Beside
    asked: OpenQuestion
    cut_off: Callable[[ReviewItem], None]


def earlier_of(item: ReviewItem, cut_off: Callable[[ReviewItem], None]) -> Earlier:
    return Earlier(
        outcome=outcome_of(item),
        beside=beside_of(item),
        asked=msgspec.convert(item.outcome, OpenQuestion),
        cut_off=cut_off,
    )


def kept(plan: Plan, asked: OpenQuestion) -> dict[str, object]:
    """What a review item needs to know, so that the task can be run again from that rung on."""
    names, question = [model.name for model in plan.chain], asked.question
    task = msgspec.structs.replace(
        plan.task,
        root=plan.root,
        type=plan.classification.type,
        chain=names[names.index(question.model) :] if question.model in names else names,
        budget_usd=question.budget_left_usd,
    )
    return {"task": msgspec.to_builtins(task, enc_hook=str), **msgspec.to_builtins(asked)}


def kept_task(item: ReviewItem) -> Task:
    """The task of a review item as it is to be run. Raises UsageError."""
    return checked_task(item.outcome["task"], f"the task of review {item.id}")


def carried_over(plan: Plan, earlier: Earlier) -> list[Finished]:
    """The attempts from before the wait. Those of models that are not in the chain any more have
    places below it.
    """
    attempts = earlier.outcome.attempts
    names = [model.name for model in plan.chain]
    models = dict.fromkeys(f"{item.engine}/{item.model}" for item in attempts)
    gone = {name: -at for at, name in enumerate(models, start=1)}
    answers = {answer.n: answer for answer in earlier.beside.answers}
    found: list[Finished] = []
    for attempt in attempts:
        name, answer = f"{attempt.engine}/{attempt.model}", answers.get(attempt.n)
        candidate = None
        if answer is not None and _has_candidate(attempt):
            candidate = Candidate(text=answer.answer, files=answer.files, object=answer.object)
        found.append(
            Finished(
                rung=names.index(name) if name in names else gone[name],
                attempt=attempt,
                result=attempt.result or "no_answer",
                evidence=evidence_of(attempt.verdicts),
                answer=answer.answer if answer else "",
                candidate=candidate,
                before=earlier.beside.before,
            )
        )
    return found


def _has_candidate(attempt: Attempt) -> bool:
    """Whether its answer came to be checked; else it was not in the form that was asked for."""
    return bool(attempt.verdicts) and all(v.validator != "answer" for v in attempt.verdicts)
