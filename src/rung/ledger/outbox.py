"""The queue between the calls and the writer: bounded, and every row in it is accounted for.

A row is *recorded*, and later *settled*: written, or counted as lost. There is no third way out.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence

from rung.ledger.lost import LostRows
from rung.ledger.rows import Row

QUEUE_ROWS = 10_000
BATCH_ROWS = 1_000
LINGER_S = 0.05
LAST_TRIES_S = 0.2


class Outbox:
    """Thread-safe. `put` never waits for more than another thread's few instructions."""

    def __init__(self, lost: LostRows) -> None:
        self._lost = lost
        self._queue: deque[Row] = deque()
        self._changed = threading.Condition()
        self._recorded = 0
        self._settled = 0
        self._draining = 0
        self._stop_at: float | None = None
        self._is_closed = False
        self._error: str | None = None

    @property
    def pending_rows(self) -> int:
        with self._changed:
            return self._recorded - self._settled

    @property
    def error(self) -> str | None:
        """Why the writer cannot write at the moment; `None` while it can."""
        return self._error

    @error.setter
    def error(self, error: str | None) -> None:
        self._error = error

    def put(self, row: Row) -> None:
        """Queue a row. The oldest gives way where the queue is full."""
        with self._changed:
            self._recorded += 1
            if self._is_closed:
                self._settle_lost(1, "recorded after the ledger was closed")
                return
            if len(self._queue) == QUEUE_ROWS:
                self._queue.popleft()
                self._settle_lost(1, self._error or "more rows than the database could take")
            self._queue.append(row)
            # The writer sleeps either until there is a row or until there is a whole batch.
            if len(self._queue) in (1, BATCH_ROWS):
                self._changed.notify_all()

    def take(self) -> Sequence[Row]:
        """The next batch, at most `LINGER_S` after its first row; empty when it is time to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self.is_stopping)
            self._changed.wait_for(self._is_batch_due, LINGER_S)
            return [self._queue.popleft() for _ in range(min(len(self._queue), BATCH_ROWS))]

    def settle_written(self, rows: int) -> None:
        with self._changed:
            if not self._is_closed:
                self._settled += rows
                self._changed.notify_all()

    def settle_lost(self, rows: int, error: str) -> None:
        with self._changed:
            if not self._is_closed:
                self._settle_lost(rows, error)

    def drain(self, timeout_s: float) -> bool:
        """Wait until all that was recorded so far is settled. False if that took too long."""
        with self._changed:
            target = self._recorded
            self._draining += 1
            self._changed.notify_all()
            try:
                return self._changed.wait_for(lambda: self._settled >= target, timeout_s)
            finally:
                self._draining -= 1

    @property
    def is_stopping(self) -> bool:
        return self._stop_at is not None

    def stop(self, timeout_s: float) -> None:
        """Nothing lingers from now on, and `may_retry` ends after the shortest `timeout_s`."""
        with self._changed:
            stop_at = time.monotonic() + timeout_s
            self._stop_at = min(stop_at, self._stop_at or stop_at)
            self._changed.notify_all()

    def may_retry(self, after_s: float) -> bool:
        """Wait before another try, and less when told to stop. False if the time is up."""
        with self._changed:
            if self._stop_at is None:
                self._changed.wait_for(lambda: self.is_stopping, after_s)
                return True
            left_s = self._stop_at - time.monotonic()
            self._changed.wait_for(lambda: self._is_closed, max(0.0, min(LAST_TRIES_S, left_s)))
            return left_s > 0 and not self._is_closed

    def close(self) -> None:
        """Count all that is not settled as lost.

        That includes a batch which the database holds and may yet commit: nobody will be here to
        see it, and a count that is too high is the safe mistake.
        """
        with self._changed:
            self._queue.clear()
            if unsettled := self._recorded - self._settled:
                self._settle_lost(unsettled, self._error or "the process ended first")
            self._is_closed = True
            self._changed.notify_all()

    def _is_batch_due(self) -> bool:
        return len(self._queue) >= BATCH_ROWS or self._draining > 0 or self.is_stopping

    def _settle_lost(self, rows: int, error: str) -> None:
        self._settled += rows
        self._lost.add(rows, error)
        self._changed.notify_all()
