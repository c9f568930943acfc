"""What is believed, and why a rung comes where it does, in words and numbers: pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from rung.escalation.learning.choice import Ladder
from rung.escalation.learning.history import Gates, History, is_decided, model_name
from rung.escalation.learning.index import Prospect
from rung.escalation.learning.rates import Share, source_of, spend_quantile, wilson
from rung.escalation.policy import Limits, Next, Tried
from rung.escalation.task import TaskType


class RungView(msgspec.Struct, frozen=True, kw_only=True):
    """One model at one task type, as a first try.

    `place` is 1 for the model that is tried first, 0 for one that is not reached. `passed` of
    `tries` first attempts were accepted, of all that were made before any other model failed.
    """

    model: str
    place: int
    tries: int
    passed: int
    accepted: Share
    right: float
    cost_usd: float
    index_usd: float
    why: str


class TypeView(msgspec.Struct, frozen=True, kw_only=True):
    """One task type. `false_accept` is that of its checks; `labels` counts what it rests on.

    `order` is how rungs are tried by what is believed, `chain` as the matrix has them. 95 % of
    tasks cost no more than `reserve_usd`; `None` where too few are on record to say.
    """

    task_type: str
    checks: tuple[str, ...]
    false_accept: float
    false_reject: float
    source: str
    labels: int
    order: tuple[str, ...]
    chain: tuple[str, ...]
    rungs: tuple[RungView, ...]
    reserve_usd: float | None


class CheckView(msgspec.Struct, frozen=True, kw_only=True):
    """How often a check is wrong; `None` where no label says."""

    check: str
    model_class: str
    task_type: str
    attempts: int
    labels: int
    false_accept: Share | None
    false_reject: Share | None


def path(ladder: Ladder, limits: Limits) -> list[tuple[Next, Prospect]]:
    """The steps in the order they are taken, each after the failure of all before it."""
    tried: list[Tried] = []
    steps: list[tuple[Next, Prospect]] = []
    while isinstance(step := ladder.order(tried, limits), Next):
        steps.append((step, ladder.prospect(step, tried)))
        tried.append(Tried(rung=step.rung, result="failed"))
    return steps


def type_view(
    task_type: TaskType, ladder: Ladder, limits: Limits, history: History, gates: Gates
) -> TypeView:
    """Everything there is to say of a type with its usual checks, and of its chain."""
    steps = path(ladder, limits)
    order = list(dict.fromkeys(step.rung for step, _ in steps))
    names = [rung.model for rung in ladder.rungs]
    first = ladder.beliefs.gate_of(ladder.work, names[order[0]]) if order else None
    kinds = tuple(gates.kinds.get(ladder.work, ()))
    labels = sum(
        rates.labels[0] for key, rates in gates.of_work.items() if key[::2] == ("all", ladder.work)
    )
    return TypeView(
        task_type=task_type,
        checks=kinds,
        false_accept=first.false_accept if first else 1.0,
        false_reject=first.false_reject if first else 0.0,
        source="labels" if labels else source_of(kinds),
        labels=labels,
        order=tuple(names[at] for at in order),
        chain=tuple(names),
        rungs=tuple(
            rung_view(ladder, at, order, history) for at in [*order, *_others(names, order)]
        ),
        reserve_usd=spend_quantile(history.spent_usd(task_type)),
    )


def _others(names: Sequence[str], order: Sequence[int]) -> list[int]:
    return [at for at in range(len(names)) if at not in order]


def rung_view(ladder: Ladder, at: int, order: Sequence[int], history: History) -> RungView:
    """One model's numbers, and the reason for its place."""
    model = ladder.rungs[at].model
    firsts = [
        row
        for row in history.attempts
        if is_decided(row)
        and model_name(row) == model
        and history.work(row) == ladder.work
        and not row.failed_rungs
        and row.try_on_rung in (None, 1)
    ]
    passed = sum(row.result == "passed" for row in firsts)
    prospect = ladder.prospect(Next(rung=at, is_retry=False), ())
    index_usd = prospect.index_usd(ladder.stakes)
    return RungView(
        model=model,
        place=order.index(at) + 1 if at in order else 0,
        tries=len(firsts),
        passed=passed,
        accepted=wilson(passed, len(firsts)),
        right=prospect.right,
        cost_usd=prospect.cost_usd,
        index_usd=index_usd,
        why=_why(ladder, at, order, prospect, (passed, len(firsts))),
    )


def _why(
    ladder: Ladder, at: int, order: Sequence[int], prospect: Prospect, counted: tuple[int, int]
) -> str:
    passed, tries = counted
    if tries:
        share = wilson(passed, tries)
        seen = (
            f"passed {passed} of {tries} first tries ({share.estimate:.0%}, "
            f"{share.low:.0%} to {share.high:.0%}), so about {prospect.right:.0%} are right"
        )
    else:
        seen = f"was never tried first here, and is taken to be right at {prospect.right:.0%}"
    index_usd = prospect.index_usd(ladder.stakes)
    money = f"a try costs {_usd(prospect.cost_usd)}; its index is {_usd(index_usd)}"
    return f"{seen}; {money}; {_place(ladder, at, order)}"


def _place(ladder: Ladder, at: int, order: Sequence[int]) -> str:
    if at not in order:
        review = _usd(-ladder.stakes.review_usd)
        return f"it is not reached: a person, at {review}, is worth more, or no attempt is left"
    place = order.index(at)
    if place == 0:
        return "the highest index here, so it comes first"
    before = ladder.rungs[order[place - 1]].model
    return f"best of those left once {before} has failed, so it comes {place + 1}."


def _usd(value: float) -> str:
    """`-$0.4100`."""
    return f"{'-' if value < 0 else ''}${abs(value):,.4f}"


def check_views(gates: Gates) -> tuple[CheckView, ...]:
    """Error rates of all checks."""
    return tuple(
        CheckView(
            check=key.check,
            model_class=key.model_class,
            task_type=key.task_type,
            attempts=rates.attempts,
            labels=sum(rates.labels),
            false_accept=rates.false_accept,
            false_reject=rates.false_reject,
        )
        for key, rates in sorted(gates.rates.items())
    )
