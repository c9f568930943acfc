"""How often checks are wrong, from labels; and what stands in where nobody looked: pure.

A check that accepts says little by itself: that depends on the share of wrong answers that it lets
pass (alpha), which cannot be seen from what it accepts. So a sample of accepted work is labelled,
each label weighing one over the sample's rate.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from rung.escalation.learning.index import Gate

# Share of wrong answers accepted, and of right ones rejected. Measured on 4,158 recorded answers of
# 11 models to MBPP, with the hidden tests of MBPP+ as the truth.
MEASURED: Mapping[str, Gate] = {
    "syntax": Gate(false_accept=0.934),
    "compile": Gate(false_accept=0.931),
    "types": Gate(false_accept=0.872, false_reject=0.009),
    "tests": Gate(false_accept=0.173),
}
# Nobody measured these: careful guesses until labels say more.
ASSUMED: Mapping[str, Gate] = {
    "cmd": Gate(false_accept=0.25),
    "semantic": Gate(false_accept=0.3, false_reject=0.1),
}
# Schemas, diff scopes and the like look at the form only.
FORM_ONLY = Gate(false_accept=0.95)
# As many labels weigh as much as what is assumed without them.
PRIOR_LABELS = 10.0
Z = 1.96  # 95 %

Source = Literal["labels", "measured elsewhere", "assumed"]


class Key(NamedTuple):
    """`check` is a kind of check, or `all` for everything that an attempt had to pass."""

    check: str
    model_class: str
    task_type: str


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One checked attempt: what each kind of check said, and the truth where it is known.

    `model_class` is the model's tier, else its locality; `weight` that of the label.
    """

    task_type: str
    model_class: str
    passed: Mapping[str, bool]
    is_accepted: bool
    is_right: bool | None = None
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Share:
    """An estimate between 0 and 1 with its 95 % interval."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class ErrorRates:
    """`None` is unknown: nobody looked. `labels` counts those of accepted and of rejected work."""

    attempts: int
    labels: tuple[int, int]
    false_accept: Share | None
    false_reject: Share | None


def wilson(hits: float, total: float) -> Share:
    """A share with Wilson's interval, which is honest at 0 and 1 and for few tries."""
    if total <= 0:
        return Share(estimate=0.0, low=0.0, high=1.0)
    p, z2 = hits / total, Z * Z
    middle = (p + z2 / (2 * total)) / (1 + z2 / total)
    half = Z / (1 + z2 / total) * math.sqrt(p * (1 - p) / total + z2 / (4 * total * total))
    return Share(estimate=p, low=max(0.0, middle - half), high=min(1.0, middle + half))


def default_gate(kinds: Iterable[str]) -> Gate:
    """What all these checks together let pass, as far as is known from elsewhere.

    The sharpest of them decides, as their mistakes are not independent; what any of them rejects
    is rejected.
    """
    gates = [MEASURED.get(kind) or ASSUMED.get(kind) or FORM_ONLY for kind in kinds]
    rejects = 1.0 - math.prod(1.0 - gate.false_reject for gate in gates)
    return Gate(
        false_accept=min((gate.false_accept for gate in gates), default=1.0), false_reject=rejects
    )


def source_of(kinds: Iterable[str]) -> Source:
    """Where the default gate's sharpest figure comes from."""
    sharpest = min(kinds, key=lambda kind: default_gate((kind,)).false_accept, default="")
    return "measured elsewhere" if sharpest in MEASURED else "assumed"


def error_rates(judged: Sequence[Judged]) -> dict[Key, ErrorRates]:
    """Rates of every check by model class and task type, and of all checks together."""
    groups: dict[tuple[str, str], list[Judged]] = {}
    for item in judged:
        groups.setdefault((item.model_class, item.task_type), []).append(item)
    rates: dict[Key, ErrorRates] = {}
    for (model_class, task_type), items in groups.items():
        truth = Truth(items)
        kinds = sorted({kind for item in items for kind in item.passed})
        rates[Key("all", model_class, task_type)] = truth.rates(
            [(item, item.is_accepted) for item in items]
        )
        for kind in kinds:
            rates[Key(kind, model_class, task_type)] = truth.rates(
                [(item, item.passed[kind]) for item in items if kind in item.passed]
            )
    return rates


class Truth:
    """How many of the unlabelled answers are wrong, told from the labelled ones of their kind.

    Where nobody looked at rejected work, it is taken to be wrong.
    """

    def __init__(self, items: Sequence[Judged]) -> None:
        labelled = [item for item in items if item.is_right is not None]
        self._accepted = [item for item in labelled if item.is_accepted]
        self._rejected = [item for item in labelled if not item.is_accepted]
        self._wrong = _weighted(self._accepted, is_right=False)
        self._mercy = _weighted(self._rejected, is_right=True)

    def rates(self, decisions: Sequence[tuple[Judged, bool]]) -> ErrorRates:
        """False accepts and rejects of one check that decided so on these attempts."""
        if not self._accepted:
            labels = (0, len(self._rejected))
            return ErrorRates(
                attempts=len(decisions), labels=labels, false_accept=None, false_reject=None
            )
        wrong, mercy = self._wrong, self._mercy
        right = mercy.estimate if self._rejected else 0.0
        alphas = [_alpha(decisions, w, right) for w in (wrong.estimate, wrong.low, wrong.high)]
        betas = [_beta(decisions, wrong.estimate, r) for r in (right, mercy.low, mercy.high)]
        # What was seen for sure: labels, and rejections as far as they are taken to be right.
        refused = sum(not item.is_accepted for item, _ in decisions)
        seen_wrong = sum(not item.is_right for item in self._accepted) + refused * (1.0 - right)
        seen_right = sum(bool(item.is_right) for item in (*self._accepted, *self._rejected))
        return ErrorRates(
            attempts=len(decisions),
            labels=(len(self._accepted), len(self._rejected)),
            false_accept=_share(alphas, seen_wrong),
            false_reject=_share(betas, seen_right) if self._rejected else None,
        )


def _weighted(items: Sequence[Judged], *, is_right: bool) -> Share:
    """The weighted share of labels that say so; its interval for as many tries as they are worth.

    Kish's effective size: (sum of weights)² / sum of squared weights.
    """
    total = sum(item.weight for item in items)
    squares = sum(item.weight**2 for item in items)
    hits = sum(item.weight for item in items if item.is_right is is_right)
    size = total * total / squares if squares else 0.0
    return wilson(hits / total * size if total else 0.0, size)


def _chance_wrong(item: Judged, wrong: float, right: float) -> float:
    return wrong if item.is_accepted else 1.0 - right


def _alpha(decisions: Sequence[tuple[Judged, bool]], wrong: float, right: float) -> float:
    chances = [(_chance_wrong(item, wrong, right), passed) for item, passed in decisions]
    total = sum(chance for chance, _ in chances)
    return sum(chance for chance, passed in chances if passed) / total if total else 0.0


def _beta(decisions: Sequence[tuple[Judged, bool]], wrong: float, right: float) -> float:
    chances = [(1.0 - _chance_wrong(item, wrong, right), passed) for item, passed in decisions]
    total = sum(chance for chance, _ in chances)
    return sum(chance for chance, passed in chances if not passed) / total if total else 0.0


def _share(values: Sequence[float], seen: float) -> Share:
    """The first value, between all of them and what so few answers leave open."""
    chance = wilson(values[0] * seen, seen)
    return Share(estimate=values[0], low=min(*values, chance.low), high=max(*values, chance.high))


def blended(default: Gate, rates: ErrorRates | None) -> Gate:
    """The default, moved by labels as far as there are any. Its two errors never exceed one."""
    if rates is None or rates.false_accept is None:
        return default
    accepted, rejected = rates.labels
    alpha = _toward(default.false_accept, rates.false_accept.estimate, accepted)
    beta = default.false_reject
    if rates.false_reject is not None:
        beta = _toward(beta, rates.false_reject.estimate, rejected)
    return Gate(false_accept=alpha, false_reject=min(beta, 1.0 - alpha))


def _toward(default: float, labelled: float, labels: int) -> float:
    return (PRIOR_LABELS * default + labels * labelled) / (PRIOR_LABELS + labels)


def safe_threshold(
    audited: Sequence[tuple[float, bool]], target: float, risk: float = 0.05
) -> float | None:
    """The lowest confidence of a checker from which on at most `target` of what it accepts is
    wrong, with 1 - `risk` confidence; `None` where there are too few labels to say so.

    `audited` are pairs of confidence and whether the answer was right, of an unbiased sample.
    Fixed-sequence testing: strictest threshold first, each by an exact binomial test at the full
    `risk`, ending at the first that fails (https://arxiv.org/abs/2110.01052).
    """
    found: float | None = None
    for threshold in sorted({confidence for confidence, _ in audited}, reverse=True):
        answers = [is_right for confidence, is_right in audited if confidence >= threshold]
        if _at_most(answers.count(False), len(answers), target) > risk:
            # Too few answers are no failure of the sequence yet: nothing could have passed here.
            if _at_most(0, len(answers), target) > risk:
                continue
            break
        found = threshold
    return found


def _at_most(hits: int, total: int, share: float) -> float:
    """The chance of no more than so many hits, were each one's chance `share`."""
    return sum(
        math.comb(total, k) * share**k * (1.0 - share) ** (total - k) for k in range(hits + 1)
    )


def spend_quantile(spent_usd: Sequence[float], share: float = 0.95) -> float | None:
    """What the next task will not exceed with this chance, if it is like the past ones.

    Split conformal: the ceil((n+1) share)-th smallest; `None` where n is too small to say
    (https://arxiv.org/abs/2107.07511).
    """
    place = math.ceil((len(spent_usd) + 1) * share)
    return sorted(spent_usd)[place - 1] if place <= len(spent_usd) else None
