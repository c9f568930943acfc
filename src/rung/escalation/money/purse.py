"""The budgets of days and months: asked before every call of this process, told after it."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rung.chat import ChatRequest
from rung.config.schema import nearest
from rung.config.settings import Settings
from rung.errors import ConfigError, EngineError, LedgerError
from rung.escalation.money.bill import NANO, NOTHING, Bill, WorstCase, in_usd, worst_case
from rung.escalation.money.scopes import PERIODS, Scope, period_name, resets_at, scopes_of
from rung.escalation.money.tally import Tally
from rung.escalation.task import TASK_TYPES
from rung.ledger.ledger import Ledger
from rung.ledger.owner import host_name
from rung.ledger.reservations import Over
from rung.ledger.rows import AuditRow, BudgetRow, ReservationRow, ReservationState, now
from rung.routing.models import RoutedModel
from rung.routing.tiers import DEFAULT_TIERS

CLOSE_TIMEOUT_S = 1.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.2, 5.0


@dataclass(frozen=True, kw_only=True)
class Held:
    """A call that was admitted: where it counts, and the money that is reserved for it."""

    model: RoutedModel
    worst: WorstCase
    scopes: tuple[str, ...]
    reservation: ReservationRow | None
    started: float = field(default_factory=time.monotonic)


class Purse:
    """Holds every call to the limits under `[budget]`. One instance serves a process.

    Money is exact, whatever other processes do: it is reserved in the ledger before a call, if a
    limit holds for it. A paid call that cannot be reserved for, because the database is away, is
    refused; free calls go on. Limits of tokens, seconds and attempts are looked at before a call,
    so that what is under way may exceed them.
    """

    def __init__(
        self, settings: Settings, ledger: Ledger, clock: Callable[[], datetime] = now
    ) -> None:
        check_names("budget.types", settings.budget.types, TASK_TYPES)
        tiers = (*DEFAULT_TIERS, *settings.tiers)
        check_names("escalation.paid_tiers", settings.escalation.paid_tiers, tiers)
        self._settings = settings
        self._ledger = ledger
        self._clock = clock
        self._tally = Tally(ledger)
        self._since = now()
        self._is_tidy = False
        self._closing: set[asyncio.Task[None]] = set()

    async def admit(
        self,
        model: RoutedModel,
        request: ChatRequest,
        *,
        task_id: str | None = None,
        task_type: str | None = None,
        attempts: int = 1,
    ) -> Held:
        """Reserve for a call that begins `attempts` attempts (0: it goes on with one).

        Raises EngineError of kind `over_budget` where a limit would not hold.
        """
        at = self._clock()
        scopes = scopes_of(self._settings.budget, at, task_type, self._settings.app)
        names = tuple(scope.name for scope in scopes)
        worst = worst_case(model, request)
        try:
            await self._check_use(scopes, attempts, at)
            # At once, so that of two who begin side by side the second sees the first.
            self._tally.add(names, attempts=attempts)
            try:
                reservation = await self._reserved(model, worst, scopes, task_id or "")
            except BaseException:
                self._tally.add(names, attempts=-attempts)
                raise
        except OverLimitError as error:
            self.audit("budget_stop", task_id, {"model": model.name, **error.details})
            raise EngineError(
                "over_budget", str(error), engine=model.engine.name, model=model.info.id
            ) from None
        return Held(model=model, worst=worst, scopes=names, reservation=reservation)

    async def close_call(self, held: Held, bill: Bill | None) -> None:
        """Count what a call used; `None` where nothing was generated. Never raises.

        It goes on where the caller is cancelled, and is tried again while the database is away.
        """
        used = bill or NOTHING
        spent = used.nano_usd if held.reservation is None else 0
        seconds = time.monotonic() - held.started
        self._tally.add(held.scopes, tokens=used.tokens, seconds=seconds, spent_nano_usd=spent)
        if held.reservation is not None:
            state: ReservationState = "released" if bill is None else "settled"
            closing = self._closed(held.reservation, state, used.nano_usd)
            await asyncio.wait({closing}, timeout=CLOSE_TIMEOUT_S)

    async def tidy(self) -> None:
        """Count what dead processes had reserved as spent. Raises LedgerError."""
        for row in await self._ledger.budgets.expire():
            details = {
                "reservation": row.reservation_id,
                "model": row.model,
                "usd": row.reserved_nano_usd / NANO,
                "pid": row.owner_pid,
                "host": row.owner_host,
            }
            self.audit("reservation_expired", row.task_id, details)

    async def flush(self) -> None:
        """Hand over to the ledger what calls of this process used so far."""
        await self._tally.flush()

    async def close(self) -> None:
        """Put on record what is left. A reservation that cannot be closed in time stays open, and
        counts in full once this process is gone.
        """
        await self._tally.close()
        if self._closing:
            await asyncio.wait(self._closing, timeout=CLOSE_TIMEOUT_S)
        for task in tuple(self._closing):
            task.cancel()

    async def _check_use(self, scopes: Sequence[Scope], attempts: int, at: datetime) -> None:
        if all(scope.tokens is scope.seconds is scope.attempts is None for scope in scopes):
            return
        used = await self._tally.used([period_name(period, at) for period in PERIODS])
        for scope in scopes:
            _check_use(scope, used.get(scope.name) or BudgetRow(scope=scope.name), attempts, at)

    async def _reserved(
        self, model: RoutedModel, worst: WorstCase, scopes: Sequence[Scope], task_id: str
    ) -> ReservationRow | None:
        limits = {scope.name: round(scope.usd * NANO) for scope in scopes if scope.usd is not None}
        if model.is_free or not limits:
            return None
        if worst.nano_usd is None:
            raise OverLimitError(unknown_price(model))
        row = ReservationRow(
            reservation_id=secrets.token_hex(8),
            task_id=task_id,
            scopes=[scope.name for scope in scopes],
            model=model.name,
            reserved_nano_usd=worst.nano_usd,
            owner_host=host_name(),
            owner_pid=os.getpid(),
            owner_since=self._since,
        )
        try:
            if not self._is_tidy:
                await self.tidy()
                self._is_tidy = True
            over = await self._ledger.budgets.reserve(row, limits)
        except LedgerError as error:
            self._closed(row, "released", 0)
            raise OverLimitError(
                f"no money can be reserved for {model.name}, so it is not asked: {error}"
            ) from error
        except asyncio.CancelledError:
            self._closed(row, "released", 0)  # it may be reserved by now, or soon
            raise
        if over is None:
            return row
        raise _over(next(s for s in scopes if s.name == over.scope), over, row, self._clock())

    def _closed(
        self, row: ReservationRow, state: ReservationState, spent: int
    ) -> asyncio.Task[None]:
        task = asyncio.ensure_future(self._keep_closing(row, state, spent))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        return task

    async def _keep_closing(self, row: ReservationRow, state: ReservationState, spent: int) -> None:
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                return await self._ledger.budgets.close(row, state, spent)
            except LedgerError:
                # Nothing is lost: it is reserved until this succeeds, or counts in full for ever.
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)

    def audit(self, kind: str, task_id: str | None, details: dict[str, Any]) -> None:
        """Put a decision about money on record."""
        self._ledger.record(AuditRow(kind=kind, task_id=task_id or None, details=details))


class OverLimitError(Exception):
    """A limit would not hold; `details` are for the audit log."""

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.details = details


def check_names(where: str, names: Iterable[str], known: Sequence[str]) -> None:
    """Raise ConfigError for a limit that would silently never hold: of a name that nothing has."""
    for name in names:
        if name not in known:
            raise ConfigError(f"{where}: there is no {name!r}; {nearest(name, known)}")


def unknown_price(model: RoutedModel) -> str:
    """Why a model without a price is not asked."""
    return (
        f"the price of {model.name} is unknown, so no budget can hold it; set usd_per_mtok_in and "
        f'usd_per_mtok_out under [models."{model.name}"]'
    )


def _check_use(scope: Scope, used: BudgetRow, attempts: int, at: datetime) -> None:
    for unit, limit, amount in (
        ("tokens", scope.tokens, used.tokens),
        ("seconds", scope.seconds, used.seconds),
        ("attempts", scope.attempts, used.attempts + attempts - 1 if attempts else -1),
    ):
        if limit is not None and amount >= limit:
            raise OverLimitError(
                f"{amount:,.0f} of {limit:,.0f} {unit} a {scope.words} are used; "
                f"{_anew(scope, at)}; raise {scope.setting}_{unit}",
                scope=scope.name,
                unit=unit,
            )


def _over(scope: Scope, over: Over, row: ReservationRow, at: datetime) -> OverLimitError:
    left = max(0, over.limit - over.spent - over.reserved)
    worst = row.reserved_nano_usd
    return OverLimitError(
        f"{row.model} may cost up to {in_usd(worst)} and {in_usd(left)} of {in_usd(over.limit)} a "
        f"{scope.words} is left ({in_usd(over.spent)} spent, {in_usd(over.reserved)} in flight); "
        f"{_anew(scope, at)}; raise {scope.setting}_usd",
        scope=scope.name,
        worst_case_usd=worst / NANO,
        left_usd=left / NANO,
    )


def _anew(scope: Scope, at: datetime) -> str:
    return f"it begins anew on {resets_at(scope.period, at):%Y-%m-%d at %H:%M}"
