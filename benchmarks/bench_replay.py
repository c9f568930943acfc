"""How well learned ladders do on recorded outcomes, beside the biggest model and hindsight.

    python -m benchmarks.bench_replay OUTCOMES.csv[.gz] [--columns passed=truth,accepted=checks]

Two bars: a ladder learned from half of the tasks solves at least what the biggest model does, at
10 % of its cost or less; one that learns from nothing comes within 20 % of the best fixed ladder
in hindsight, in calls + M x reviews + L x wrong, at several prices of a review and of a mistake.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from rung.escalation.learning.index import Gate, Stakes
from rung.escalation.replay.outcomes import World, read_outcomes
from rung.escalation.replay.replay import Question, Replay, replay
from rung.escalation.replay.scores import PolicyResult

LEARNED_COST = 0.10
HINDSIGHT = 1.20
# What a review and an accepted mistake cost, in USD.
STAKES = ((0.01, 0.03), (0.1, 0.3), (2.0, 6.0), (10.0, 30.0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("outcomes", type=Path)
    parser.add_argument("--columns", default="")
    parser.add_argument("--false-accept", type=float)
    parser.add_argument("--splits", type=int, default=20)
    given = parser.parse_args()
    columns = dict(pair.split("=", 1) for pair in given.columns.split(",") if pair)
    world = read_outcomes(given.outcomes, columns)
    gate = None if given.false_accept is None else Gate(false_accept=given.false_accept)
    learned_bar(world, Question(gate=gate, splits=given.splits))
    online_bar(world, gate, given.splits)


def learned_bar(world: World, question: Question) -> None:
    """The learned ladder beside the biggest model alone."""
    started = time.perf_counter()
    found = replay(world, question)
    seconds = time.perf_counter() - started
    learned, biggest = named(found, "learned"), named(found, "always-biggest")
    share = learned.cost_usd / biggest.cost_usd if biggest.cost_usd else 1.0
    print(
        f"{found.tasks} tasks, {len(found.models)} models, {found.splits} splits, trained on "
        f"{found.train}; checks accept {found.false_accept:.1%} of wrong answers; {seconds:.1f} s"
    )
    print(
        f"{biggest.order[0]:<40} solved {biggest.solved:.1%}  ${1000 * biggest.cost_usd:.3f}/1,000"
    )
    print(f"{'learned':<40} solved {learned.solved:.1%}  ${1000 * learned.cost_usd:.3f}/1,000")
    print(f"{'oracle':<40} solved {named(found, 'oracle').solved:.1%}")
    print(
        verdict(
            learned.solved >= biggest.solved and share <= LEARNED_COST,
            f"learned: {learned.solved - biggest.solved:+.1%} solved at {share:.1%} of the cost",
        )
    )


def online_bar(world: World, gate: Gate | None, splits: int) -> None:
    """Learning from nothing beside the best fixed ladder in hindsight."""
    for review_usd, wrong_usd in STAKES:
        stakes = Stakes(review_usd=review_usd, wrong_usd=wrong_usd)
        found = replay(world, Question(stakes=stakes, gate=gate, splits=splits))
        online = named(found, "online").total_usd
        ladders = [policy for policy in found.policies if policy.name == "fixed"]
        best = min(ladders, key=lambda policy: policy.total_usd)
        print(
            verdict(
                online <= HINDSIGHT * best.total_usd,
                f"online, M ${review_usd:g} L ${wrong_usd:g}: ${online:.4f} a task, "
                f"{online / best.total_usd - 1:+.1%} to the best of {len(ladders)} ladders "
                f"({' > '.join(best.order)})",
            )
        )


def named(found: Replay, name: str) -> PolicyResult:
    return next(policy for policy in found.policies if policy.name == name)


def verdict(holds: bool, what: str) -> str:
    return f"{'ok  ' if holds else 'MISS'}  {what}"


if __name__ == "__main__":
    main()
