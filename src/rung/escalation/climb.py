"""The way up: which attempts are made, one after another or side by side, until one passes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from rung.config.settings import EscalationSettings
from rung.escalation.attempt import Attempter, Finished
from rung.escalation.brief import Brief, brief_of
from rung.escalation.earlier import Earlier, carried_over
from rung.escalation.events import AttemptFinished, AttemptStarted, Climbed, OnEvent
from rung.escalation.money.cost import CostGuard
from rung.escalation.outcome import Ending
from rung.escalation.plan import Plan
from rung.escalation.policy import Limits, Next, Order, Stop, Tried, next_step
from rung.escalation.record import Recorder
from rung.routing.models import RoutedModel

FIRST_TEMPERATURE = 0.2
# Whether these models can be in memory at the same time.
FitTogether = Callable[[Sequence[RoutedModel]], bool]


@dataclass
class Run:
    """One task while it is being tried; `after` is what it had come to before it had to wait."""

    plan: Plan
    guard: CostGuard
    after: Earlier | None = None
    finished: list[Finished] = field(default_factory=list[Finished])
    under_way: list[Finished] = field(default_factory=list[Finished])
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.finished = carried_over(self.plan, self.after) if self.after else []
        self._spent_usd = self.guard.meter()

    @property
    def seconds(self) -> float:
        """The time of work, without that of waiting for leave."""
        return time.monotonic() - self.started + self.seconds_before

    @property
    def seconds_before(self) -> float:
        return self.after.outcome.seconds if self.after else 0.0

    @property
    def cost_usd(self) -> float | None:
        """What the task has cost; `None` where nobody knows."""
        before, since = self.after.outcome.cost_usd if self.after else 0.0, self._spent_usd()
        return None if before is None or since is None else before + since

    def end(self, finished: Finished) -> None:
        """Move an attempt from those under way to those that ended, which are in their order."""
        n = finished.attempt.n
        self.under_way = [item for item in self.under_way if item.attempt.n != n]
        self.finished = sorted((*self.finished, finished), key=lambda item: item.attempt.n)


class Climb:
    """Carries one run out: asks the order what comes next, and makes the attempts.

    A model whose window is too small for the prompt gives way to those with a larger one. Where the
    chain ends without an answer, those that were too small are asked with a compressed prompt.
    """

    def __init__(
        self,
        run: Run,
        settings: EscalationSettings,
        attempter: Attempter,
        recorder: Recorder,
        emit: OnEvent,
        *,
        order: Order = next_step,
        fit_together: FitTogether | None = None,
    ) -> None:
        self._run = run
        self._plan = run.plan
        self._settings = settings
        self._attempter = attempter
        self._recorder = recorder
        self._emit = emit
        self._order = order
        self._fit_together = fit_together
        self._unfit: set[int] = set()

    async def to_the_end(self) -> Ending:
        """Try until an answer passes, or no attempt is left."""
        ending = await self._stage(range(len(self._plan.chain)), self._order)
        if ending != "top" or not self._unfit:
            return ending
        return await self._stage(sorted(self._unfit), next_step, is_compressed=True)

    async def _stage(
        self, rungs: Sequence[int], order: Order, *, is_compressed: bool = False
    ) -> Ending:
        """Climb the rungs with these places in the chain; the order knows them by their number."""
        row = self._plan.row
        limits = Limits(
            rungs=len(rungs),
            attempts_per_rung=row.attempts_per_rung,
            max_attempts=row.max_attempts - sum(f.counts for f in self._run.finished),
        )
        tried: list[Tried] = []
        if limits.max_attempts < 1:
            return "attempts"
        while isinstance(step := order(tried, limits), Next):
            if not is_compressed and self._is_too_small(rungs[step.rung]):
                self._unfit.add(rungs[step.rung])
                tried.append(_unfit(step.rung))
                continue
            steps = self._side_by_side(step, rungs, tried, limits, order)
            done = await self._attempts([(rungs[s.rung], s) for s in steps], is_compressed)
            results = {finished.result for finished in done}
            if "passed" in results:
                return "passed"
            if "unchecked" in results:
                return "unchecked"
            pairs = zip(steps, done, strict=True)
            tried += [replace(item.tried, rung=of_step.rung) for of_step, item in pairs]
        return step.why

    def _is_too_small(self, rung: int) -> bool:
        """Whether the prompt did not fit a window that is at least as large as this rung's."""
        window = self._plan.chain[rung].info.context_tokens
        overflowed = (self._plan.chain[at].info.context_tokens or 0 for at in self._unfit)
        return window is not None and window <= max(overflowed, default=0)

    def _side_by_side(
        self, step: Next, rungs: Sequence[int], tried: Sequence[Tried], limits: Limits, order: Order
    ) -> list[Next]:
        """This step, and those that would follow its failure, as far as they may go on at once.

        Only first tries of free models whose checkers are free, and only where a check can tell
        good from bad: else the first answer counts in any case.
        """
        steps, assumed = [step], list(tried)
        most = min(
            self._settings.parallel_local,
            limits.max_attempts - sum(not item.is_unfit for item in tried),
        )
        while self._may_share(steps[-1], rungs) and len(steps) < most:
            assumed.append(Tried(rung=steps[-1].rung, result="failed", may_retry=False))
            following = order(assumed, limits)
            if isinstance(following, Stop) or not self._may_share(following, rungs):
                break
            models = [self._plan.chain[rungs[s.rung]] for s in (*steps, following)]
            if self._fit_together is None or not self._fit_together(models):
                break
            steps.append(following)
        return steps

    def _may_share(self, step: Next, rungs: Sequence[int]) -> bool:
        rung = rungs[step.rung]
        checker = self._plan.checker_of(rung)
        is_free = self._plan.chain[rung].is_free and (checker is None or checker.is_free)
        return (
            is_free
            and self._plan.is_checkable
            and not step.is_retry
            and not self._is_too_small(rung)
        )

    async def _attempts(
        self, steps: Sequence[tuple[int, Next]], is_compressed: bool
    ) -> list[Finished]:
        """Make these attempts at the same time; the first good answer ends the others."""
        run = self._run
        if run.finished and all(item.rung != steps[0][0] for item in run.finished):
            self._climbed(steps[0][0])
        before = tuple(run.finished)
        briefs = [self._brief(before, rung, step) for rung, step in steps]
        run.under_way = [
            self._begin(rung, step, before, place, is_compressed=is_compressed)
            for place, (rung, step) in enumerate(steps)
        ]

        async def attempt(begun: Finished, brief: Brief) -> Finished:
            return self._ended(await self._attempter.run(begun, brief, is_compressed=is_compressed))

        began = tuple(run.under_way)
        works = [attempt(*pair) for pair in zip(began, briefs, strict=True)]
        await _race(works)
        for begun in run.under_way:
            self._ended(_outrun(begun))
        ended = {finished.attempt.n: finished for finished in run.finished}
        return [ended[begun.attempt.n] for begun in began]

    def _begin(
        self, rung: int, step: Next, before: Sequence[Finished], place: int, *, is_compressed: bool
    ) -> Finished:
        """Announce the attempt; `place` counts those that begin at the same time."""
        n, model = len(before) + 1 + place, self._plan.chain[rung]
        temperature = self._settings.retry_temperature if step.is_retry else FIRST_TEMPERATURE
        self._emit(
            AttemptStarted(
                n=n,
                model=model.name,
                tier=model.tier,
                is_retry=step.is_retry,
                temperature=temperature,
                is_beside=place > 0,
                is_compressed=is_compressed,
            )
        )
        return self._attempter.begin(n, rung, temperature, before)

    def _ended(self, finished: Finished) -> Finished:
        self._run.end(finished)
        self._recorder.attempt(finished.attempt)
        self._emit(AttemptFinished(attempt=finished.attempt))
        if finished.is_unfit and finished.attempt.try_on_rung == 1:
            self._unfit.add(finished.rung)
        return finished

    def _brief(self, before: Sequence[Finished], rung: int, step: Next) -> Brief:
        """What the next worker is told: the files, and the evidence against the last answer."""
        answered = [f for f in before if f.has_answer and (f.rung == rung or not step.is_retry)]
        if not answered:
            return brief_of(self._plan.base)
        last = answered[-1]
        previous = last.answer if step.is_retry else ""
        return brief_of(self._plan.base, previous=previous, evidence=last.evidence)

    def _climbed(self, rung: int) -> None:
        last = self._run.finished[-1]
        event = Climbed(
            from_model=f"{last.attempt.engine}/{last.attempt.model}",
            to_model=self._plan.chain[rung].name,
            reason=last.evidence,
        )
        self._recorder.audit("climb", msgspec.to_builtins(event))
        self._emit(event)


async def _race(works: Iterable[Coroutine[Any, Any, Finished]]) -> None:
    """Wait for the first good one, or for all; then the others are cancelled.

    An error, or a cancellation from outside, ends all of them.
    """
    pending = {asyncio.ensure_future(work) for work in works}
    has_winner = False
    try:
        while pending and not has_winner:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            results = [task.result() for task in done]
            has_winner = any(map(_is_good, results))
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


def _is_good(finished: Finished) -> bool:
    return finished.result in ("passed", "unchecked")


def _outrun(begun: Finished) -> Finished:
    error = "cancelled: another rung's answer passed first"
    attempt = msgspec.structs.replace(begun.attempt, error=error)
    return replace(begun, attempt=attempt, evidence=error, error_kind="cancelled")


def _unfit(rung: int) -> Tried:
    return Tried(rung=rung, result="no_answer", may_retry=False, is_unfit=True)
