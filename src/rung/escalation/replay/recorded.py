"""A replay of what is on record here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from rung.errors import UsageError
from rung.escalation.learning.history import History, is_decided, model_name
from rung.escalation.replay.outcomes import Row, World, world_of
from rung.ledger.rows import AttemptRow, AuditRow

ENOUGH_TASKS = 10
ADVICE = (
    "A ladder stops at the first answer that passes, so only work that climbed, and work that was "
    "shadowed, was done by several models; set learning.shadow_rate and learning.shadow_model"
)


def recorded_world(history: History, shadows: Sequence[AuditRow]) -> World:
    """The most models of which enough tasks have an outcome each; at least two.

    What a label says is the truth; without one, what the checks said. Raises UsageError where
    there is too little, with what would change that.
    """
    shadowed = {
        str(row.details["shadow_task"]): row.task_id or ""
        for row in shadows
        if "shadow_task" in row.details
    }
    rows = _rows(history, shadowed)
    counts = Counter(row.model for row in rows)
    for size in range(len(counts), 1, -1):
        models = {model for model, _ in counts.most_common(size)}
        of_these = [row for row in rows if row.model in models]
        whole = Counter(row.task for row in of_these)
        if sum(count == size for count in whole.values()) >= ENOUGH_TASKS:
            return world_of(of_these, "the ledger")
    raise UsageError(f"the ledger has no {ENOUGH_TASKS} tasks that two models did. {ADVICE}")


def _rows(history: History, shadowed: Mapping[str, str]) -> list[Row]:
    tries: dict[tuple[str, str], list[AttemptRow]] = {}
    for row in history.attempts:
        if is_decided(row) and row.cost_usd is not None:
            task = shadowed.get(row.task_id, row.task_id)
            tries.setdefault((task, model_name(row)), []).append(row)
    return [_row(task, model, rows, history) for (task, model), rows in tries.items()]


def _row(task: str, model: str, tries: Sequence[AttemptRow], history: History) -> Row:
    """A model's tries at one task count as one: right or wrong in the end, at what all cost."""
    last = tries[-1]
    is_accepted = last.result == "passed"
    label = history.labels.get((last.task_id, last.n))
    return Row(
        task=task,
        model=model,
        is_right=is_accepted if label is None else label.verdict == "right",
        accepted=is_accepted,
        cost_usd=sum(row.cost_usd or 0.0 for row in tries),
        task_type=last.task_type or "all",
    )
