"""The index that orders rungs and says when to stop: pure arithmetic.

A task that stands at some state may be given to any of several rungs, or up. With p the chance
that a rung's answer is right, alpha the share of wrong answers that its checks accept and beta the
share of right ones that they reject, one try is accepted with a = p(1-beta) + (1-p)alpha and earns
g = V p(1-beta) - L(1-p)alpha - c. Giving up is worth -M. Then the best plan tries rungs in
descending rho = g/a, and stops when the best rho is at most -M: of two neighbours, i belongs before
j exactly if g_i + (1-a_i) g_j >= g_j + (1-a_j) g_i. It is exact where rungs are independent given
the state, so the chances are taken anew after each failure. With V = L = alpha = beta = 0 it is
the ratio rule of sequential search, ascending c/p.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Stakes:
    """What outcomes are worth to the user, in USD: a right answer, a wrong one that was accepted,
    and a task that is handed to a person.
    """

    value_usd: float = 0.0
    wrong_usd: float = 0.0
    review_usd: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Gate:
    """How far checks can be trusted: shares of wrong answers accepted, of right ones rejected."""

    false_accept: float = 0.0
    false_reject: float = 0.0

    @property
    def power(self) -> float:
        """How much more often a right answer is accepted than a wrong one."""
        return 1.0 - self.false_accept - self.false_reject

    def accepts(self, right: float) -> float:
        """The share of answers accepted where a share of `right` is right."""
        return right * (1.0 - self.false_reject) + (1.0 - right) * self.false_accept

    def right(self, accepted: float) -> float:
        """The share that is right where a share of `accepted` is accepted: `accepts` undone.

        Rogan and Gladen 1978, https://doi.org/10.1093/oxfordjournals.aje.a112510. Needs power.
        """
        return min(1.0, max(0.0, self.right_count(accepted, 1.0)))

    def right_count(self, accepted: float, tries: float) -> float:
        """How many of the tries were right. Below 0 or above `tries` where chance has it so: cut
        off, sums of small counts would lean to the middle.
        """
        return (accepted - self.false_accept * tries) / self.power


@dataclass(frozen=True, kw_only=True)
class Prospect:
    """One try: the chance that its answer is right, what it costs (checks and waiting included)."""

    right: float
    cost_usd: float
    gate: Gate = Gate()

    @property
    def accepted(self) -> float:
        return self.gate.accepts(self.right)

    def gain_usd(self, stakes: Stakes) -> float:
        """What the try itself is expected to earn, without what follows a rejection."""
        gate = self.gate
        return (
            stakes.value_usd * self.right * (1.0 - gate.false_reject)
            - stakes.wrong_usd * (1.0 - self.right) * gate.false_accept
            - self.cost_usd
        )

    def index_usd(self, stakes: Stakes) -> float:
        """rho. A try that is never accepted can only cost."""
        accepted = self.accepted
        return self.gain_usd(stakes) / accepted if accepted > 0 else -math.inf


def expected_usd(tries: Iterable[Prospect], stakes: Stakes) -> float:
    """What trying these in turn until one is accepted, then giving up, is expected to earn."""
    total, reached = 0.0, 1.0
    for prospect in tries:
        total += reached * prospect.gain_usd(stakes)
        reached *= 1.0 - prospect.accepted
    return total - reached * stakes.review_usd


def best_plan(options: Sequence[Prospect], stakes: Stakes, most: int) -> tuple[int, ...]:
    """The places of the options to try, in order, at most so many; empty where giving up is best.

    Whichever options are taken, descending index is their best order. So with the options in that
    order it remains to take or leave each: `worth[j]` is what is left to earn with j tries. Without
    a binding `most` this takes exactly the options whose index is above -M.
    """
    by_index = sorted(range(len(options)), key=lambda at: -options[at].index_usd(stakes))
    worth = [-stakes.review_usd] * (most + 1)
    plans: list[tuple[int, ...]] = [()] * (most + 1)
    for at in reversed(by_index):
        gain, go_on = options[at].gain_usd(stakes), 1.0 - options[at].accepted
        for left in range(most, 0, -1):
            taken = gain + go_on * worth[left - 1]
            if taken > worth[left]:
                worth[left], plans[left] = taken, (at, *plans[left - 1])
    return plans[most]
