"""What is used of each scope: read from the ledger now and then, counted on in between.

Counting must not hold up a call. What a call used is added up here and goes on record a moment
later; what other processes used is at most a second old.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from rung.errors import LedgerError
from rung.ledger.ledger import Ledger
from rung.ledger.rows import BudgetRow

FLUSH_S = 0.25
FRESH_S = 1.0
FIRST_READ_S = 1.0


class Tally:
    """The sums of the scopes that this process counts in."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._unsent: dict[str, BudgetRow] = {}
        self._flushing: asyncio.TimerHandle | None = None
        self._known: dict[str, BudgetRow] = {}
        self._since: dict[str, BudgetRow] = {}  # what was counted and is not yet in `_known`
        self._newer: dict[str, BudgetRow] = {}  # what was counted since the last read began
        self._read_at: float | None = None
        self._reading: asyncio.Task[None] | None = None
        self._adding: set[asyncio.Task[None]] = set()

    def add(self, scopes: Iterable[str], **used: float) -> None:
        """Count `tokens`, `seconds`, `attempts` and `spent_nano_usd` in all these scopes."""
        for scope in scopes:
            row = BudgetRow(scope=scope, **used)  # pyright: ignore[reportArgumentType]
            for sums in (self._unsent, self._since, self._newer):
                sums[scope] = _sum(sums.get(scope), row)
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_later(FLUSH_S, self._flush)

    async def used(self, periods: Sequence[str]) -> Mapping[str, BudgetRow]:
        """The sums by scope; without a database, those of this process.

        The first time waits for the database, for a second at most.
        """
        is_first = self._read_at is None
        age_s = time.monotonic() - (self._read_at or 0.0)
        if self._reading is None and (is_first or age_s > FRESH_S):
            self._reading = asyncio.ensure_future(self._read(periods))
        if is_first and self._reading is not None:
            await asyncio.wait({self._reading}, timeout=FIRST_READ_S)
            self._read_at = self._read_at or time.monotonic()
        names = self._known.keys() | self._since.keys()
        return {
            name: _sum(self._known.get(name), self._since.get(name) or BudgetRow(scope=name))
            for name in names
        }

    async def flush(self) -> None:
        """Hand everything over that was counted so far."""
        self._flush()
        if self._adding:
            await asyncio.wait(self._adding)

    async def close(self) -> None:
        """As `flush`, for good."""
        if self._reading is not None:
            self._reading.cancel()
        await self.flush()

    def _flush(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        rows, self._unsent = list(self._unsent.values()), {}
        if not rows:
            return
        if self._ledger.budgets.is_shared:
            for row in rows:
                self._ledger.record(row)
            return
        adding = asyncio.ensure_future(self._ledger.budgets.add(rows))
        self._adding.add(adding)
        adding.add_done_callback(self._adding.discard)

    async def _read(self, periods: Sequence[str]) -> None:
        """What is added meanwhile may be counted twice until the next time: never too little."""
        self._flush()
        self._newer = {}
        try:
            if self._adding:
                await asyncio.wait(self._adding)
            if not await self._ledger.flush(FRESH_S):
                return  # what is not written yet would be missing
            self._known = {row.scope: row for row in await self._ledger.budgets.used(periods)}
            self._since, self._newer = self._newer, {}
        except LedgerError:
            pass  # free calls go on without a database; health shows that it is away
        finally:
            self._read_at = time.monotonic()
            self._reading = None


def _sum(one: BudgetRow | None, other: BudgetRow) -> BudgetRow:
    if one is None:
        return other
    return msgspec.structs.replace(
        other,
        spent_nano_usd=one.spent_nano_usd + other.spent_nano_usd,
        reserved_nano_usd=one.reserved_nano_usd + other.reserved_nano_usd,
        tokens=one.tokens + other.tokens,
        seconds=one.seconds + other.seconds,
        attempts=one.attempts + other.attempts,
    )
