"""Keeps the picture of what the engines hold fresh, for others load and unload there as well."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from rung.chat import LoadedModel
from rung.config.settings import Settings
from rung.engines.base import Engine
from rung.errors import EngineError, EngineErrorKind
from rung.models.lifecycle import memory
from rung.models.lifecycle.owner import Owner
from rung.models.lifecycle.requests import Request
from rung.models.lifecycle.work import EngineWork

# A call asks its engine again what is loaded when it was last asked longer ago.
FRESH_S = 2.0
AFTER_S = 0.5
# How long a call waits for its own engine to say so, and for others that share the memory.
OWN_TIMEOUT_S = 5.0
OTHERS_TIMEOUT_S = 1.0
# An engine that is only slow to say what it holds, or cannot say it, may answer all the same.
_MAY_STILL_SERVE: frozenset[EngineErrorKind] = frozenset({"timeout", "bad_request"})
_GPUS = "the GPUs of this machine"


class Looking:
    """Used by the owner's task only. An engine is asked at most once at a time."""

    def __init__(
        self, settings: Settings, owner: Owner, work: EngineWork, engines: Iterable[Engine]
    ) -> None:
        self._settings = settings
        self._owner = owner
        self._work = work
        self._known = [engine for engine in engines if engine.can_load]
        self._seen_at: dict[str, float] = {}
        self._asked: set[str] = set()
        self._heard_of: set[str] = set()
        self._has_measured = self._is_measured = False
        self._then: dict[str, list[Callable[[EngineError | None], None]]] = {}

    def before(self, request: Request) -> None:
        """Let the request wait until its engine has said what it holds, if it has not just.

        So have the others, once, where they share a budget that is not read from what is free.
        """
        if not self._is_fresh(request.engine.name):
            self._wait_for(request, request.engine, OWN_TIMEOUT_S)
        if not self._shares_machine(request.engine):
            return
        if not self._settings.memory.budget_gib:
            self._measure_vram(request)
        else:
            for other in self._known:
                is_new = other.name not in self._heard_of and other is not request.engine
                if is_new and self._shares_machine(other):
                    self._wait_for(request, other, OTHERS_TIMEOUT_S)

    def _measure_vram(self, request: Request) -> None:
        """Let the request wait until what the GPUs have free is known: asked once, for it is slow.

        Rung holds nothing then, so what it loads later need not be told from what others do.
        """
        if not self._has_measured:
            self._has_measured = True
            self._work.compute(memory.free_vram_bytes, self._measured)
        if not self._is_measured:
            request.unseen.add(_GPUS)

    def _measured(self, vram_bytes: int) -> None:
        self._is_measured = True
        self._owner.vram_bytes = vram_bytes
        for request in self._owner.requests:
            request.unseen.discard(_GPUS)

    def forget(self, engine: str) -> None:
        """A call to the engine failed: what it holds is to be asked again."""
        self._seen_at.pop(engine, None)

    def look(self, engine: Engine, timeout_s: float = OWN_TIMEOUT_S) -> None:
        """Ask the engine, unless it is being asked."""
        if engine.name not in self._asked:
            self._asked.add(engine.name)
            done = partial(self._seen, engine, time.monotonic())
            self._work.look(engine, timeout_s, done)

    def look_first(
        self,
        engine: Engine,
        then: Callable[[EngineError | None], None],
        timeout_s: float = OWN_TIMEOUT_S,
    ) -> None:
        """Do `then` once the engine has said what it holds, or failed to: it gets the failure."""
        self._then.setdefault(engine.name, []).append(then)
        self.look(engine, timeout_s)

    def after(self, engine: Engine) -> None:
        """A call is over: models are at their largest once they have answered."""
        if time.monotonic() - self._seen_at.get(engine.name, -math.inf) > AFTER_S:
            self.look(engine)

    def _wait_for(self, request: Request, engine: Engine, timeout_s: float) -> None:
        request.unseen.add(engine.name)
        self.look(engine, timeout_s)

    def _is_fresh(self, engine: str) -> bool:
        return time.monotonic() - self._seen_at.get(engine, -math.inf) < FRESH_S

    def _shares_machine(self, engine: Engine) -> bool:
        return memory.pool_of(self._settings, engine) == memory.MACHINE

    def _seen(
        self, engine: Engine, began_at: float, found: Sequence[LoadedModel] | EngineError
    ) -> None:
        self._asked.discard(engine.name)
        self._heard_of.add(engine.name)
        waiting = [r for r in self._owner.requests if engine.name in r.unseen]
        for request in waiting:
            request.unseen.discard(engine.name)
        if isinstance(found, EngineError):
            self._failed(engine, found, [r for r in waiting if r.engine.name == engine.name])
        else:
            self._seen_at[engine.name] = time.monotonic()
            self._owner.residents.seen(engine, began_at, found)
        for then in self._then.pop(engine.name, []):
            then(found if isinstance(found, EngineError) else None)

    def _failed(self, engine: Engine, failure: EngineError, waiting: Iterable[Request]) -> None:
        """It did not say. Its callers fail as well, unless it may serve them all the same."""
        if failure.kind == "timeout":
            return  # it is busy, and holds what it held
        if failure.kind == "unreachable":
            self._owner.residents.gone(engine.name)
        for request in waiting:
            if failure.kind == "bad_request" and not request.is_explicit:
                self._owner.requests.let_go(request)
            else:
                self._owner.requests.fail(request, failure)
