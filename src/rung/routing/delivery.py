"""How one call reaches its model: it waits for a lease, is sent, tried again, and learned from.

Every call goes this way; see `Calls`, which puts it on record.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

from msgspec.structs import replace

from rung.chat import (
    Cancellation,
    ChatRequest,
    Chunk,
    Completion,
    Flag,
    LoadedModel,
    LoadOptions,
)
from rung.config.settings import Settings
from rung.engines.base import Engine
from rung.engines.deadline import Deadline
from rung.engines.failure import Origin
from rung.errors import EngineError, EngineErrorKind
from rung.models.measured import Measurements
from rung.routing.capabilities import THINK_OMITTED, lessons, speeds
from rung.routing.context import is_truncated, seen_bytes_per_token
from rung.routing.models import RoutedModel
from rung.routing.prompt_fit import FittedRequest, PromptFit
from rung.routing.retry import Stop, next_try


class Lease(Protocol):
    """The right to use a loaded model; `loaded` is `None` where the engine loads by itself."""

    @property
    def loaded(self) -> LoadedModel | None: ...

    @property
    def queue_ms(self) -> float: ...

    @property
    def load_ms(self) -> float | None: ...


class Leases(Protocol):
    """Who loads models and shares them out: the model manager."""

    def lease(
        self,
        engine: Engine,
        model: str,
        options: LoadOptions,
        *,
        timeout_s: float | None = None,
        cancel: Cancellation | None = None,
    ) -> AbstractAsyncContextManager[Lease]: ...


@dataclass(frozen=True, kw_only=True)
class Try:
    """One failed try of a call, and how long it took."""

    kind: EngineErrorKind
    ms: float


@dataclass
class Trace:
    """What happened to one call on its way, for the record. Filled while it goes on."""

    tries: list[Try] = field(default_factory=list[Try])
    queue_ms: float | None = None
    load_ms: float | None = None

    def add(self, lease: Lease) -> None:
        """Count the waits of one more try."""
        self.queue_ms = (self.queue_ms or 0.0) + lease.queue_ms
        if lease.load_ms is not None:
            self.load_ms = (self.load_ms or 0.0) + lease.load_ms


class Delivery:
    """Carries calls to models. One instance serves all calls of a process.

    `leases` may be absent: engines then load by themselves. `report` hears how each call went,
    `None` for one that was answered.
    """

    def __init__(
        self,
        settings: Settings,
        measured: Measurements,
        leases: Leases | None = None,
        report: Callable[[Engine, EngineError | None], None] = lambda _engine, _failure: None,
    ) -> None:
        self._settings = settings
        self._measured = measured
        self._fit = PromptFit(settings, measured)
        self._leases = leases
        self._report = report

    async def stream(
        self, model: RoutedModel, request: ChatRequest, trace: Trace, *, has_others: bool = False
    ) -> AsyncGenerator[Chunk, None]:
        """The answer as it comes. Raises EngineError.

        A prompt that does not fit the model's window is refused before anything is loaded or sent.
        `request.timeout_s` bounds everything: waiting for the model, its load, and every try.
        `has_others`: the caller would rather ask another model than wait long for this one.
        """
        fitted = self._fit.prepare(model, request)
        origin = Origin(engine=model.engine.name, base_url="", model=model.info.id)
        deadline = Deadline(origin, request.timeout_s, request.cancel)
        has_begun = False
        try:
            while True:
                started = time.perf_counter()
                try:
                    async with aclosing(self._try(model, fitted, deadline, trace)) as chunks:
                        async for chunk in chunks:
                            has_begun = has_begun or bool(chunk.text or chunk.reasoning)
                            yield chunk
                    return
                except EngineError as error:
                    ms = (time.perf_counter() - started) * 1000
                    trace.tries.append(Try(kind=error.kind, ms=round(ms, 1)))
                    wait_s = self._wait_s(
                        model, error, trace, deadline, has_begun=has_begun, has_others=has_others
                    )
                await deadline.wait(asyncio.sleep(wait_s), "the call waited to be tried again")
        finally:
            deadline.close()

    def _wait_s(
        self,
        model: RoutedModel,
        error: EngineError,
        trace: Trace,
        deadline: Deadline,
        *,
        has_begun: bool,
        has_others: bool,
    ) -> float:
        """How long to wait for the next try; raises the error where there is none."""
        tried_ms = sum(item.ms for item in trace.tries)
        decision = next_try(
            error,
            failures=len(trace.tries),
            has_begun=has_begun,
            has_others=has_others,
            is_paid=not model.is_free,
            repeats_itself=model.engine.repeats_itself,
            waited_s=(deadline.elapsed_ms - tried_ms) / 1000,
            remaining_s=deadline.remaining_s,
            settings=self._settings.retry,
            random=random.random(),  # noqa: S311 (it spreads load and guards nothing)
        )
        if not isinstance(decision, Stop):
            return decision.wait_s
        self._report(model.engine, error)
        tried = f"tried {len(trace.tries)} times" if len(trace.tries) > 1 else ""
        why = "; ".join(filter(None, (tried, decision.why)))
        if why:
            raise _explained(error, why) from error
        raise error

    async def _try(
        self, model: RoutedModel, fitted: FittedRequest, deadline: Deadline, trace: Trace
    ) -> AsyncGenerator[Chunk, None]:
        async with self._lease(model, fitted, deadline.remaining_s) as lease:
            if lease is not None:
                trace.add(lease)
            fitted = await self._fit.finish(
                model, fitted, lease.loaded if lease else None, deadline
            )
            sent = replace(fitted.request, timeout_s=deadline.remaining_s)
            async with aclosing(model.engine.stream(sent)) as chunks:
                async for chunk in chunks:
                    if chunk.completion is None:
                        yield chunk
                        continue
                    done = _completed(chunk.completion, fitted, trace, deadline)
                    self._learn(model, fitted, done)
                    self._report(model.engine, None)
                    yield replace(chunk, completion=done)

    def _lease(
        self, model: RoutedModel, fitted: FittedRequest, timeout_s: float | None
    ) -> AbstractAsyncContextManager[Lease | None]:
        if self._leases is None:
            return nullcontext()
        return self._leases.lease(
            model.engine,
            model.info.id,
            fitted.options,
            timeout_s=timeout_s,
            cancel=fitted.request.cancel,
        )

    def _learn(self, model: RoutedModel, fitted: FittedRequest, completion: Completion) -> None:
        engine, model_id = model.engine.name, model.info.id
        numbers = speeds(completion)
        ratio = seen_bytes_per_token(fitted.size, completion.usage.tokens_in)
        if ratio is not None and "prompt_truncated" not in completion.flags:
            numbers["bytes_per_token"] = ratio
        self._measured.smooth(engine, model_id, **numbers)
        self._measured.learn(engine, model_id, **lessons(fitted.request, completion))


def _completed(
    completion: Completion, fitted: FittedRequest, trace: Trace, deadline: Deadline
) -> Completion:
    """The completion with the times of the whole call, and what was done on the way."""
    timings = completion.timings
    flags: list[Flag] = list(completion.flags)
    if is_truncated(fitted.size, fitted.exact, completion.usage.tokens_in, fitted.window):
        flags.append("prompt_truncated")
    if THINK_OMITTED in fitted.repairs:
        flags.append("thinking_not_switched")
    retried = [f"retried:{item.kind}" for item in trace.tries]
    return replace(
        completion,
        timings=replace(
            timings,
            queue_ms=timings.queue_ms if trace.queue_ms is None else trace.queue_ms,
            load_ms=timings.load_ms if trace.load_ms is None else trace.load_ms,
            total_ms=deadline.elapsed_ms,
        ),
        repairs=(*retried, *fitted.repairs, *completion.repairs),
        flags=tuple(dict.fromkeys(flags)),
    )


def _explained(error: EngineError, why: str) -> EngineError:
    """The error, with why it was not tried again."""
    return EngineError(
        error.kind,
        f"{error.message} ({why})",
        engine=error.engine,
        model=error.model,
        status=error.status,
        retry_after_s=error.retry_after_s,
        was_sent=error.was_sent,
    )
