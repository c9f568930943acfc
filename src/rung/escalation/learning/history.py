"""From the ledger's rows to what learning counts: pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from rung.config.settings import LearningSettings
from rung.escalation.learning.index import Gate, Stakes
from rung.escalation.learning.population import places_of
from rung.escalation.learning.posterior import Beliefs, Observation, State
from rung.escalation.learning.rates import (
    ErrorRates,
    Judged,
    Key,
    blended,
    default_gate,
    error_rates,
)
from rung.ledger.rows import SHADOW_APP, AttemptRow, LabelRow

# The usual size of a task, where none is on record.
USUAL_TOKENS = (2_000, 1_000)


@dataclass(frozen=True)
class History:
    """Attempts in the order they were made, the newest label of each, and the checks of tasks."""

    attempts: Sequence[AttemptRow]
    labels: Mapping[tuple[str, int], LabelRow] = field(
        default_factory=dict[tuple[str, int], LabelRow]
    )
    checks: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])

    @cached_property
    def usual(self) -> Mapping[str, tuple[str, ...]]:
        """By task type the kinds of checks that its attempts had to pass most often."""
        seen: dict[str, Counter[tuple[str, ...]]] = {}
        for row in self.attempts:
            if is_decided(row) and (kinds := self._own_kinds(row)) is not None:
                seen.setdefault(row.task_type or "", Counter())[kinds] += 1
        return {of: counted.most_common(1)[0][0] for of, counted in seen.items()}

    def kinds(self, row: AttemptRow) -> tuple[str, ...]:
        """The kinds of checks that an attempt had to pass.

        One that failed shows only those up to the first failure: the task, or the type, has all.
        """
        if (kinds := self._own_kinds(row)) is not None:
            return kinds
        shown, usual = kinds_of(judging(row)), self.usual.get(row.task_type or "", ())
        return usual if set(shown) <= set(usual) else shown

    def work(self, row: AttemptRow) -> str:
        """The kind of work that an attempt was."""
        return work_of(row.task_type or "", self.kinds(row))

    def _own_kinds(self, row: AttemptRow) -> tuple[str, ...] | None:
        """Those of its task, else those that it passed; `None` where neither is on record."""
        if row.task_id in self.checks:
            return kinds_of(self.checks[row.task_id])
        return kinds_of(judging(row)) if row.result == "passed" else None

    def judged(self, *, by_work: bool = False) -> list[Judged]:
        """Every attempt that checks could decide, by task type or by kind of work."""
        return [self._judged(row, by_work) for row in self.attempts if is_decided(row)]

    def _judged(self, row: AttemptRow, by_work: bool) -> Judged:
        label = self.labels.get((row.task_id, row.n))
        return Judged(
            task_type=self.work(row) if by_work else row.task_type or "",
            model_class=model_class(row),
            passed={
                kind_of(v["validator"]): v["result"] == "pass"
                for v in row.verdicts
                if v["result"] != "unavailable"
            },
            is_accepted=row.result == "passed",
            is_right=None if label is None else label.verdict == "right",
            weight=1.0 if label is None else label.weight,
        )

    def labels_of(self, model: str) -> int:
        """How many of a model's answers somebody looked at."""
        return sum(
            (row.task_id, row.n) in self.labels for row in self.attempts if model_name(row) == model
        )

    def spent_usd(self, task_type: str) -> list[float]:
        """What each task of the type cost, as far as the prices were known."""
        spent: dict[str, float] = {}
        for row in self.attempts:
            is_own = row.task_type == task_type and row.app != SHADOW_APP
            if is_own and row.cost_usd is not None:
                spent[row.task_id] = spent.get(row.task_id, 0.0) + row.cost_usd
        return list(spent.values())

    def usual_tokens(self, task_type: str) -> tuple[float, float]:
        """Mean tokens in and out of an attempt at this type."""
        counted = [
            (row.tokens_in, row.tokens_out)
            for row in self.attempts
            if row.task_type == task_type and row.tokens_in and row.tokens_out
        ]
        if not counted:
            return USUAL_TOKENS
        return (
            sum(tokens for tokens, _ in counted) / len(counted),
            sum(tokens for _, tokens in counted) / len(counted),
        )


def kind_of(validator: str) -> str:
    """`tests:tests/test_x.py` is a check of the kind `tests`."""
    return validator.partition(":")[0]


def kinds_of(checks: Iterable[str]) -> tuple[str, ...]:
    """Their kinds, each once, in the order of the alphabet."""
    return tuple(sorted({kind_of(check) for check in checks}))


def checks_of(method: str, known: Collection[str]) -> list[str]:
    """The checks of a task's record, `syntax+tests:test_a.py`, of the `known` kinds.

    An argument may hold a `+`, too.
    """
    return [part for part in method.split("+") if kind_of(part) in known]


def judging(row: AttemptRow) -> list[str]:
    """The checks that said something of an attempt."""
    # An answer that could not be used is no check's word.
    said = [v["validator"] for v in row.verdicts if v["result"] != "unavailable"]
    return [name for name in said if name != "answer"]


def work_of(task_type: str, kinds: Iterable[str]) -> str:
    """The kind of work: `standard: compile+syntax+tests`."""
    return f"{task_type}: {'+'.join(kinds)}"


def model_name(row: AttemptRow) -> str:
    """As `RoutedModel.name`."""
    return f"{row.engine}/{row.model}"


def model_class(row: AttemptRow) -> str:
    """Checks err more on strong models' work: their mistakes are subtler."""
    return row.tier or row.locality or "unknown"


def is_decided(row: AttemptRow) -> bool:
    """Whether checks said yes or no. A dead engine or a missing check says nothing of the model."""
    return row.task_type is not None and row.result in ("passed", "failed")


def stakes_of(settings: LearningSettings) -> Stakes:
    """What the user says that outcomes are worth."""
    return Stakes(
        value_usd=settings.value_usd,
        wrong_usd=settings.cost_of_wrong_usd,
        review_usd=settings.cost_of_review_usd,
    )


@dataclass(frozen=True)
class Gates:
    """How far the checks of each kind of work can be trusted, by the class of the model."""

    rates: Mapping[Key, ErrorRates]  # by task type
    of_work: Mapping[Key, ErrorRates]
    kinds: Mapping[str, Sequence[str]]  # of checks, by work
    classes: Mapping[str, str]  # of models, by name

    def of(self, work: str, model: str) -> Gate:
        key = Key("all", self.classes.get(model, "unknown"), work)
        return blended(default_gate(self.kinds.get(work, ())), self.of_work.get(key))


def gates_of(history: History, planned: Sequence[tuple[str, Sequence[str]]] = ()) -> Gates:
    """Of all work on record, and of `planned` work: task types with the kinds of their checks."""
    pairs = {(row.task_type or "", history.kinds(row)) for row in history.attempts}
    pairs |= {(task_type, tuple(kinds)) for task_type, kinds in planned}
    return Gates(
        rates=error_rates(history.judged()),
        of_work=error_rates(history.judged(by_work=True)),
        kinds={work_of(*pair): pair[1] for pair in pairs},
        classes={model_name(row): model_class(row) for row in history.attempts},
    )


def beliefs_of(
    history: History, gates: Gates, settings: LearningSettings, chain: Sequence[str]
) -> Beliefs:
    """What follows from all decided attempts, the later ones weighing more."""
    beliefs = Beliefs(
        gate_of=gates.of,
        places=places_of(chain),
        prior_tasks=settings.prior_tasks,
        forget=settings.forget,
    )
    for row in history.attempts:
        if is_decided(row):
            beliefs.observe(_observation(row, history, settings))
    return beliefs


def _observation(row: AttemptRow, history: History, settings: LearningSettings) -> Observation:
    waiting_usd = (row.seconds or 0.0) / 3600 * settings.usd_per_hour
    return Observation(
        state=State(
            history.work(row),
            model_name(row),
            failed=row.failed_rungs or 0,
            nth_try=row.try_on_rung or 1,
        ),
        is_accepted=row.result == "passed",
        cost_usd=None if row.cost_usd is None else row.cost_usd + waiting_usd,
    )
