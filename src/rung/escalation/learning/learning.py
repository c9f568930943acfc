"""What Rung has learned, as its doors see it: show, suggest, apply, revert, label, reset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from rung.config.settings import Settings
from rung.errors import UsageError
from rung.escalation.ladder import places
from rung.escalation.learning.changes import is_fitting, value_now
from rung.escalation.learning.choice import Ladder
from rung.escalation.learning.history import History, gates_of, kinds_of
from rung.escalation.learning.orders import Orders, ladder_of
from rung.escalation.learning.suggest import (
    Subject,
    chain_suggestion,
    checker_suggestion,
    complexity_suggestion,
    confidence_suggestion,
)
from rung.escalation.learning.views import CheckView, TypeView, check_views, type_view
from rung.escalation.matrix import Row, matrix
from rung.escalation.policy import Limits
from rung.escalation.task import TASK_TYPES, TaskType
from rung.ledger.labels import RESET
from rung.ledger.ledger import Ledger
from rung.ledger.rows import AuditRow, LabelRow, LabelSource, SuggestionRow
from rung.routing.models import RoutedModel
from rung.routing.router import Router

Applied = Literal["applied", "reverted"]


class Learned(msgspec.Struct, frozen=True, kw_only=True):
    """Everything: by task type, and by check."""

    mode: str
    attempts: int
    labels: int
    types: tuple[TypeView, ...]
    checks: tuple[CheckView, ...]


@dataclass(frozen=True, kw_only=True)
class Known:
    """The matrix as it stands with these models: of each type the models, and which of them each
    entry of its chain stands for.
    """

    settings: Settings
    rows: Mapping[TaskType, Row]
    chains: Mapping[TaskType, tuple[RoutedModel, ...]]
    rungs: Mapping[TaskType, tuple[int | None, ...]]

    def ladder(self, kind: TaskType, history: History) -> Ladder:
        row = self.rows[kind]
        return ladder_of(
            kind,
            self.chains[kind],
            self.settings,
            history,
            checks=row.checks,
            is_reviewed=row.always_review,
        )

    def limits(self, kind: TaskType) -> Limits:
        row = self.rows[kind]
        return Limits(
            rungs=len(self.chains[kind]),
            attempts_per_rung=row.attempts_per_rung,
            max_attempts=row.max_attempts,
        )


class Learning:
    """Reads attempts and labels from the ledger; writes labels and suggestions, nothing else."""

    def __init__(self, settings: Settings, ledger: Ledger, router: Router) -> None:
        self._settings = settings
        self._ledger = ledger
        self._router = router
        self.orders = Orders(settings, ledger)

    async def show(self, task_type: TaskType | None = None) -> Learned:
        """What is believed, and why each rung comes where it does. Raises LedgerError."""
        history = await self.orders.history()
        kinds = TASK_TYPES if task_type is None else (task_type,)
        known = await self._known()
        planned = [(kind, kinds_of(known.rows[kind].checks)) for kind in TASK_TYPES]
        gates = gates_of(history, planned)
        return Learned(
            mode=self._settings.learning.mode,
            attempts=len(history.judged()),
            labels=len(history.labels),
            types=tuple(
                type_view(kind, known.ladder(kind, history), known.limits(kind), history, gates)
                for kind in kinds
            ),
            checks=check_views(gates),
        )

    async def suggest(self) -> list[SuggestionRow]:
        """Record what is worth suggesting now; returns all open suggestions. LedgerError."""
        history = await self.orders.history()
        known = await self._known()
        confidence = known.settings.escalation.checker_confidence
        if suggestion := confidence_suggestion(confidence, history):
            await self._ledger.suggest(suggestion)
        for kind in TASK_TYPES:
            row = known.rows[kind]
            subject = Subject(
                task_type=kind,
                entries=row.chain,
                rungs=known.rungs[kind],
                checker=row.checker,
                complexity_shift=known.settings.learning.complexity.get(kind, 0.0),
            )
            found = (
                chain_suggestion(subject, known.ladder(kind, history), history),
                checker_suggestion(subject, history),
                complexity_suggestion(subject, history),
            )
            for suggestion in found:
                if suggestion is not None:
                    await self._ledger.suggest(suggestion)
        return await self._ledger.suggestions("open")

    async def apply(self, suggestion_id: int) -> SuggestionRow:
        """Lay a suggestion over the settings, from the next task on. LedgerError if not open.

        Raises UsageError where the settings have another value by now than it was made of.
        """
        now = await self.orders.settings(self._settings)
        for row in await self._ledger.suggestions("open"):
            if row.id == suggestion_id and not is_fitting(now, row):
                raise UsageError(
                    f"suggestion {suggestion_id} was made of {row.before.get('value')}, and "
                    f"{row.subject} is {value_now(now, row.subject)} now"
                )
        return await self._decide(suggestion_id, "applied")

    async def revert(self, suggestion_id: int) -> SuggestionRow:
        """Take an applied suggestion back: the settings are then what they were without it."""
        return await self._decide(suggestion_id, "reverted")

    async def reset(self) -> int:
        """Revert all that is applied, and count no outcome from before now; how many reverted.

        The attempts and labels stay on record.
        """
        applied = await self._ledger.suggestions("applied")
        for row in applied:
            if row.id is not None:
                await self.revert(row.id)
        self._ledger.record(AuditRow(kind=RESET, actor="user"))
        await self._ledger.flush()
        return len(applied)

    async def label(
        self, task_id: str, *, is_right: bool, source: LabelSource = "person", note: str = ""
    ) -> LabelRow:
        """Say whether the answer that a task gave was right. UsageError for an unknown task."""
        answered = await self._ledger.answered_by(task_id)
        if answered is None:
            raise UsageError(f"no attempt of a task {task_id!r} is on record")
        if answered.result == "no_answer":
            raise UsageError(f"task {task_id} came to no answer that could be right or wrong")
        row = LabelRow(
            task_id=task_id,
            attempt=answered.n,
            source=source,
            verdict="right" if is_right else "wrong",
            note=note,
        )
        self._ledger.record(row)
        return row

    async def _decide(self, suggestion_id: int, state: Applied) -> SuggestionRow:
        row = await self._ledger.decide_suggestion(suggestion_id, state)
        details = {"suggestion": suggestion_id, "subject": row.subject}
        self._ledger.record(AuditRow(kind=f"learning_{state}", actor="user", details=details))
        return row

    async def _known(self) -> Known:
        settings = await self.orders.settings(self._settings)
        rows = matrix(settings.matrix, self._router.tiers)
        models = await self._router.models(settings.local_only)
        chains: dict[TaskType, tuple[RoutedModel, ...]] = {}
        rungs: dict[TaskType, tuple[int | None, ...]] = {}
        for kind, row in rows.items():
            arms = [place.arms for place in places(row, models, self._router.tiers)]
            found = [choices[0].model if choices else None for choices in arms]
            chain = tuple(dict.fromkeys(model for model in found if model is not None))
            chains[kind] = chain
            rungs[kind] = tuple(None if model is None else chain.index(model) for model in found)
        return Known(settings=settings, rows=rows, chains=chains, rungs=rungs)
