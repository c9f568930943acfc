"""`ModelManager`: who wants to use a model takes a lease of it; loading and evicting follows."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

from rung.chat import Cancellation, LoadedModel, LoadOptions
from rung.config.settings import Settings
from rung.engines.base import Engine
from rung.engines.deadline import Deadline
from rung.engines.failure import Origin
from rung.errors import EngineError, EngineErrorKind
from rung.ledger.rows import AuditRow
from rung.models.footprint import Footprint
from rung.models.lifecycle.claims import Claims
from rung.models.lifecycle.journal import Journal
from rung.models.lifecycle.lease import LONGEST_WAIT_S, Lease
from rung.models.lifecycle.looking import OTHERS_TIMEOUT_S, Looking
from rung.models.lifecycle.memory import Available
from rung.models.lifecycle.options import idle_unload_s, resolve
from rung.models.lifecycle.owner import Owner
from rung.models.lifecycle.requests import Request, Unloading, answer, copy_of
from rung.models.lifecycle.residents import Residents
from rung.models.lifecycle.slots import Slots
from rung.models.lifecycle.state import Key, Waiter
from rung.models.lifecycle.status import ModelStatus, statuses
from rung.models.lifecycle.together import fit_pools
from rung.models.lifecycle.work import EngineWork, Message
from rung.models.measured import Measurements
from rung.models.memory import available_memory_bytes

_WAITED = "the call waited for its model"
HANDED_BACK_IDLE_S = 300.0  # as Ollama has it, where the user did not set another
HAND_BACK_TIMEOUT_S = 2.0
# Failures after which the model may not be where it was.
_MAY_BE_GONE: frozenset[EngineErrorKind] = frozenset(
    {"unreachable", "model_missing", "model_not_loaded", "out_of_memory", "server_error"}
)


class ModelManager:
    """Leases of models on engines that can load, and slots of those that cannot.

    `engines` are those that may hold models in this machine's memory before they are first used.
    `record` takes one audit row per load and unload; `claims` tell which models are Rung's.
    """

    def __init__(
        self,
        settings: Settings,
        measured: Measurements,
        *,
        footprint: Footprint,
        record: Callable[[AuditRow], None],
        available: Available = available_memory_bytes,
        engines: Iterable[Engine] = (),
        claims: Claims | None = None,
    ) -> None:
        self._settings = settings
        self._footprint, self._available = footprint, available
        self._work = EngineWork(self._tell)
        journal = Journal(measured, record)
        self._claims = claims or Claims(None)
        residents = Residents(settings, journal, self._claims)
        self._owner = Owner(settings, self._work, journal, footprint, available, residents)
        self._engines = tuple(engines)
        self._looking = Looking(settings, self._owner, self._work, self._engines)
        self._tickets = itertools.count(1)
        self._slots = Slots(settings)
        self._mailbox: asyncio.Queue[Message] = asyncio.Queue()
        self._running: asyncio.Task[None] | None = None
        self._promises: set[asyncio.Future[Any]] = set()
        self._is_closed = False

    @asynccontextmanager
    async def lease(
        self,
        engine: Engine,
        model: str,
        options: LoadOptions,
        *,
        timeout_s: float | None = None,
        cancel: Cancellation | None = None,
    ) -> AsyncGenerator[Lease]:
        """The model, loaded, for as long as the context lasts. Raises `EngineError`.

        An option that is `None` is left as it is while the model is loaded, and to the settings
        and the engine when it is not. Two leases in one another can wait for each other for ever,
        if their models do not fit together: end one before the next.
        """
        request = self._request(engine, model, options) if engine.can_load else None
        deadline = Deadline(_origin(engine, model), timeout_s, cancel)
        held = self._hold(request, deadline) if request else self._slots.take(engine, deadline)
        async with held as lease:
            yield lease

    async def load(
        self,
        engine: Engine,
        model: str,
        options: LoadOptions,
        on_progress: Callable[[float], None] | None = None,
    ) -> LoadedModel:
        """Load the model and keep it until it is unloaded or evicted. Raises `EngineError`."""
        if not engine.can_load:
            return await engine.load(model, options, on_progress)  # says that it cannot
        request = self._request(engine, model, options)
        request.is_explicit, request.on_progress = True, on_progress
        async with self._hold(request, Deadline(_origin(engine, model), None, None)) as lease:
            if lease.load_ms is None and engine.kind != "embedded":
                # Its engine may be about to drop what was there already; as it is, it is to stay.
                await engine.load(model, LoadOptions(is_embedding=options.is_embedding))
            return lease.loaded or LoadedModel(model=model)

    async def unload(self, engine: Engine, model: str, *, force: bool = False) -> bool:
        """Unload the model once its leases have ended, or now. Whether it was loaded.

        Who asks for it meanwhile has it loaded again afterwards. Raises `EngineError`.
        """
        if not engine.can_load:
            await engine.unload(model)  # says that it cannot
        key = Key(engine.name, model)
        done: asyncio.Future[bool] = self._promise()
        asked = Unloading(ticket=next(self._tickets), done=done)
        ask = partial(self._unload, key, asked, force)
        self._check_open(key)
        self._tell(partial(self._looking.look_first, engine, ask))
        try:
            return await done
        except asyncio.CancelledError:
            self._tell(partial(self._owner.keep, key, asked))
            raise

    def snapshot(self) -> list[ModelStatus]:
        """What is in memory, moves, or is waited for, as far as it is known now."""
        return statuses(self._owner.residents, (request.key for request in self._owner.requests))

    async def survey(self) -> tuple[list[ModelStatus], dict[str, EngineError]]:
        """What all engines have in memory now, and those that did not say it in a second."""
        asked: list[asyncio.Future[EngineError | None]] = []
        for engine in self._engines:
            if engine.can_load:
                asked.append(self._promise())
                then = partial(_answered, asked[-1])
                self._tell(partial(self._looking.look_first, engine, then, OTHERS_TIMEOUT_S))
        failures = [error for error in await asyncio.gather(*asked) if error is not None]
        return self.snapshot(), {error.engine: error for error in failures}

    def fit_together(self, models: Iterable[tuple[Engine, str]]) -> bool:
        """Whether these models can be in memory at once, as far as can be told now."""
        return fit_pools(self._settings, models, self._owner, self._footprint, self._available)

    async def close(self) -> None:
        """End what waits and what loads, and hand back to other programs what they go on holding.

        What was loaded for calls is theirs to unload once it is idle; what somebody asked to be
        loaded, and what is pinned, stays.
        """
        is_first = not self._is_closed
        self._is_closed = True
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        await self._work.close()
        self._break_promises(EngineError("cancelled", "Rung is closing", engine="rung"))
        if is_first:
            await self._hand_back()

    async def _hand_back(self) -> None:
        residents = self._owner.residents
        passing = [residents[key] for key in self._claims.mine if key in residents]
        passing = [r for r in passing if r.state == "ready" and not (r.is_kept or r.is_pinned)]
        if passing:
            back = (self._handed_back(residents.engines[r.key.engine], r.key) for r in passing)
            await asyncio.gather(*back)
        await asyncio.to_thread(self._claims.save)

    async def _handed_back(self, engine: Engine, key: Key) -> None:
        idle_s = idle_unload_s(self._settings, engine, key.model) or HANDED_BACK_IDLE_S
        # An engine that is gone, or too slow for somebody who leaves, keeps it as it likes.
        with suppress(EngineError, TimeoutError):
            async with asyncio.timeout(HAND_BACK_TIMEOUT_S):
                await engine.hand_back(key.model, idle_s)

    def _request(self, engine: Engine, model: str, wanted: LoadOptions) -> Request:
        if not engine.obeys_options:
            wanted = LoadOptions(is_embedding=wanted.is_embedding)
        options = resolve(self._settings, engine, model, wanted)
        return Request(
            waiter=Waiter(
                ticket=next(self._tickets),
                key=Key(engine.name, model),
                wanted=wanted,
                needs_bytes=self._footprint(engine, model, options),
                arrived_at=time.monotonic(),
            ),
            engine=engine,
            options=options,
            lease=self._promise(),
        )

    @asynccontextmanager
    async def _hold(self, request: Request, deadline: Deadline) -> AsyncGenerator[Lease]:
        leave = partial(self._leave, request)
        try:
            self._check_open(request.key)
            deadline.check(_WAITED)
            self._tell(partial(self._ask, request))
            try:
                lease = await deadline.wait(request.lease, _WAITED, LONGEST_WAIT_S)
            except BaseException:
                self._tell(leave)
                raise
        finally:
            deadline.close()
        try:
            yield lease
        except EngineError as error:
            if error.kind in _MAY_BE_GONE:
                self._tell(partial(self._looking.forget, request.key.engine))
            raise
        finally:
            self._tell(leave)

    def _ask(self, request: Request) -> None:
        self._owner.ask(request)
        self._looking.before(request)

    def _unload(
        self, key: Key, asked: Unloading, force: bool, _failure: EngineError | None
    ) -> None:
        # An engine that could not say what it holds says more clearly why it cannot unload.
        self._owner.unload(key, asked, force=force)

    def _leave(self, request: Request) -> None:
        left = self._owner.leave(request.ticket)
        if left is not None and left.is_unused:
            self._looking.after(request.engine)

    def _check_open(self, key: Key) -> None:
        if self._is_closed:
            raise EngineError("cancelled", "Rung is closing", engine=key.engine, model=key.model)

    def _tell(self, message: Message) -> None:
        self._mailbox.put_nowait(message)
        if self._running is None and not self._is_closed:
            self._running = asyncio.create_task(self._run())
            self._running.add_done_callback(self._ended)

    async def _run(self) -> None:
        """The owner's task: nobody else changes the state."""
        while True:
            next_expiry = self._owner.residents.next_expiry()
            wait_s = None if next_expiry is None else max(0.0, next_expiry - time.monotonic())
            message: Message | None = None
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    message = await self._mailbox.get()
            if message is not None:
                message()
            while not self._mailbox.empty():
                self._mailbox.get_nowait()()
            self._owner.settle()
            if self._claims.has_news:
                self._work.aside(self._claims.save)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A fault of the owner fails everybody who waits, rather than let them wait for ever."""
        fault = None if task.cancelled() else task.exception()
        if fault is not None:
            self._is_closed = True
            message = f"the model manager failed: {type(fault).__name__}: {fault}"
            self._break_promises(EngineError("server_error", message, engine="rung"))

    def _promise(self) -> asyncio.Future[Any]:
        """A future that the owner answers, or that fails with the manager."""
        promise: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._promises.add(promise)
        promise.add_done_callback(self._promises.discard)
        return promise

    def _break_promises(self, error: EngineError) -> None:
        for promise in self._promises:
            answer(promise, copy_of(error, Key(error.engine, "")))


def _origin(engine: Engine, model: str) -> Origin:
    return Origin(engine=engine.name, base_url="", model=model)


def _answered(done: asyncio.Future[EngineError | None], failure: EngineError | None) -> None:
    if not done.done():
        done.set_result(failure)
