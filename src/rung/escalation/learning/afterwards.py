"""A second look at a sample of accepted work: by a person, or by another model.

What checks let pass cannot be told from what they let pass. An audit asks a person; a shadow lets
another model do the same task, whose answer is compared and never served.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from textwrap import shorten
from typing import Any, Protocol

import msgspec

from rung.config.settings import Settings
from rung.errors import LedgerError, RungError
from rung.escalation.events import AttemptStarted, Event, OnEvent
from rung.escalation.learning.learning import Learning
from rung.escalation.learning.sampling import MORE, audit_rate, is_drawn
from rung.escalation.task import Outcome, Task
from rung.ledger.ledger import Ledger
from rung.ledger.rows import SHADOW, AuditRow, ReviewItem


class Execute(Protocol):
    """Does a task as a shadow: see `Executor.execute`."""

    def __call__(
        self, task: Task, *, on_event: OnEvent | None = None, is_shadow: bool
    ) -> Awaitable[Outcome]: ...


# A shadow that has not read the project by then is given up: the caller waits for its answer.
BEGIN_S = 10.0
# With this share of outcomes suggestions are thought over anew.
SUGGEST_RATE = 0.04
TITLE_LENGTH = 100


class Afterwards:
    """Called after each outcome. It never changes the outcome, and never raises for the ledger."""

    def __init__(
        self, settings: Settings, ledger: Ledger, learning: Learning, execute: Execute
    ) -> None:
        self._settings = settings.learning
        self._ledger = ledger
        self._learning = learning
        self._execute = execute
        self._shadows: set[asyncio.Task[Any]] = set()

    async def look(self, task: Task, outcome: Outcome) -> None:
        """Audit, shadow and suggest, each at its rate; a shadow goes on in the background."""
        if self._settings.mode == "off":
            return
        try:
            if outcome.status == "verified":
                await self._audit(task, outcome)
                await self._maybe_shadow(task, outcome)
            if is_drawn(outcome.task_id, "suggest", SUGGEST_RATE):
                await self._learning.suggest()
        except LedgerError:
            return  # the outcome stands; `rung health db` shows what is wrong

    async def close(self) -> None:
        """Wait for shadows that are under way: what they cost must come to something."""
        while self._shadows:
            await asyncio.wait(self._shadows)

    async def shadow(
        self, task: Task, outcome: Outcome, model: str, *, on_event: OnEvent | None = None
    ) -> AuditRow:
        """Let another model do the task, and put on record whether the two agree.

        Only free models, and paid ones that the settings allow, as nobody can be asked. Raises
        RungError for an outcome that was not accepted: there is nothing to agree with.
        """
        if outcome.status != "verified":
            raise RungError(f"only accepted work is compared, and this is {outcome.status}")
        again = msgspec.structs.replace(task, chain=(model,), type=outcome.type, at_end="skip")
        details: dict[str, Any] = {
            "model": model,
            "worker": f"{outcome.engine}/{outcome.model}",
            "type": outcome.type,
        }
        try:
            other = await self._execute(again, on_event=on_event, is_shadow=True)
        except RungError as error:
            details |= {"status": "failed", "agrees": None, "error": str(error)}
        else:
            is_other = f"{other.engine}/{other.model}" != details["worker"]
            is_comparable = is_other and other.status == "verified"
            error = other.reason if is_other else f"{details['worker']} cannot be its own shadow"
            details |= {
                "shadow_task": other.task_id,
                "status": other.status,
                "agrees": is_same(outcome, other) if is_comparable else None,
                "cost_usd": other.cost_usd,
                "seconds": other.seconds,
                "error": "" if is_comparable else error,
            }
        row = AuditRow(kind=SHADOW, task_id=outcome.task_id, details=details)
        self._ledger.record(row)
        return row

    async def _audit(self, task: Task, outcome: Outcome) -> None:
        if not is_drawn(outcome.task_id, "audit", self._settings.audit_rate * MORE):
            return
        history = await self._learning.orders.history()
        labels = history.labels_of(f"{outcome.engine}/{outcome.model}")
        rate = audit_rate(self._settings.audit_rate, labels)
        if not is_drawn(outcome.task_id, "audit", rate):
            return
        await self._ledger.add_review(audit_item(task, outcome, rate))

    async def _maybe_shadow(self, task: Task, outcome: Outcome) -> None:
        """Begin one if it is drawn. Once it has begun it has read the project, which the caller may
        then change.
        """
        model = self._settings.shadow_model
        is_wanted = model and model != f"{outcome.engine}/{outcome.model}"
        if not is_wanted or outcome.type == "critical":
            return  # critical work waits for a person in any case
        if is_drawn(outcome.task_id, SHADOW, self._settings.shadow_rate):
            has_begun = asyncio.Event()

            def on_event(event: Event) -> None:
                if isinstance(event, AttemptStarted):
                    has_begun.set()

            shadow = asyncio.create_task(self.shadow(task, outcome, model, on_event=on_event))
            self._shadows.add(shadow)
            shadow.add_done_callback(self._shadows.discard)
            shadow.add_done_callback(lambda _: has_begun.set())
            try:
                async with asyncio.timeout(BEGIN_S):
                    await has_begun.wait()
            except TimeoutError:
                shadow.cancel()


def audit_item(task: Task, outcome: Outcome, rate: float) -> ReviewItem:
    """Accepted work for a person to look at; a decision weighs one over `audit_rate`."""
    root = (task.root or Path.cwd()).resolve()
    return ReviewItem(
        task_id=outcome.task_id,
        title=shorten(task.text, TITLE_LENGTH, placeholder=" …"),
        reason="audit: it was accepted, and a person is asked whether rightly so",
        outcome={**msgspec.to_builtins(outcome), "root": str(root), "audit_rate": rate},
        kind="audit",
    )


def is_same(one: Outcome, other: Outcome) -> bool:
    """Whether two answers are the same but for white space."""
    if one.object is not None or other.object is not None:
        return one.object == other.object
    if one.files or other.files:
        return _plain(one.files) == _plain(other.files)
    return one.answer.split() == other.answer.split()


def _plain(files: dict[str, str]) -> dict[str, list[str]]:
    return {path: text.split() for path, text in files.items()}
