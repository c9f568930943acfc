"""From attempts to an outcome: a pure decision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from rung.escalation.attempt import Finished
from rung.escalation.money.cost import PaidRung
from rung.escalation.plan import Plan
from rung.escalation.task import Outcome, Status
from rung.wording import counted

Ending = Literal["passed", "unchecked", "top", "attempts", "not_worth_it", "deadline", "cut_off"]


def outcome_of(
    plan: Plan,
    finished: Sequence[Finished],
    ending: Ending,
    *,
    seconds: float,
    cost_usd: float | None,
) -> Outcome:
    """What became of the task. Only an answer whose every check passed is `verified`."""
    best = best_of(finished)
    status = status_of(plan, finished, ending)
    candidate = best.candidate if best else None
    return Outcome(
        task_id=plan.task_id,
        status=status,
        type=plan.classification.type,
        complexity=plan.classification.complexity,
        reason=reason_of(plan, finished, ending, status),
        answer=candidate.text if candidate else "",
        object=candidate.object if candidate else None,
        files=dict(candidate.files) if candidate else {},
        base_sha256=_base_sha256(plan, best) if best else {},
        model=best.attempt.model if best else None,
        engine=best.attempt.engine if best else None,
        tier=best.attempt.tier if best else None,
        answered=best.attempt.n if best else None,
        attempts=tuple(item.attempt for item in finished),
        cost_usd=cost_usd,
        saved_usd=saved_usd(plan, best) if status == "verified" else None,
        seconds=seconds,
    )


def _base_sha256(plan: Plan, best: Finished) -> dict[str, str | None]:
    before = plan.before if best.before is None else best.before
    return {path: before.get(path) for path in best.candidate.files} if best.candidate else {}


def best_of(finished: Sequence[Finished]) -> Finished | None:
    """The answer to give: the first that passed, else one that nothing could check, else the one
    that passed most checks; of equals the latest.
    """
    passed = next((item for item in finished if item.result == "passed"), None)
    return passed or max(
        (item for item in finished if item.candidate is not None),
        key=lambda item: (item.result == "unchecked", item.passes, item.attempt.n),
        default=None,
    )


def status_of(plan: Plan, finished: Sequence[Finished], ending: Ending) -> Status:
    """`failed` is for tasks that no model ever worked on; all others end as the matrix says."""
    # Work that is always reviewed is reviewed whatever the caller would rather have.
    at_end = "review" if plan.row.always_review else plan.task.at_end or plan.row.at_end
    if ending == "passed":
        needs_person = plan.row.always_review or _is_only_judged(plan, finished)
        return "needs_review" if needs_person else "verified"
    if ending == "unchecked":
        return "needs_review" if at_end == "review" else "unverified"
    was_worked_on = any(
        item.result != "no_answer" or item.error_kind == "over_budget" for item in finished
    )
    if not plan.chain:
        return "needs_review" if not plan.row.substitute else "failed"
    if not was_worked_on:
        return "failed"
    return "needs_review" if at_end == "review" else "skipped"


def _is_only_judged(plan: Plan, finished: Sequence[Finished]) -> bool:
    """Whether nothing but a model's opinion stands behind critical work, which is never enough."""
    best = best_of(finished)
    kinds = {v.validator.partition(":")[0] for v in best.attempt.verdicts} if best else set[str]()
    return plan.classification.type == "critical" and kinds <= {"semantic"}


def reason_of(plan: Plan, finished: Sequence[Finished], ending: Ending, status: Status) -> str:
    """One sentence for the user."""
    if not plan.chain:
        return _no_models(plan)
    best = best_of(finished)
    if ending == "passed" and best is not None:
        return _passed(plan, best, status)
    if ending == "unchecked" and best is not None:
        missing = [v for v in best.attempt.verdicts if v.result == "unavailable"]
        why = "; ".join(f"{v.validator}: {v.evidence}" for v in missing)
        return f"nothing could check it{': ' + why if why else ''}"
    attempts = sum(not item.is_unfit for item in finished)
    why = {
        "deadline": "the task's time was over",
        "cut_off": "it was stopped",
        "attempts": f"no more than {counted(attempts, 'attempt')} allowed",
        "top": "no rung is left",
        "not_worth_it": "another rung would cost more than it is worth",
    }.get(ending, ending)
    last = finished[-1] if finished else None
    if last is None:
        return why
    if best is None or best is last or status == "failed":
        return f"{why}; the last attempt failed{_because(last)}"
    # Why the last rung was not asked, or did not answer, is what the user can do something about.
    why += "" if last.has_answer else f", the last one did not answer{_because(last)}"
    return f"{why}; the best answer, of attempt {best.attempt.n}, failed{_because(best)}"


def waiting(outcome: Outcome, finished: Sequence[Finished], question: PaidRung) -> Outcome:
    """The outcome of a task that waits for an answer to `question`."""
    best = best_of(finished)
    failed = (
        f"; the best answer, of attempt {best.attempt.n}, failed{_because(best)}" if best else ""
    )
    reason = (
        f"{question.model} is paid, and nobody was there to agree; approve it to go on, for up to "
        f"${question.worst_case_usd:.4f} a call and ${question.budget_left_usd:.2f} in all{failed}"
    )
    return msgspec.structs.replace(outcome, status="needs_review", reason=reason)


def _passed(plan: Plan, best: Finished, status: Status) -> str:
    verdicts = best.attempt.verdicts
    passed = f"passed {', '.join(verdict.validator for verdict in verdicts)}"
    if status != "needs_review":
        return passed
    if plan.row.always_review:
        return f"{passed}; critical work is always reviewed by a person"
    return f"{passed}; a checker model alone is never enough for critical work"


def _because(item: Finished) -> str:
    evidence = item.evidence.strip()
    return f": {_first_line(evidence)}" if evidence else ""


def _no_models(plan: Plan) -> str:
    tiers = ", ".join(plan.task.chain or plan.row.chain)
    if plan.task.chain:
        return f"no model of {tiers} is available; see `rung models list`"
    if plan.row.substitute:
        return (
            "no model is available; run `rung models pull smollm2-135m`, start LM Studio or "
            "Ollama, or see `rung engines`"
        )
    return (
        f"no model of the tiers that may do a task of type {plan.classification.type} ({tiers}) "
        "is available; declare one in rung.toml, or name models with --chain"
    )


def _first_line(text: str) -> str:
    line = text.strip().splitlines()[0]
    return line if len(line) <= 200 else line[:200] + "…"


def saved_usd(plan: Plan, best: Finished | None) -> float | None:
    """What the attempt's tokens would have cost on the chain's cheapest paid rung.

    `None` where the answer was itself paid for or no rung of the chain has a price.
    """
    if best is None or not plan.chain[best.rung].is_free:
        return None
    tokens_in, tokens_out = best.attempt.tokens_in, best.attempt.tokens_out
    if tokens_in is None or tokens_out is None:
        return None
    paid = [m.price for m in plan.chain if m.price is not None and not m.is_free]
    return min((price.cost(tokens_in, tokens_out) for price in paid), default=None)
