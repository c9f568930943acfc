"""Changes of settings that outcomes suggest: pure. A person applies them, or nobody does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rung.escalation.learning.choice import Ladder
from rung.escalation.learning.history import History, is_decided, kind_of, model_name
from rung.escalation.learning.index import Prospect, expected_usd
from rung.escalation.learning.rates import safe_threshold, wilson
from rung.escalation.learning.views import path
from rung.escalation.policy import Limits, Next, Tried
from rung.ledger.rows import SuggestionRow

# Nothing is suggested on less than this.
ENOUGH_TRIES = 20
ENOUGH_LABELS = 10
# A first rung whose interval ends below this nearly always fails.
HOPELESS = 0.2
# A checker that errs at more than this, in the best case, is no checker.
UNRELIABLE = 0.25
# Accepted work of which at least this much is wrong wants a closer look.
TOO_OFTEN_WRONG = 0.15
# A change must save this share of what a task is expected to cost.
WORTH_IT = 0.05
# Of what a checker accepts no more than this may be wrong.
MOST_WRONG = 0.1
STRICTER = 1.0  # of the ten points of complexity


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A task type as it is now. `rungs` says of each entry of its chain which rung of the ladder
    it stands for here; several may stand for one model. `None` has none.
    """

    task_type: str
    entries: tuple[str, ...]
    rungs: tuple[int | None, ...]
    checker: str
    complexity_shift: float = 0.0

    def with_order(self, order: Sequence[int]) -> list[str]:
        """The entries of these rungs, in this order; those without a model stay with the rung
        before them.
        """
        groups: dict[int, list[str]] = {at: [] for at in order}
        last = next((rung for rung in self.rungs if rung is not None), 0)
        for entry, rung in zip(self.entries, self.rungs, strict=True):
            last = last if rung is None else rung
            groups.get(last, []).append(entry)
        return [entry for group in groups.values() for entry in group]


def chain_suggestion(subject: Subject, ladder: Ladder, history: History) -> SuggestionRow | None:
    """Another order of the chain, or a chain without a first rung that nearly always fails."""
    names = [rung.model for rung in ladder.rungs]
    if len(names) < 2:
        return None
    firsts = [_first_tries(history, subject.task_type, name) for name in names]
    hopeless = wilson(*firsts[0]).high < HOPELESS and firsts[0][1] >= ENOUGH_TRIES
    if hopeless:
        passed, tries = firsts[0]
        reason = (
            f"{names[0]} passed {passed} of {tries} first tries at {subject.task_type} tasks; "
            "they may as well start one rung higher"
        )
        return _chain(subject, subject.with_order(range(1, len(names))), reason)
    limits = Limits(rungs=len(names), attempts_per_rung=1, max_attempts=len(names))
    learned = list(dict.fromkeys(step.rung for step, _ in path(ladder, limits)))
    moved = [at for place, at in enumerate(learned) if place != at]
    known = [ladder.beliefs.tries(ladder.work, names[at]) for at in moved]
    if not moved or min(known) < ENOUGH_TRIES:
        return None
    now_usd, then_usd = (_worth(ladder, order) for order in (range(len(names)), learned))
    if then_usd - now_usd < WORTH_IT * abs(now_usd):
        return None
    rest = [at for at in range(len(names)) if at not in learned]
    order = subject.with_order([*learned, *rest])
    reason = (
        f"tried in this order a {subject.task_type} task is expected to cost "
        f"${-then_usd:.4f} in all, not ${-now_usd:.4f}, by the outcomes so far"
    )
    return _chain(subject, order, reason)


def checker_suggestion(subject: Subject, history: History) -> SuggestionRow | None:
    """A stronger checker where the labels disagree with the one there is."""
    pairs = _checker_labels(history, subject.task_type)
    wrong = sum(not agrees for agrees in pairs)
    if len(pairs) < ENOUGH_LABELS or wilson(wrong, len(pairs)).low <= UNRELIABLE:
        return None
    if subject.checker == "next":
        return None  # there is none stronger
    return SuggestionRow(
        subject=f"matrix.{subject.task_type}.checker",
        before={"value": subject.checker},
        after={"value": "next"},
        reason=f"labels contradict the checker in {wrong} of {len(pairs)} {subject.task_type} "
        "answers; a stronger one may see more",
    )


def confidence_suggestion(confidence: float, history: History) -> SuggestionRow | None:
    """A higher confidence from which a checker's "yes" counts, where too many of them are wrong.

    Never a lower one: answers below the present one were refused, so nobody looked at them.
    """
    audited = [
        (verdict["confidence"], label.verdict == "right")
        for row in history.attempts
        if (label := history.labels.get((row.task_id, row.n)))
        for verdict in row.verdicts
        if kind_of(verdict["validator"]) == "semantic" and verdict["result"] == "pass"
    ]
    wrong = sum(not is_right for _, is_right in audited)
    found = safe_threshold(audited, MOST_WRONG)
    if len(audited) < ENOUGH_LABELS or found is None or found <= confidence:
        return None
    if found == min(sure for sure, _ in audited):
        return None  # all that it accepted so far is safe enough
    return SuggestionRow(
        subject="escalation.checker_confidence",
        before={"value": confidence},
        after={"value": found},
        reason=f"{wrong} of {len(audited)} answers that a checker was sure of were wrong; from a "
        f"confidence of {found:.2f} on no more than {MOST_WRONG:.0%} are, surely enough",
    )


def complexity_suggestion(subject: Subject, history: History) -> SuggestionRow | None:
    """More complexity, and with it more checks, for a type whose accepted work is often wrong."""
    labelled = [
        item
        for item in history.judged()
        if item.task_type == subject.task_type and item.is_accepted and item.is_right is not None
    ]
    wrong = sum(not item.is_right for item in labelled)
    if len(labelled) < ENOUGH_LABELS or wilson(wrong, len(labelled)).low <= TOO_OFTEN_WRONG:
        return None
    before = subject.complexity_shift
    return SuggestionRow(
        subject=f"learning.complexity.{subject.task_type}",
        before={"value": before},
        after={"value": before + STRICTER},
        reason=f"{wrong} of {len(labelled)} accepted {subject.task_type} answers that somebody "
        "looked at were wrong; more complex tasks are judged by more, and stronger, checkers",
    )


def _chain(subject: Subject, entries: Sequence[str], reason: str) -> SuggestionRow:
    return SuggestionRow(
        subject=f"matrix.{subject.task_type}.chain",
        before={"value": list(subject.entries)},
        after={"value": list(entries)},
        reason=reason,
    )


def _worth(ladder: Ladder, order: Sequence[int]) -> float:
    tried: list[Tried] = []
    prospects: list[Prospect] = []
    for at in order:
        prospects.append(ladder.prospect(Next(rung=at, is_retry=False), tried))
        tried.append(Tried(rung=at, result="failed"))
    return expected_usd(prospects, ladder.stakes)


def _first_tries(history: History, task_type: str, model: str) -> tuple[int, int]:
    results = [
        row.result == "passed"
        for row in history.attempts
        if is_decided(row)
        and row.task_type == task_type
        and model_name(row) == model
        and not row.failed_rungs
        and row.try_on_rung in (None, 1)
    ]
    return sum(results), len(results)


def _checker_labels(history: History, task_type: str) -> list[bool]:
    """Whether the checker agreed with each label."""
    return [
        (verdict["result"] == "pass") == (label.verdict == "right")
        for row in history.attempts
        if row.task_type == task_type and (label := history.labels.get((row.task_id, row.n)))
        for verdict in row.verdicts
        if kind_of(verdict["validator"]) == "semantic" and verdict["result"] in ("pass", "fail")
    ]
