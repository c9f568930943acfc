"""Which rung comes next, by the index: a pure function of what was tried and what is believed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from rung.escalation.learning.index import Prospect, Stakes, best_plan
from rung.escalation.learning.posterior import Beliefs, State
from rung.escalation.policy import Limits, Next, Stop, Tried

# Draws are narrower than what is believed: where models are many and tasks few, wide ones never
# come to an end of trying.
CONFIDENCE = 2.0


@dataclass(frozen=True, kw_only=True)
class Rung:
    """A model of the chain; what a call to it costs as far as nothing was measured."""

    model: str
    guess_usd: float


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """The rungs of one task, what kind of work it is, and how far learning may go with them.

    With a `seed` the first rung is chosen by a draw from what is believed of each (Thompson
    sampling), the same one whenever the question is asked again; without one by the means. After a
    failure the means decide: chances are low then, and the luckiest of several draws would see one
    where there is none. `may_stop` is false where a person looks at the result in any case, so
    that giving up saves nothing.
    """

    work: str
    rungs: Sequence[Rung]
    beliefs: Beliefs
    stakes: Stakes
    seed: str | None = None
    may_stop: bool = True

    def order(self, tried: Sequence[Tried], limits: Limits) -> Next | Stop:
        """The first step of the best plan within the limits; an `Order` of the policy."""
        last = tried[-1] if tried else None
        if last is not None and last.result in ("passed", "unchecked"):
            return Stop(why="passed" if last.result == "passed" else "unchecked")
        left = limits.max_attempts - sum(not item.is_unfit for item in tried)
        if left < 1:
            return Stop(why="attempts")
        steps = open_steps(tried, limits)
        if not steps:
            return Stop(why="top")
        prospects = [self.prospect(step, tried) for step in steps]
        if plan := best_plan(prospects, self.stakes, left):
            return steps[plan[0]]
        # The first try is what the task was given for, and a model that nobody asked is unknown.
        may_stop = self.may_stop and last is not None
        left_over = [at for at, step in enumerate(steps) if not (may_stop and self._is_known(step))]
        if not left_over:
            return Stop(why="not_worth_it")
        return steps[max(left_over, key=lambda at: prospects[at].index_usd(self.stakes))]

    def state(self, step: Next, tried: Sequence[Tried]) -> State:
        """The state in which this step would be made, counted as attempts are on record."""
        failed = {item.rung for item in tried if item.result == "failed"}
        return State(
            self.work,
            self.rungs[step.rung].model,
            failed=len(failed - {step.rung}),
            nth_try=1 + sum(item.rung == step.rung and not item.is_unfit for item in tried),
        )

    def prospect(self, step: Next, tried: Sequence[Tried]) -> Prospect:
        """What is believed of this step, or drawn."""
        state, drawn = self.state(step, tried), None
        if self.seed is not None and not tried:
            chance = random.Random(f"{self.seed}/{state.model}")  # noqa: S311 (not a secret)
            drawn = self.beliefs.acceptance(state).draw(chance, CONFIDENCE)
        return Prospect(
            right=self.beliefs.right(state, drawn),
            cost_usd=self.beliefs.cost_usd(state, self.rungs[step.rung].guess_usd),
            gate=self.beliefs.gate_of(state.work, state.model),
        )

    def _is_known(self, step: Next) -> bool:
        return self.beliefs.tries(self.work, self.rungs[step.rung].model) > 0


def open_steps(tried: Sequence[Tried], limits: Limits) -> list[Next]:
    """Rungs that were not tried, in the chain's order; the last one again where that may help."""
    used = {item.rung for item in tried}
    steps = [Next(rung=at, is_retry=False) for at in range(limits.rungs) if at not in used]
    if tried:
        last = tried[-1]
        times = sum(item.rung == last.rung for item in tried)
        if last.may_retry and times < limits.attempts_per_rung:
            steps.append(Next(rung=last.rung, is_retry=True))
    return steps
