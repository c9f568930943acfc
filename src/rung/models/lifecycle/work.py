"""The slow work of engines, each piece in a task of its own that tells the owner how it went."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, TypeVar

from rung.chat import LoadedModel, LoadOptions
from rung.engines.base import Engine
from rung.errors import EngineError

T = TypeVar("T")
Message = Callable[[], None]


class EngineWork:
    """`tell` takes what the owner is to do with a result. A result is a value or an error."""

    def __init__(self, tell: Callable[[Message], None]) -> None:
        self._tell = tell
        self._tasks: set[asyncio.Task[None]] = set()

    def load(
        self,
        engine: Engine,
        model: str,
        options: LoadOptions,
        on_progress: Callable[[float], None],
        done: Callable[[LoadedModel | EngineError], None],
    ) -> None:
        self._start(self._finish(engine, engine.load(model, options, on_progress), done))

    def unload(
        self, engine: Engine, model: str, done: Callable[[EngineError | None], None]
    ) -> None:
        self._start(self._finish(engine, engine.unload(model), done))

    def look(
        self,
        engine: Engine,
        timeout_s: float,
        done: Callable[[Sequence[LoadedModel] | EngineError], None],
    ) -> None:
        self._start(self._finish(engine, _within(engine, timeout_s), done))

    def compute(self, measure: Callable[[], int], done: Callable[[int], None]) -> None:
        """Call `measure`, which blocks, in a thread. It raises nothing."""

        async def run() -> None:
            self._tell(partial(done, await asyncio.to_thread(measure)))

        self._start(run())

    def aside(self, block: Callable[[], None]) -> None:
        """Do what blocks, and raises nothing, in a thread; nobody waits for it."""

        async def run() -> None:
            await asyncio.to_thread(block)

        self._start(run())

    async def close(self) -> None:
        """Ends what is under way. A load that is cancelled leaves nothing in memory."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finish(
        self, engine: Engine, work: Awaitable[T], done: Callable[[T | EngineError], None]
    ) -> None:
        try:
            result: T | EngineError = await work
        except EngineError as error:
            result = error
        except Exception as error:  # noqa: BLE001
            # A fault in an adapter must not leave its callers waiting for ever: they get it.
            result = EngineError(
                "server_error", f"{type(error).__name__}: {error}", engine=engine.name
            )
        self._tell(partial(done, result))


async def _within(engine: Engine, timeout_s: float) -> Sequence[LoadedModel]:
    try:
        async with asyncio.timeout(timeout_s):
            return await engine.loaded()
    except TimeoutError:
        raise EngineError(
            "timeout",
            f"it did not say within {timeout_s:g} s what it has loaded",
            engine=engine.name,
        ) from None
