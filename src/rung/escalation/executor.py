"""The main job: a task climbs the ladder until a check passes, or the ladder ends."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from rung.chat import Message
from rung.config.settings import Settings
from rung.escalation.attempt import FIRST_TEMPERATURE, Attempter, Finished
from rung.escalation.cost import Approve, CostGuard
from rung.escalation.events import AttemptFinished, AttemptStarted, Climbed, OnEvent, Planned
from rung.escalation.matrix import pick_checker
from rung.escalation.outcome import Ending, outcome_of
from rung.escalation.plan import Plan, make_plan
from rung.escalation.policy import Limits, Next, next_step
from rung.escalation.prompt import first_messages, retry_messages
from rung.escalation.record import Recorder
from rung.escalation.task import Outcome, Task
from rung.ledger.ledger import Ledger
from rung.routing.calls import Calls
from rung.routing.router import Router
from rung.validation.workspace import Workspace


@dataclass
class Run:
    """One task while it is being tried."""

    plan: Plan
    guard: CostGuard
    finished: list[Finished] = field(default_factory=list[Finished])
    current: Finished | None = None
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started


class Executor:
    """Runs tasks. One instance serves any number of tasks at the same time."""

    def __init__(self, settings: Settings, router: Router, calls: Calls, ledger: Ledger) -> None:
        self._settings = settings
        self._router = router
        self._calls = calls
        self._ledger = ledger

    async def execute(
        self, task: Task, *, approve: Approve | None = None, on_event: OnEvent | None = None
    ) -> Outcome:
        """Try the task's chain until its checks pass.

        `approve` is asked before a paid rung; without it paid rungs are refused unless the user's
        settings allow them. Raises UsageError for a task that is wrong in itself. A cancelled task
        is on record as such.
        """
        emit: OnEvent = on_event or (lambda _: None)
        plan = await make_plan(task, self._settings, self._router)
        recorder = Recorder(self._ledger, plan, self._settings)
        run = Run(plan=plan, guard=self._guard(plan, recorder, approve))
        spent_usd = run.guard.meter()
        checker = pick_checker(plan.row, plan.chain, 0)
        emit(
            Planned(
                task_id=plan.task_id,
                classification=plan.classification,
                chain=[model.name for model in plan.chain],
                checker=checker.name if checker else None,
                checks=plan.check_names,
            )
        )
        try:
            ending = await self._climb(run, recorder, emit)
            if ending == "deadline":
                _cut_off(run, recorder, "timeout: the task's time was over")
            outcome = outcome_of(
                plan, run.finished, ending, seconds=run.seconds, cost_usd=spent_usd()
            )
            return await recorder.finished(outcome)
        except BaseException as error:
            # However it ends, what was done and paid is on record before the error goes on.
            is_cancelled = isinstance(error, asyncio.CancelledError)
            why = "cancelled: stopped by the caller" if is_cancelled else str(error)
            _cut_off(run, recorder, why)
            recorder.ended("cancelled" if is_cancelled else "failed", run.finished, run.seconds)
            raise

    async def _climb(self, run: Run, recorder: Recorder, emit: OnEvent) -> Ending:
        plan, limit_s = run.plan, self._settings.escalation.task_timeout_s
        try:
            async with (
                asyncio.timeout(limit_s),
                _project(plan) as root,
                Workspace(root) as workspace,
            ):
                attempter = Attempter(plan, self._settings, self._calls, workspace, run.guard, emit)
                return await self._attempts(run, attempter, recorder, emit)
        except TimeoutError:
            return "deadline"

    async def _attempts(
        self, run: Run, attempter: Attempter, recorder: Recorder, emit: OnEvent
    ) -> Ending:
        plan = run.plan
        limits = Limits(
            rungs=len(plan.chain),
            attempts_per_rung=plan.row.attempts_per_rung,
            max_attempts=plan.row.max_attempts,
        )
        while isinstance(step := next_step([item.tried for item in run.finished], limits), Next):
            if run.finished and not step.is_retry:
                self._climbed(run, step, recorder, emit)
            temperature = (
                self._settings.escalation.retry_temperature if step.is_retry else FIRST_TEMPERATURE
            )
            n, model = len(run.finished) + 1, plan.chain[step.rung]
            emit(
                AttemptStarted(
                    n=n,
                    model=model.name,
                    tier=model.tier,
                    is_retry=step.is_retry,
                    temperature=temperature,
                )
            )
            messages = _messages(plan, run.finished, step)
            run.current = attempter.begin(n, step.rung, temperature)
            done = await attempter.run(run.current, messages)
            run.current = None
            run.finished.append(done)
            recorder.attempt(done.attempt)
            emit(AttemptFinished(attempt=done.attempt))
        return step.why

    def _climbed(self, run: Run, step: Next, recorder: Recorder, emit: OnEvent) -> None:
        last = run.finished[-1]
        event = Climbed(
            from_model=run.plan.chain[last.rung].name,
            to_model=run.plan.chain[step.rung].name,
            reason=last.evidence,
        )
        recorder.audit("climb", msgspec.to_builtins(event))
        emit(event)

    def _guard(self, plan: Plan, recorder: Recorder, approve: Approve | None) -> CostGuard:
        budget = plan.task.budget_usd
        settings = self._settings.escalation
        return CostGuard(
            plan.task_id,
            settings.task_budget_usd if budget is None else budget,
            settings.paid,
            recorder.audited(approve) if approve else None,
        )


def _cut_off(run: Run, recorder: Recorder, error: str) -> None:
    """Put the attempt that was under way on record: it may have cost something."""
    if run.current is None:
        return
    attempt = msgspec.structs.replace(run.current.attempt, error=error)
    run.finished.append(replace(run.current, attempt=attempt, evidence=error, error_kind="timeout"))
    recorder.attempt(attempt)


@asynccontextmanager
async def _project(plan: Plan) -> AsyncGenerator[Path]:
    """The project, or an empty folder where no check looks at it: nobody's home is copied."""
    if plan.needs_project:
        yield plan.root
        return
    with tempfile.TemporaryDirectory(prefix="rung-empty-") as empty:
        yield Path(empty)


def _messages(plan: Plan, finished: Sequence[Finished], step: Next) -> tuple[Message, ...]:
    """The prompt of the next attempt, with the evidence against the last one, where it has any."""
    last = finished[-1] if finished else None
    if last is None or not last.answer:
        return first_messages(plan.task, plan.base)
    if step.is_retry:
        first = first_messages(plan.task, plan.base)
        return retry_messages(first, last.answer, last.evidence)
    return first_messages(plan.task, plan.base, climbed=last.evidence)
