"""The count of rows that could not be written, kept where another process can see it.

`ledger-lost.json` lies in the data folder. It only ever grows: `reported_rows` says how many of
`lost_rows` the audit log already tells of. Where the folder cannot be written, the count stays in
this process.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from rung.ledger.rows import now

_LOCK_TIMEOUT_S = 1.0
_LOCK_POLL_S = 0.005


class LostCount(msgspec.Struct, frozen=True, kw_only=True):
    """The file's content. `error` is why the last rows were lost."""

    lost_rows: int = 0
    reported_rows: int = 0
    last_lost_at: str = ""
    error: str = ""


class LostRows:
    """Counts in memory at once, and in the file when told to save. Thread-safe."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._memory = threading.Lock()  # held for a few instructions, so that `add` never waits
        self._saving = threading.Lock()  # held while the file is read or written
        self._unsaved = 0
        self._unsaved_reported = 0
        self._error = ""
        self._may_owe_report = True  # what earlier processes lost

    def add(self, rows: int, error: str) -> None:
        with self._memory:
            self._unsaved += rows
            self._error = error
            self._may_owe_report = True

    def count(self) -> LostCount:
        """What was ever lost with this data folder, by any process that could say so."""
        try:
            saved = self._read()
        except OSError:
            saved = LostCount()
        with self._memory:
            return msgspec.structs.replace(
                saved,
                lost_rows=saved.lost_rows + self._unsaved,
                reported_rows=saved.reported_rows + self._unsaved_reported,
                error=self._error or saved.error,
            )

    def save(self) -> None:
        """Move the count to the file; it stays in memory where that cannot be."""
        with self._saving:
            self._save()

    def report(self, write: Callable[[int, str], None]) -> None:
        """Call `write(rows, error)` if there are rows that nobody was told of yet.

        Other processes wait meanwhile, so that nothing is told twice. Errors of `write`, and
        OSError where the count cannot be read, leave it to be told at the next call.
        """
        if not self._may_owe_report:
            return
        self._may_owe_report = False
        try:
            with self._saving:
                self._save()
                if self._unsaved:
                    self._report_unsaved(write)
                else:
                    self._report_saved(write)
        except BaseException:
            self._may_owe_report = True
            raise

    def _save(self) -> None:
        with self._memory:
            rows, reported, error = self._unsaved, self._unsaved_reported, self._error
        if not rows:
            return
        try:
            with self._exclusively() as count:
                self._write(
                    LostCount(
                        lost_rows=count.lost_rows + rows,
                        reported_rows=count.reported_rows + reported,
                        last_lost_at=now().isoformat(timespec="seconds"),
                        error=error,
                    )
                )
        except OSError:
            return  # a full disk or a read-only folder: the count of this process still shows it
        with self._memory:
            self._unsaved -= rows
            self._unsaved_reported -= reported

    def _report_saved(self, write: Callable[[int, str], None]) -> None:
        count = self._read()
        if count.lost_rows == count.reported_rows:
            return  # the common case, without the lock and without making a file
        with self._exclusively() as count:
            if unreported := count.lost_rows - count.reported_rows:
                write(unreported, count.error)
                self._write(msgspec.structs.replace(count, reported_rows=count.lost_rows))

    def _report_unsaved(self, write: Callable[[int, str], None]) -> None:
        with self._memory:
            unreported, error = self._unsaved - self._unsaved_reported, self._error
        if unreported:
            write(unreported, error)
            with self._memory:
                self._unsaved_reported += unreported

    def _read(self) -> LostCount:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=LostCount)
        except FileNotFoundError:
            return LostCount()
        except msgspec.MsgspecError:
            # Not ours, or damaged: kept for a person to look at, never overwritten.
            self._file.replace(self._file.with_suffix(".damaged.json"))
            return LostCount()

    def _write(self, count: LostCount) -> None:
        # Alone behind the lock, so one name for the new file is enough and none is ever left over.
        new = self._file.with_suffix(".new")
        new.write_bytes(msgspec.json.format(msgspec.json.encode(count), indent=2))
        new.replace(self._file)

    @contextmanager
    def _exclusively(self) -> Generator[LostCount]:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.with_suffix(".lock").open("ab") as handle:
            _lock(handle.fileno())  # released when the file is closed
            yield self._read()


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _try_lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _lock(descriptor: int) -> None:
    deadline = time.monotonic() + _LOCK_TIMEOUT_S
    while True:
        try:
            return _try_lock(descriptor)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_LOCK_POLL_S)
