"""The cost guard: no paid call without leave, and none beyond the task's budget or any other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

from rung.chat import ChatRequest, Usage
from rung.config.settings import EscalationSettings, PaidPolicy
from rung.errors import EngineError
from rung.escalation.events import OnEvent, Warned
from rung.escalation.money.bill import (
    NANO,
    NOTHING,
    Bill,
    WorstCase,
    bill_of,
    in_usd,
    nano_usd,
    worst_case,
)
from rung.escalation.money.purse import Held, Purse, unknown_price
from rung.routing.calls import Label
from rung.routing.models import RoutedModel


@dataclass(frozen=True, kw_only=True)
class PaidRung:
    """What the user is asked to agree to: a climb from free to paid, at most at this price.

    `worst_case_usd` is of the next call; all calls together stay inside `budget_left_usd`.
    """

    task_id: str
    model: str
    tier: str
    worst_case_usd: float
    budget_left_usd: float


# Yes, no, or `None` where there is nobody to ask.
Approve = Callable[[PaidRung], Awaitable[bool | None]]
# What 95 % of such tasks cost at most; `None` where nobody knows.
Usual = Callable[[], Awaitable[float | None]]


class CallHold:
    """One admitted call; see `rung.routing.calls.Hold`."""

    def __init__(
        self, purse: Purse, held: Held, on_close: Callable[[Bill], None] | None = None
    ) -> None:
        self._purse = purse
        self._held = held
        self._on_close = on_close

    async def settle(self, usage: Usage) -> None:
        bill = bill_of(self._held.model, usage, self._held.worst)
        if self._on_close is not None:
            self._on_close(bill)
        await self._purse.close_call(self._held, bill)

    async def release(self) -> None:
        if self._on_close is not None:
            self._on_close(NOTHING)
        await self._purse.close_call(self._held, None)


class Untasked:
    """Watches over calls of no task: the user named the model, so that only `[budget]` holds."""

    def __init__(self, purse: Purse) -> None:
        self._purse = purse

    async def admit(
        self,
        model: RoutedModel,
        request: ChatRequest,
        label: Label,  # noqa: ARG002 (the protocol's)
    ) -> CallHold:
        """Raise EngineError of kind `over_budget` where a limit would not hold."""
        return CallHold(self._purse, await self._purse.admit(model, request))


class CostGuard:
    """One task's money and tokens. Its calls may run side by side.

    `unasked` are the paid rungs that were refused for want of somebody to ask. `tokens_used` are
    those from before the task had to wait.
    """

    def __init__(
        self,
        task_id: str,
        task_type: str,
        budget_usd: float,
        settings: EscalationSettings,
        purse: Purse,
        *,
        approve: Approve | None = None,
        on_event: OnEvent = lambda _: None,
        usual_usd: Usual | None = None,
        tokens_used: int = 0,
    ) -> None:
        self._task_id = task_id
        self._task_type = task_type
        self._budget = nano_usd(budget_usd)
        self._settings = settings
        self._purse = purse
        self._approve = approve
        self._on_event = on_event
        self._usual_usd = usual_usd
        self._answers: dict[str, bool | None] = {}
        self._warned: set[str] = set()
        self._asking = asyncio.Lock()
        self._begun: set[int] = set()
        self._spent = self._in_flight = 0
        self._tokens, self._tokens_in_flight = tokens_used, 0
        self._unknown_costs = 0
        self.unasked: list[PaidRung] = []

    @property
    def spent_usd(self) -> float:
        return self._spent / NANO

    @property
    def left_usd(self) -> float:
        """What further calls may cost."""
        return max(0, self._left()) / NANO

    @property
    def tokens_used(self) -> int:
        return self._tokens

    async def admit(self, model: RoutedModel, request: ChatRequest, label: Label) -> CallHold:
        """Raise EngineError of kind `over_budget` where this call may not be made.

        Free models need room in the task's tokens only. A paid one needs a known price, room for
        its worst case in what is left of every budget, and the user's leave, which is asked for
        once for each model.
        """
        worst = worst_case(model, request)
        self._check_room(model, worst)
        if not model.is_free:
            await self._check_leave(model, worst)
            # Others may have spent while the user thought about it.
            self._check_room(model, worst)
        self._move(worst, 1)
        try:
            held = await self._purse.admit(
                model,
                request,
                task_id=self._task_id,
                task_type=self._task_type,
                attempts=self._attempts(label),
            )
        except BaseException:
            self._move(worst, -1)
            raise
        return CallHold(self._purse, held, lambda bill: self._close(worst, bill))

    def meter(self) -> Callable[[], float | None]:
        """A function that says what was spent since now, in USD; `None` where nobody knows."""
        spent, unknown_costs = self._spent, self._unknown_costs

        def since() -> float | None:
            is_known = self._unknown_costs == unknown_costs
            return (self._spent - spent) / NANO if is_known else None

        return since

    def _attempts(self, label: Label) -> int:
        """1 for the first call of an attempt, 0 for those that check or mend it."""
        if label.attempt in self._begun:
            return 0
        if label.attempt is not None:
            self._begun.add(label.attempt)
        return 1

    def _move(self, worst: WorstCase, sign: int) -> None:
        self._in_flight += sign * (worst.nano_usd or 0)
        self._tokens_in_flight += sign * worst.tokens

    def _close(self, worst: WorstCase, bill: Bill) -> None:
        self._move(worst, -1)
        self._spent += bill.nano_usd
        self._tokens += bill.tokens
        self._unknown_costs += not bill.is_known

    def _check_room(self, model: RoutedModel, worst: WorstCase) -> None:
        why = self._tight(model, worst)
        if why is not None:
            self._purse.audit("budget_stop", self._task_id, {"model": model.name, "reason": why})
            raise _refused(model, why)

    def _tight(self, model: RoutedModel, worst: WorstCase) -> str | None:
        """Why the call does not fit what is left, if it does not."""
        limit = self._settings.task_tokens
        tokens_left = (limit or 0) - self._tokens - self._tokens_in_flight
        if limit is not None and worst.tokens > tokens_left:
            return (
                f"{model.name} may take up to {worst.tokens:,} tokens and {max(0, tokens_left):,} "
                f"of {limit:,} a task are left; raise escalation.task_tokens"
            )
        if worst.nano_usd is None:
            return unknown_price(model)
        if worst.nano_usd > (left := self._left()):
            return (
                f"{model.name} may cost up to {in_usd(worst.nano_usd)} and {in_usd(max(0, left))} "
                f"of the budget of {in_usd(self._budget)} is left; raise it with --budget"
            )
        return None

    def _left(self) -> int:
        return self._budget - self._spent - self._in_flight

    async def _check_leave(self, model: RoutedModel, worst: WorstCase) -> None:
        """Raise EngineError where the user does not want this paid model asked."""
        question = PaidRung(
            task_id=self._task_id,
            model=model.name,
            tier=model.tier,
            worst_case_usd=(worst.nano_usd or 0) / NANO,
            budget_left_usd=self._left() / NANO,
        )
        policy: PaidPolicy = self._settings.paid_tiers.get(model.tier, self._settings.paid)
        if policy == "deny":
            self._decided(question, "paid_refused", by="settings")
            raise _refused(model, f"{model.name} is paid, and the settings deny it")
        await self._warn(question)
        agreed = policy == "allow" or await self._answer(question)
        if agreed is None:
            raise _refused(model, f"{model.name} is paid and nobody agreed; pass --yes to do so")
        if not agreed:
            raise _refused(model, f"{model.name} is paid and was refused")

    async def _answer(self, question: PaidRung) -> bool | None:
        """What the user says of this model, who is asked once; `None` where nobody is there."""
        async with self._asking:
            if question.model in self._answers:
                return self._answers[question.model]
            said = await self._approve(question) if self._approve is not None else None
            agreed = None if said is None else said is True  # of an untyped caller's "no", say
            self._answers[question.model] = agreed
            self.unasked += [question] if agreed is None else []
            kind = "paid_approved" if agreed else "paid_refused"
            self._decided(question, kind, by="nobody" if agreed is None else "user")
            return agreed

    def _decided(self, question: PaidRung, kind: str, *, by: str) -> None:
        self._purse.audit(kind, self._task_id, {**asdict(question), "by": by})

    async def _warn(self, question: PaidRung) -> None:
        """Say before the first call of a paid model, and before each dear one, what may come."""
        is_dear = question.worst_case_usd > self._settings.warn_usd
        if question.model in self._warned and not is_dear:
            return
        self._warned.add(question.model)
        usual_usd = await self._usual_usd() if self._usual_usd is not None else None
        limit = f", and this call may cost more than ${self._settings.warn_usd:g}" * is_dear
        self._on_event(
            Warned(
                model=question.model,
                tier=question.tier,
                worst_case_usd=question.worst_case_usd,
                reason=f"it is paid{limit}",
                usual_usd=usual_usd,
            )
        )


def _refused(model: RoutedModel, why: str) -> EngineError:
    return EngineError("over_budget", why, engine=model.engine.name, model=model.info.id)
