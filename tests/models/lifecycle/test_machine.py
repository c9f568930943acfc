"""The manager under every order of events that hypothesis thinks of."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rung.chat import LoadedModel, LoadOptions
from rung.errors import EngineError, EngineErrorKind
from rung.models.lifecycle import looking
from tests.models.lifecycle.scripted import ScriptedEngine, manager_of

SIZES = {"a": 4.0, "b": 6.0, "c": 9.0, "d": 3.0}
BUDGET_GIB = 12.0
CONTEXTS = st.sampled_from([None, 1, 2])
MODELS = st.sampled_from(sorted(SIZES))


@dataclass
class Operation:
    """A load or an unload that waits for the test to say how it ends."""

    what: str
    model: str
    outcome: asyncio.Future[EngineErrorKind | None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class GatedEngine(ScriptedEngine):
    """Each load and unload ends when, and as, the test says."""

    def __init__(self) -> None:
        super().__init__(SIZES)
        self.pending: list[Operation] = []

    async def load(
        self,
        model: str,
        options: LoadOptions,
        on_progress: Callable[[float], None] | None = None,
    ) -> LoadedModel:
        assert not [op for op in self.pending if op.model == model], "one at a time per model"
        coming = sum(self.sizes[op.model] for op in self.pending if op.what == "load")
        assert self.used + coming + self.sizes[model] <= BUDGET_GIB, "never over budget"
        await self._wait("load", model)
        return await super().load(model, options, on_progress)

    async def unload(self, model: str) -> None:
        await self._wait("unload", model)
        await super().unload(model)

    async def _wait(self, what: str, model: str) -> None:
        operation = Operation(what, model)
        self.pending.append(operation)
        try:
            kind = await operation.outcome
        finally:
            self.pending.remove(operation)
        if kind is not None:
            raise self._error(kind, model)


@dataclass
class Caller:
    """Somebody who takes a lease and holds it until told to end."""

    model: str
    options: LoadOptions
    task: asyncio.Task[None] | None = None
    end: asyncio.Event = field(default_factory=asyncio.Event)
    has_lease: bool = False


class Lifecycle(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.engine: GatedEngine
        self.callers: list[Caller] = []
        self.unloads: list[asyncio.Task[bool]] = []
        self.faults: list[str] = []
        self.do(self._start)

    async def _start(self) -> None:
        self.engine = GatedEngine()
        folder = Path(tempfile.mkdtemp(dir=BASE))
        self.manager = manager_of(folder, self.engine, budget_gib=BUDGET_GIB)

    def do(self, work: Callable[[], object]) -> None:
        """Start `work`, and let everything happen that can happen by itself."""

        async def run() -> None:
            started = work()
            if asyncio.iscoroutine(started):
                await started
            for _ in range(40):
                await asyncio.sleep(0)

        self.loop.run_until_complete(run())

    @rule(model=MODELS, context=CONTEXTS)
    def ask(self, model: str, context: int | None) -> None:
        async def begin() -> None:
            caller = Caller(model, LoadOptions(context_tokens=context))
            caller.task = asyncio.create_task(self._call(caller))
            self.callers.append(caller)

        self.do(begin)

    async def _call(self, caller: Caller) -> None:
        try:
            async with self.manager.lease(self.engine, caller.model, caller.options):
                caller.has_lease = True
                await caller.end.wait()
        except EngineError as error:
            if error.kind == "server_error" and "scripted" not in error.message:
                self.faults.append(error.message)
        finally:
            caller.has_lease = False

    @precondition(lambda self: any(caller.has_lease for caller in self.callers))
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        holding = [caller for caller in self.callers if caller.has_lease]
        self.do(data.draw(st.sampled_from(holding)).end.set)
        self._forget_the_done()

    @precondition(lambda self: self.callers)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        caller = data.draw(st.sampled_from(self.callers))
        assert caller.task is not None
        self.do(caller.task.cancel)
        self._forget_the_done()

    @precondition(lambda self: self.engine.pending)
    @rule(data=st.data(), kind=st.sampled_from([None, None, "out_of_memory", "server_error"]))
    def finish(self, data: st.DataObject, kind: EngineErrorKind | None) -> None:
        operation = data.draw(st.sampled_from(self.engine.pending))
        self.do(lambda: operation.outcome.set_result(kind))
        self._forget_the_done()

    @rule(model=MODELS, force=st.booleans())
    def unload(self, model: str, force: bool) -> None:
        if force and any(c.has_lease for c in self.callers if c.model == model):
            return  # that ends leases, which the invariants forbid

        async def begin() -> None:
            work = self.manager.unload(self.engine, model, force=force)
            self.unloads.append(asyncio.create_task(work))

        self.do(begin)

    @rule(model=MODELS)
    def lose(self, model: str) -> None:
        is_leased = any(c.has_lease for c in self.callers if c.model == model)
        is_moving = any(op.model == model for op in self.engine.pending)
        if model in self.engine.memory and not is_leased and not is_moving:
            self.engine.lose(model)

    def _forget_the_done(self) -> None:
        self.callers = [c for c in self.callers if c.task is not None and not c.task.done()]

    @invariant()
    def leased_models_are_in_memory_as_they_were_wanted(self) -> None:
        for caller in self.callers:
            if caller.has_lease:
                loaded = self.engine.memory[caller.model]
                wanted = caller.options.context_tokens
                assert wanted is None or loaded.context_tokens == wanted
                assert not [op for op in self.engine.pending if op.model == caller.model]

    @invariant()
    def nothing_went_wrong(self) -> None:
        assert self.faults == []

    def teardown(self) -> None:
        """Once everything goes well, everybody is answered: nobody is lost, nothing is stuck."""
        for _ in range(200):
            self._forget_the_done()
            if not self.callers and not self.engine.pending:
                break
            for operation in self.engine.pending[:1]:
                self.do(lambda op=operation: op.outcome.set_result(None))
            for caller in [c for c in self.callers if c.has_lease]:
                self.do(caller.end.set)
            self.leased_models_are_in_memory_as_they_were_wanted()
        assert self.callers == []
        assert self.faults == []
        assert all(not row.leases and not row.waiting for row in self.manager.snapshot())
        assert all(task.done() for task in self.unloads)
        for task in self.unloads:
            with suppress(EngineError):
                task.result()
        self.do(self.manager.close)
        self.loop.close()


BASE = ""
TestLifecycle = Lifecycle.TestCase
TestLifecycle.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.fixture(autouse=True)
def always_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "FRESH_S", 0.0)
    monkeypatch.setattr("tests.models.lifecycle.test_machine.BASE", str(tmp_path))
