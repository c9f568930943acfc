"""The cost guard: no paid call without leave, and none beyond the task's budget."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from rung.chat import ChatRequest, Usage
from rung.config.settings import PaidPolicy
from rung.errors import EngineError
from rung.routing.context import prompt_size
from rung.routing.models import RoutedModel

# What a provider's own text on how to call tools adds to a prompt.
TOOLS_TOKENS = 1_000


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
        self._in_flight_usd = 0.0
        self._unknown_costs = 0

    async def admit(self, model: RoutedModel, request: ChatRequest) -> None:
        """Raise EngineError of kind `over_budget` where this call may not be made.

        Free models always may. A paid one needs a known price, room for its worst case in what is
        left of the budget, and the user's leave, which is asked for once for each model.
        """
        if model.is_free:
            return
        refusal = await self._refusal(model, worst_case_usd(model, request))
        if refusal is not None:
            raise EngineError("over_budget", refusal, engine=model.engine.name, model=model.info.id)
        self._in_flight_usd = worst_case_usd(model, request) or 0.0

    def settle(self, model: RoutedModel, usage: Usage) -> None:
        """Count what the admitted call cost; all of its worst case where nobody knows.

        An engine's own figure that no bill can have (negative, not a number) is not known either.
        """
        cost = model.cost_usd(usage)
        is_known = cost is not None and 0 <= cost < math.inf
        self.spent_usd += cost if cost is not None and is_known else self._in_flight_usd
        self._unknown_costs += not is_known and not model.is_free
        self._in_flight_usd = 0.0

    def release(self) -> None:
        """Forget the admitted call: it cost nothing."""
        self._in_flight_usd = 0.0

    def meter(self) -> Callable[[], float | None]:
        """A function that says what was spent since now, in USD; `None` where nobody knows."""
        spent_usd, unknown_costs = self.spent_usd, self._unknown_costs

        def since() -> float | None:
            return self.spent_usd - spent_usd if self._unknown_costs == unknown_costs else None

        return since

    async def _refusal(self, model: RoutedModel, worst: float | None) -> str | None:
        if worst is None:
            return (
                f"the price of {model.name} is unknown, so no budget can hold it; set "
                f'usd_per_mtok_in and usd_per_mtok_out under [models."{model.name}"]'
            )
        left = self._budget_usd - self.spent_usd
        if not worst <= left:  # also where one of them is not a number
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


def worst_case_usd(model: RoutedModel, request: ChatRequest) -> float | None:
    """The most that a call can cost: its prompt counted in bytes, its answer at full length."""
    if model.price is None or request.max_tokens is None:
        return None
    most_tokens = prompt_size(request, None).most
    most_tokens += len(str(request.schema or "").encode("utf-8", "surrogatepass"))
    most_tokens += TOOLS_TOKENS if request.tools else 0
    return model.price.most(most_tokens, request.max_tokens)
