"""The cost guard: no paid call without leave, and none beyond the task's budget."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from rung.chat import Usage
from rung.config.settings import PaidPolicy
from rung.routing.models import RoutedModel

CHARACTERS_PER_TOKEN = 3  # low on purpose: the estimate must not be below the bill


@dataclass(frozen=True, kw_only=True)
class PaidRung:
    """What the user is asked to agree to: a climb from free to paid, at most at this price."""

    task_id: str
    model: str
    tier: str
    worst_case_usd: float
    budget_left_usd: float


Approve = Callable[[PaidRung], Awaitable[bool]]


class CostGuard:
    """One task's money. Calls of a task run one after another, so plain arithmetic holds."""

    def __init__(
        self, task_id: str, budget_usd: float, policy: PaidPolicy, approve: Approve | None
    ) -> None:
        self._task_id = task_id
        self._budget_usd = budget_usd
        self._policy: PaidPolicy = policy
        self._approve = approve
        self._agreed: set[str] = set()
        self.spent_usd = 0.0

    async def refusal(self, model: RoutedModel, prompt: str, max_tokens: int) -> str | None:
        """Why this call may not be made, or `None` where it may. Asks where the policy says so."""
        if model.is_free:
            return None
        if model.price is None:
            return (
                f"the price of {model.name} is unknown, so no budget can hold it; set "
                f'usd_per_mtok_in and usd_per_mtok_out under [models."{model.name}"]'
            )
        worst = model.price.cost(len(prompt) // CHARACTERS_PER_TOKEN + 64, max_tokens)
        left = self._budget_usd - self.spent_usd
        if worst > left:
            return (
                f"{model.name} may cost up to ${worst:.4f} and ${left:.4f} of the budget of "
                f"${self._budget_usd:.2f} is left; raise it with --budget"
            )
        if model.name in self._agreed or self._policy == "allow":
            return None
        if self._policy == "deny" or self._approve is None:
            return f"{model.name} is paid and was not agreed to; pass --yes to allow paid models"
        question = PaidRung(
            task_id=self._task_id,
            model=model.name,
            tier=model.tier,
            worst_case_usd=worst,
            budget_left_usd=left,
        )
        if not await self._approve(question):
            return f"{model.name} is paid and was refused"
        self._agreed.add(model.name)
        return None

    def settle(self, model: RoutedModel, usage: Usage) -> None:
        """Count what a finished call cost."""
        self.spent_usd += model.cost_usd(usage) or 0.0
