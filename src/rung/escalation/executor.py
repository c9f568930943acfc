"""The main job: a task climbs the ladder until a check passes, or the ladder ends."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import msgspec

from rung.config.settings import Settings
from rung.escalation.approvals import open_question, still_open
from rung.escalation.attempt import Attempter
from rung.escalation.climb import Climb, FitTogether, Run
from rung.escalation.earlier import Earlier
from rung.escalation.events import OnEvent, Planned
from rung.escalation.money.cost import Approve, CostGuard
from rung.escalation.money.purse import Purse
from rung.escalation.outcome import Ending, outcome_of, waiting
from rung.escalation.plan import Plan, make_plan
from rung.escalation.policy import Order, next_step
from rung.escalation.record import Recorder
from rung.escalation.task import Outcome, Task, TaskType
from rung.ledger.ledger import Ledger
from rung.routing.calls import Calls
from rung.routing.router import Router
from rung.validation.workspace import Workspace


class Orders(Protocol):
    """Who decides the order of a task's rungs, and what was changed in the matrix for good."""

    async def settings(self, settings: Settings) -> Settings:
        """The settings for one task; asked once, before it is planned."""
        ...

    async def of(self, plan: Plan) -> Order:
        """The order for this task; asked once, before its first attempt."""
        ...

    async def usual_usd(self, task_type: TaskType) -> float | None:
        """What 95 % of tasks of the type cost at most; `None` where nobody knows."""
        ...


class ChainOrders:
    """Every chain as it is written, one retry on each rung, and nothing known of costs."""

    async def settings(self, settings: Settings) -> Settings:
        return settings

    async def of(self, plan: Plan) -> Order:  # noqa: ARG002
        return next_step

    async def usual_usd(self, task_type: TaskType) -> float | None:  # noqa: ARG002
        return None


class Executor:
    """Runs tasks. One instance serves any number of tasks at the same time.

    `fit_together` says whether models can be in memory at once; without it rungs are never tried
    side by side.
    """

    def __init__(
        self,
        settings: Settings,
        router: Router,
        calls: Calls,
        ledger: Ledger,
        purse: Purse,
        *,
        orders: Orders | None = None,
        fit_together: FitTogether | None = None,
    ) -> None:
        self._settings = settings
        self._router = router
        self._calls = calls
        self._ledger = ledger
        self._purse = purse
        self._orders = orders or ChainOrders()
        self._fit_together = fit_together

    async def execute(
        self,
        task: Task,
        *,
        approve: Approve | None = None,
        on_event: OnEvent | None = None,
        after: Earlier | None = None,
        is_shadow: bool = False,
    ) -> Outcome:
        """Try the task's chain until its checks pass.

        `approve` is asked before a paid rung; without it paid rungs are refused unless the user's
        settings allow them. A task that had to wait goes on `after` what it had come to then. A
        shadow's attempts and calls are on record, and nothing else of it.
        Raises UsageError for a task that is wrong in itself. A cancelled task is on record as such.
        """
        emit: OnEvent = on_event or (lambda _: None)
        settings = await self._orders.settings(self._settings)
        plan = await make_plan(
            task, settings, self._router, task_id=after.outcome.task_id if after else None
        )
        recorder = Recorder(self._ledger, plan, self._settings, is_shadow=is_shadow)
        run = Run(plan=plan, guard=self._guard(plan, approve, emit, after), after=after)
        emit(_planned(plan))
        try:
            ending = await self._climb(run, settings, recorder, emit)
            if ending == "deadline":
                _cut_off(run, recorder, "timeout: the task's time was over")
        except BaseException as error:
            # However it ends, what was done and paid is on record before the error goes on.
            is_cancelled = isinstance(error, asyncio.CancelledError)
            why = "cancelled: stopped by the caller" if is_cancelled else str(error)
            _cut_off(run, recorder, why)
            ended = "cancelled" if is_cancelled else "failed"
            recorder.ended(ended, run.finished, run.seconds, run.cost_usd)
            _hand_back(run, recorder)
            raise
        question = open_question(plan, ending, run.guard)
        return await recorder.finished(_outcome(run, ending), run.finished, question)

    async def _climb(
        self, run: Run, settings: Settings, recorder: Recorder, emit: OnEvent
    ) -> Ending:
        plan = run.plan
        limit = asyncio.timeout(max(0.0, settings.escalation.task_timeout_s - run.seconds_before))
        try:
            async with (
                limit,
                _project(plan) as root,
                Workspace(root) as workspace,
            ):
                climb = Climb(
                    run,
                    settings.escalation,
                    Attempter(plan, settings, self._calls, workspace, run.guard, emit),
                    recorder,
                    emit,
                    order=await self._orders.of(plan),
                    fit_together=self._fit_together,
                )
                return await climb.to_the_end()
        except TimeoutError:
            if limit.expired():
                return "deadline"
            raise  # somebody else's: of a network drive, say

    def _guard(
        self, plan: Plan, approve: Approve | None, emit: OnEvent, after: Earlier | None
    ) -> CostGuard:
        budget = plan.task.budget_usd
        settings = self._settings.escalation
        return CostGuard(
            plan.task_id,
            plan.classification.type,
            settings.task_budget_usd if budget is None else budget,
            settings,
            self._purse,
            approve=approve,
            on_event=emit,
            usual_usd=lambda: self._orders.usual_usd(plan.classification.type),
            tokens_used=after.asked.tokens_used if after else 0,
        )


def _planned(plan: Plan) -> Planned:
    checker = plan.checker_of(0) if plan.chain else None
    return Planned(
        task_id=plan.task_id,
        classification=plan.classification,
        chain=[model.name for model in plan.chain],
        checker=checker.name if checker else None,
        checks=plan.check_names,
    )


def _outcome(run: Run, ending: Ending) -> Outcome:
    return outcome_of(run.plan, run.finished, ending, seconds=run.seconds, cost_usd=run.cost_usd)


def _hand_back(run: Run, recorder: Recorder) -> None:
    """Say how far a task came that was approved and is stopped: it may be approved again."""
    if run.after is not None:
        asked = still_open(run.after.asked.question, run.guard)
        outcome = waiting(_outcome(run, "cut_off"), run.finished, asked.question)
        item = recorder.review_item(outcome, run.finished, asked)
        run.after.cut_off(item)


def _cut_off(run: Run, recorder: Recorder, error: str) -> None:
    """Put the attempts that were under way on record: they may have cost something."""
    for begun in run.under_way:
        attempt = msgspec.structs.replace(begun.attempt, error=error)
        run.end(replace(begun, attempt=attempt, evidence=error, error_kind="timeout"))
        recorder.attempt(attempt)


@asynccontextmanager
async def _project(plan: Plan) -> AsyncGenerator[Path]:
    """The project, or an empty folder where no check looks at it: nobody's home is copied."""
    if plan.needs_project:
        yield plan.root
        return
    with tempfile.TemporaryDirectory(prefix="rung-empty-") as empty:
        yield Path(empty)
