"""The ledger as the rest of Rung sees it: record and go on, read when asked, off if so wished."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from rung.chat import JsonObject
from rung.config.settings import LedgerSettings
from rung.errors import LedgerError
from rung.ledger import labels, reviews, suggestions
from rung.ledger.access import Access
from rung.ledger.address import Address, parse_address
from rung.ledger.budgets import Budgets
from rung.ledger.labels import Lessons
from rung.ledger.lost import LostRows
from rung.ledger.outbox import Outbox
from rung.ledger.period import Period
from rung.ledger.readers import newest, read_rows, table_rows
from rung.ledger.reports import LedgerHealth, Summary, summarise
from rung.ledger.reviews import Settle
from rung.ledger.rows import (
    AttemptRow,
    AuditRow,
    CallRow,
    Decision,
    DownloadRow,
    InstallRow,
    ReviewItem,
    ReviewKind,
    ReviewState,
    Row,
    SuggestionRow,
    SuggestionState,
    TaskRow,
    now,
)
from rung.ledger.stats import Counts, count
from rung.ledger.store import Store, describe
from rung.ledger.tables import attempt, audit_event, model_install
from rung.ledger.threads import off_loop
from rung.ledger.writer import Writer

HEALTH_TIMEOUT_S = 2.0
COUNT_TIMEOUT_S = 600.0


def _nothing(_: ReviewItem) -> tuple[()]:
    return ()


class Ledger:
    """Open it with `Ledger.open`, and `close` it: rows are written behind the caller's back.

    A reader sees every row that this process has recorded before, if the database takes rows at
    all. Readers raise LedgerError where the database cannot be read.
    """

    def __init__(
        self, address: Address, store: Store | None, lost: LostRows, data_dir: Path
    ) -> None:
        self._address = address
        self._store = store
        self._lost = lost
        self._outbox = Outbox(lost)
        self._writer = Writer(store, self._outbox, lost) if store is not None else None
        self._access = Access(address, store, self._outbox)
        self.budgets = Budgets(store, data_dir, address.masked)

    @classmethod
    def open(cls, settings: LedgerSettings, data_dir: Path) -> Ledger:
        """Touches neither disk nor network: a database that is down shows in `health`.

        `ConfigError` for a URL that cannot be one.
        """
        address = parse_address(settings.url, data_dir)
        store = None if address.mode == "off" else Store(address)
        return cls(address, store, LostRows(data_dir / "ledger-lost.json"), data_dir)

    def record(self, row: Row) -> None:
        """Put a row on record, some time soon. Never blocks, never raises; thread-safe."""
        if self._writer is not None:
            self._outbox.put(row)

    async def flush(self, timeout_s: float = 5.0) -> bool:
        """Wait until all rows recorded so far are written or counted as lost; False if too late."""
        if self._writer is None:
            return True
        return await off_loop(lambda: self._outbox.drain(timeout_s), timeout_s + 1.0)

    async def close(self, timeout_s: float = 2.0) -> None:
        """Write what is left. What takes longer than `timeout_s` is counted as lost."""
        writer = self._writer
        if writer is not None:
            await off_loop(lambda: writer.stop(timeout_s), timeout_s + 3.0)

    async def health(self) -> LedgerHealth:
        """Whether rows can be written now; answers within 2 seconds and never raises."""
        started = time.monotonic()
        revision, error = await self._ping()
        latency_ms = (time.monotonic() - started) * 1000
        error = error or self._outbox.error
        lost = self._lost.count()
        return LedgerHealth(
            ok=error is None,
            mode=self._address.mode,
            url=self._address.masked,
            revision=revision,
            latency_ms=None if self._store is None else latency_ms,
            pending_rows=self._outbox.pending_rows,
            lost_rows=lost.lost_rows,
            mended_rows=self._writer.mended_rows if self._writer else 0,
            last_error=error or lost.error or None,
        )

    async def summary(self, window_hours: float) -> Summary:
        """Models, tools and tasks of the last hours."""
        since = now() - timedelta(hours=window_hours)
        return await self._access.read(
            lambda connection: summarise(connection, since), Summary(since=since)
        )

    async def counts(self, period: Period) -> Counts:
        """Everything that can be counted of a period; a large ledger takes its time."""
        return await self._access.read(
            lambda connection: count(connection, period), Counts(), COUNT_TIMEOUT_S
        )

    async def calls(self, limit: int = 50) -> list[CallRow]:
        """Newest first."""
        return await self._access.read(lambda connection: newest(connection, CallRow, limit), [])

    async def tasks(self, limit: int = 50) -> list[TaskRow]:
        """Newest first."""
        return await self._access.read(lambda connection: newest(connection, TaskRow, limit), [])

    async def audit(self, limit: int = 50, kind: str | None = None) -> list[AuditRow]:
        """Newest first; of one kind, or of all."""
        query = table_rows(AuditRow).order_by(audit_event.c.id.desc()).limit(limit)
        if kind is not None:
            query = query.where(audit_event.c.kind == kind)
        return await self._access.read(
            lambda connection: read_rows(connection, AuditRow, query), []
        )

    async def downloads(self, limit: int = 50) -> list[DownloadRow]:
        """The last that were begun, newest first; whoever runs them."""
        return await self._access.read(
            lambda connection: newest(connection, DownloadRow, limit), []
        )

    async def installs(self) -> list[InstallRow]:
        """What is installed where, of all hosts that share this ledger; what was removed is not."""
        query = table_rows(InstallRow).where(model_install.c.removed_at.is_(None))
        query = query.order_by(model_install.c.place)
        return await self._access.read(
            lambda connection: read_rows(connection, InstallRow, query), []
        )

    async def attempts(self, task_id: str) -> list[AttemptRow]:
        """One task's attempts, in their order."""
        query = table_rows(AttemptRow).where(attempt.c.task_id == task_id).order_by(attempt.c.n)
        return await self._access.read(
            lambda connection: read_rows(connection, AttemptRow, query), []
        )

    async def reviews(
        self,
        state: ReviewState | None = "open",
        *,
        kind: ReviewKind | None = None,
        task_type: str | None = None,
        limit: int | None = None,
    ) -> list[ReviewItem]:
        """Newest first; `None` narrows nothing."""
        return await self._access.read(
            lambda connection: reviews.find(connection, state, kind, task_type, limit), []
        )

    async def review_counts(self) -> dict[ReviewState, int]:
        """How many reviews are in each state."""
        return await self._access.read(reviews.counts, {})

    async def review(self, review_id: int) -> ReviewItem:
        """One item, whatever its state. `LedgerError` if there is none."""
        item = await self._access.read(lambda connection: reviews.get(connection, review_id), None)
        if item is None:
            raise reviews.unknown(review_id)
        return item

    async def add_review(self, item: ReviewItem) -> int:
        """Queue work for a person; it is on disk when this returns its number.

        `LedgerError` if it cannot be kept: then the caller still has the outcome, and must say so.
        """
        if self._store is None:
            raise LedgerError(
                "the review queue needs a ledger, which is off: unset RUNG_DATABASE_URL to keep it "
                "in a file"
            )
        return await self._access.write(lambda connection: reviews.add(connection, item))

    async def decide_review(
        self, review_id: int, state: Decision, note: str = "", *, settle: Settle = _nothing
    ) -> ReviewItem:
        """Decide an open item, once; returns it decided. `LedgerError` if it is not open.

        `settle` is called with the item, in another thread, once nobody else can change it: the
        rows that it returns go on record with the decision; if it raises, nothing is changed. So
        it is with `edit_review` and `reopen_review`.
        """
        return await self._change_review(
            review_id, lambda connection: reviews.decide(connection, review_id, state, note, settle)
        )

    async def edit_review(
        self, review_id: int, edited: JsonObject, *, settle: Settle = _nothing
    ) -> ReviewItem:
        """Give an open item another answer; returns it. `LedgerError` if it is not open."""
        return await self._change_review(
            review_id, lambda connection: reviews.edit(connection, review_id, edited, settle)
        )

    async def reopen_review(
        self, review_id: int, *, anew: ReviewItem | None = None, settle: Settle = _nothing
    ) -> ReviewItem:
        """Take a decision and its label back; returns the item. `LedgerError` if it is open.

        From now on it has the reason and outcome of the item `anew`, if that is given.
        """
        return await self._change_review(
            review_id, lambda connection: reviews.reopen(connection, review_id, settle, anew)
        )

    async def _change_review(
        self, review_id: int, work: Callable[[Connection], ReviewItem]
    ) -> ReviewItem:
        if self._store is None:
            raise reviews.unknown(review_id)
        return await self._access.write(work)

    async def lessons(self, limit: int) -> Lessons:
        """What learning may count: the last attempts, and what became known of their answers."""
        return await self._access.read(
            lambda connection: labels.lessons(connection, limit), Lessons([], [], {})
        )

    async def answered_by(self, task_id: str) -> AttemptRow | None:
        """The attempt whose answer a task gave back, if it made any."""
        return await self._access.read(
            lambda connection: labels.answered_by(connection, task_id), None
        )

    async def suggestions(self, state: SuggestionState | None = None) -> list[SuggestionRow]:
        """Suggested changes of settings; the applied ones in the order they were applied."""
        return await self._access.read(lambda connection: suggestions.find(connection, state), [])

    async def suggest(self, row: SuggestionRow) -> int | None:
        """Keep a suggestion; its number, or `None` where the same one was made before."""
        if self._store is None:
            return None
        return await self._access.write(lambda connection: suggestions.add(connection, row))

    async def decide_suggestion(self, suggestion_id: int, state: SuggestionState) -> SuggestionRow:
        """Apply an open suggestion, revert an applied one. `LedgerError` where it is neither."""
        if self._store is None:
            raise suggestions.unknown(suggestion_id)
        return await self._access.write(
            lambda connection: suggestions.decide(connection, suggestion_id, state)
        )

    async def _ping(self) -> tuple[str | None, str | None]:
        """The tables' revision, or what is wrong."""
        if self._store is None:
            return None, None
        try:
            return await off_loop(self._store.ping, HEALTH_TIMEOUT_S), None
        except TimeoutError:
            return None, f"no answer within {HEALTH_TIMEOUT_S:.0f} s"
        except (SQLAlchemyError, LedgerError, OSError) as error:
            return None, describe(error)
