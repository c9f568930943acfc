"""The callers that wait: for a lease of a model, or for a model to be unloaded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from rung.chat import LoadOptions
from rung.engines.base import Engine
from rung.errors import EngineError
from rung.models.lifecycle.lease import Lease
from rung.models.lifecycle.state import Key, Waiter

T = TypeVar("T")


@dataclass(kw_only=True)
class Request:
    """A caller that waits for `lease`. `unseen`: engines that have yet to say what they hold."""

    waiter: Waiter
    engine: Engine
    options: LoadOptions
    lease: asyncio.Future[Lease]
    on_progress: Callable[[float], None] | None = None
    is_explicit: bool = False
    unseen: set[str] = field(default_factory=set[str])
    load_ms: float | None = None

    @property
    def ticket(self) -> int:
        return self.waiter.ticket

    @property
    def key(self) -> Key:
        return self.waiter.key

    @property
    def waited_ms(self) -> float:
        return (time.monotonic() - self.waiter.arrived_at) * 1000


@dataclass(kw_only=True)
class Unloading:
    """Somebody who asked for a model to be unloaded; `done` tells whether it was there."""

    ticket: int
    done: asyncio.Future[bool]


class Requests:
    """Those that wait for leases, oldest first. Read by anybody, changed by the owner only."""

    def __init__(self) -> None:
        self._requests: dict[int, Request] = {}

    def __iter__(self) -> Iterator[Request]:
        """Those that wait now; they may be answered on the way."""
        return iter(list(self._requests.values()))

    def __getitem__(self, ticket: int) -> Request:
        return self._requests[ticket]

    def get(self, ticket: int) -> Request | None:
        return self._requests.get(ticket)

    def add(self, request: Request) -> None:
        self._requests[request.ticket] = request

    def pop(self, ticket: int) -> Request | None:
        return self._requests.pop(ticket, None)

    def of(self, key: Key) -> list[Request]:
        return [request for request in self if request.key == key]

    def let_go(self, request: Request) -> None:
        """The engine loads by itself, and cannot say what: its callers need not wait for it."""
        del self._requests[request.ticket]
        answer(request.lease, Lease(queue_ms=request.waited_ms))

    def fail(self, request: Request, error: EngineError) -> None:
        """The caller cannot be served."""
        del self._requests[request.ticket]
        answer(request.lease, copy_of(error, request.key))


def answer(future: asyncio.Future[T], value: T | EngineError) -> None:
    """Tell somebody who may have gone meanwhile."""
    if future.done():
        return
    if isinstance(value, EngineError):
        future.set_exception(value)
    else:
        future.set_result(value)


def copy_of(error: EngineError, key: Key) -> EngineError:
    """The error for one more caller: one that is raised twice gathers a wrong traceback."""
    return EngineError(
        error.kind,
        error.message,
        engine=key.engine,
        model=key.model or None,
        status=error.status,
        retry_after_s=error.retry_after_s,
    )
