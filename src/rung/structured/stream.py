"""An object while it is being made: views of it as it grows, then the completion to believe."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

from rung.chat import Chunk, Completion
from rung.structured.partial import PartialObject
from rung.structured.turns import CONTINUED, ITEMS


class Watch:
    """Is told what a model says, and has it ready as chunks for whoever looks."""

    def __init__(self) -> None:
        self.has_news = asyncio.Event()
        self._partial = PartialObject()
        self._is_partial_shown = True
        self._has_grown = False
        self._said: list[Chunk] = []

    def on_text(self, text: str) -> None:
        if self._is_partial_shown and self._partial.feed(text):
            self._has_grown = True
            self.has_news.set()

    def on_reasoning(self, text: str) -> None:
        if self._said and self._said[-1].reasoning:
            text = self._said.pop().reasoning + text
        self._said.append(Chunk(reasoning=text))
        self.has_news.set()

    def on_turn(self, name: str) -> None:
        """Before each further call to the model, with its name in `repairs`."""
        self._said.append(Chunk(step=name))
        self.has_news.set()
        # A list's missing items come alone: they are no view of the object.
        self._is_partial_shown = name != ITEMS
        if name not in (CONTINUED, ITEMS):
            self._partial = PartialObject()
            self._has_grown = False

    def news(self) -> list[Chunk]:
        """What has come since the last look; of views, the last one."""
        self.has_news.clear()
        chunks, self._said = self._said, []
        view = self._partial.view() if self._has_grown else None
        self._has_grown = False
        return [*chunks, Chunk(partial=view)] if isinstance(view, dict | list) else chunks


Work = Callable[[Watch], Awaitable[Completion]]


async def stream_object(work: Work) -> AsyncGenerator[Chunk, None]:
    """Chunks with a `partial` view, each of the object so far; the last has the completion.

    `work` makes the object and tells what comes. Between the views stand chunks with the model's
    `reasoning`, and one with a `step` before each further call; a step that asks anew begins a new
    object. The completion's `repairs` names the steps, and its `parsed` is what counts. Views that
    come faster than they are taken are skipped, but for the last. Closing the stream cancels the
    work. Raises what it raises.
    """
    watch = Watch()
    task = asyncio.ensure_future(work(watch))
    task.add_done_callback(lambda _: watch.has_news.set())
    try:
        is_done = False
        while not is_done:
            await watch.has_news.wait()
            is_done = task.done()
            for chunk in watch.news():
                yield chunk
        completion = await task
        yield Chunk(text=completion.text, completion=completion)
    finally:
        task.cancel()
        await asyncio.wait([task])
