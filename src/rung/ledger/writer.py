"""The thread that writes the log in batches, so that no call ever waits for the database.

It keeps a batch until it is written or the process ends. What cannot be written is counted.
"""

from __future__ import annotations

import atexit
import threading
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Table

from rung.ledger.encode import encode
from rung.ledger.lost import LostRows
from rung.ledger.outbox import Outbox
from rung.ledger.rows import AuditRow, Row
from rung.ledger.store import CommitInDoubtError, Store, describe, is_poison
from rung.ledger.tables import TABLE_OF

FIRST_BACKOFF_S = 0.1
LAST_BACKOFF_S = 2.0
EXIT_TIMEOUT_S = 2.0

_Line = tuple[Table, dict[str, Any]]


class Writer:
    """Starts its thread at once; `stop` ends it, and so does the end of the process."""

    def __init__(self, store: Store, outbox: Outbox, lost: LostRows) -> None:
        self._store = store
        self._outbox = outbox
        self._lost = lost
        self._in_doubt: str | None = None
        self.mended_rows = 0
        # A daemon, because a database that hangs must not keep the interpreter from ending.
        self._thread = threading.Thread(target=self._run, name="rung-ledger", daemon=True)
        self._thread.start()
        atexit.register(self.stop, EXIT_TIMEOUT_S)

    def stop(self, timeout_s: float) -> None:
        """Write what is queued, for at most `timeout_s`; count the rest as lost."""
        self._outbox.stop(timeout_s)
        try:
            self._thread.join(timeout_s)
        finally:  # also when Ctrl-C ends the wait
            self._outbox.close()
            self._lost.save()
        # Only now: a `close` that is itself cut off leaves the rest to the exit.
        atexit.unregister(self.stop)

    def _run(self) -> None:
        while rows := self._outbox.take():
            self._deliver(rows)
        self._store.close()

    def _deliver(self, rows: Sequence[Row]) -> None:
        """Write rows, trying as often as it takes, unless the time to stop comes first."""
        chunks = deque([self._encode(rows)])
        backoff_s = FIRST_BACKOFF_S
        while chunks:
            chunk = chunks.popleft()
            try:
                self._append(chunk)
            except Exception as error:  # noqa: BLE001 - shown by health; every row is accounted for
                if is_poison(error):
                    chunks.extendleft(reversed(self._without_poison(chunk, error)))
                    continue
                chunks.appendleft(chunk)
                self._outbox.error = describe(error)
                self._store.forget()
                self._lost.save()
                if not self._outbox.may_retry(backoff_s):
                    return
                backoff_s = min(backoff_s * 2, LAST_BACKOFF_S)
            else:
                backoff_s = FIRST_BACKOFF_S
                self._outbox.error = None
                self._outbox.settle_written(len(chunk))
        self._report_lost()

    def _encode(self, rows: Sequence[Row]) -> list[_Line]:
        lines: list[_Line] = []
        for row in rows:
            try:
                values, is_mended = encode(row)
            except Exception as error:  # noqa: BLE001 - foreign values; one row, and counted
                self._outbox.settle_lost(1, describe(error))
            else:
                lines.append((TABLE_OF[type(row)], values))
                self.mended_rows += is_mended
        return lines

    def _append(self, lines: Sequence[_Line]) -> None:
        if not lines:
            return
        if self._in_doubt is not None:
            was_committed = self._store.was_committed(self._in_doubt)
            self._in_doubt = None
            if was_committed:
                return
        by_table: defaultdict[Table, list[dict[str, Any]]] = defaultdict(list)
        for table, values in lines:
            by_table[table].append(values)
        try:
            self._store.append(by_table)
        except CommitInDoubtError as doubt:
            self._in_doubt = doubt.transaction
            raise

    def _without_poison(self, lines: list[_Line], error: Exception) -> list[list[_Line]]:
        """Halve, until the row that the database refuses is alone."""
        if len(lines) == 1:
            self._outbox.settle_lost(1, f"{lines[0][0].name}: {describe(error)}")
            return []
        middle = len(lines) // 2
        return [lines[:middle], lines[middle:]]

    def _report_lost(self) -> None:
        try:
            self._lost.report(self._write_report)
        except Exception:  # noqa: BLE001 - the count is safe, and is told after the next batch
            return

    def _write_report(self, rows: int, error: str) -> None:
        """Tell the audit log, now that it can be written, of rows that it will never see."""
        details = {"rows": rows, "last_error": error}
        values = encode(AuditRow(kind="ledger_rows_lost", details=details)).values
        self._store.append({TABLE_OF[AuditRow]: [values]})
