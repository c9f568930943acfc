"""The order of a task's rungs as outcomes have taught it."""

from __future__ import annotations

from collections.abc import Sequence

from rung.config.settings import Settings
from rung.errors import LedgerError
from rung.escalation.learning.changes import with_changes
from rung.escalation.learning.choice import Ladder, Rung
from rung.escalation.learning.history import (
    History,
    beliefs_of,
    checks_of,
    gates_of,
    is_decided,
    kinds_of,
    stakes_of,
    work_of,
)
from rung.escalation.learning.rates import spend_quantile
from rung.escalation.plan import Plan
from rung.escalation.policy import Order, next_step
from rung.escalation.task import TaskType
from rung.ledger.ledger import Ledger
from rung.ledger.rows import SHADOW
from rung.routing.models import RoutedModel
from rung.validation.registry import known_kinds

# Forgetting leaves the older ones no weight.
MOST_ATTEMPTS = 5_000


class Orders:
    """Decides by the mode: `off` and `advise` leave every chain as it is, `on` asks the index."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._settings = settings
        self._ledger = ledger

    async def settings(self, settings: Settings) -> Settings:
        """The settings with the applied suggestions laid over them."""
        if self._settings.learning.mode == "off":
            return settings
        try:
            return with_changes(settings, await self._ledger.suggestions("applied"))
        except LedgerError:
            # A task must not fail for what it could have learned; `rung health db` shows why.
            return settings

    async def of(self, plan: Plan) -> Order:
        """The order for this task. A chain that the caller named is tried as it is named."""
        if self._settings.learning.mode != "on" or plan.task.chain:
            return next_step
        try:
            history = await self.history()
        except LedgerError:
            return next_step  # as above
        if not any(is_decided(row) for row in history.attempts):
            return next_step  # nothing was learned yet, so there is nothing to explore beside it
        return ladder_of(
            plan.classification.type,
            plan.chain,
            self._settings,
            history,
            checks=plan.check_names,
            task_id=plan.task_id,
            is_reviewed=plan.row.always_review,
        ).order

    async def usual_usd(self, task_type: TaskType) -> float | None:
        """What 95 % of tasks of the type cost at most; `None` where nobody knows.

        It informs and does not limit: a limit would stop one task in twenty, and by what it stops
        lower itself each time.
        """
        if self._settings.learning.mode == "off":
            return None
        try:
            return spend_quantile((await self.history()).spent_usd(task_type))
        except LedgerError:
            return None  # as above

    async def history(self) -> History:
        """Everything that counts. Raises LedgerError."""
        lessons = await self._ledger.lessons(MOST_ATTEMPTS)
        kinds = known_kinds()
        checks = {task_id: checks_of(how, kinds) for task_id, how in lessons.methods.items()}
        for row in await self._ledger.audit(MOST_ATTEMPTS, SHADOW):
            if row.task_id in checks and "shadow_task" in row.details:
                checks[row.details["shadow_task"]] = checks[row.task_id]
        return History(
            lessons.attempts,
            {(label.task_id, label.attempt): label for label in lessons.labels},
            checks,
        )


def ladder_of(
    task_type: TaskType,
    chain: Sequence[RoutedModel],
    settings: Settings,
    history: History,
    *,
    checks: Sequence[str],
    task_id: str | None = None,
    is_reviewed: bool = False,
) -> Ladder:
    """The rungs of a chain with all that is believed of them.

    With a `task_id` its own `checks` count, and it explores as the settings say, but never in a
    critical task; without one the checks that the type has had most often. `is_reviewed`: a person
    looks at the result in any case.
    """
    learning = settings.learning
    may_explore = learning.explore and task_type != "critical" and task_id is not None
    tokens = history.usual_tokens(task_type)
    kinds = kinds_of(checks)
    if task_id is None:
        kinds = history.usual.get(task_type, kinds)
    gates = gates_of(history, [(task_type, kinds)])
    return Ladder(
        work=work_of(task_type, kinds),
        rungs=[Rung(model=model.name, guess_usd=guess_usd(model, tokens)) for model in chain],
        beliefs=beliefs_of(history, gates, learning, [model.name for model in chain]),
        stakes=stakes_of(learning),
        seed=task_id if may_explore else None,
        may_stop=not is_reviewed,
    )


def guess_usd(model: RoutedModel, tokens: tuple[float, float]) -> float:
    """What a try may cost by the price list. Without a price no budget can hold it, nor can we."""
    if model.price is None:
        return float("inf")
    return model.price.cost(round(tokens[0]), round(tokens[1]))
