"""An object while it is being made: views of it as it grows, then the completion to believe."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

from rung.chat import Chunk, Completion
from rung.structured.complete import OnTurn
from rung.structured.partial import PartialObject
from rung.structured.turns import CONTINUED, ITEMS

OnText = Callable[[str], None]
Work = Callable[[OnText, OnTurn], Awaitable[Completion]]


async def stream_object(work: Work) -> AsyncGenerator[Chunk, None]:
    """Chunks with a `partial` view, each of the object so far; the last has the completion.

    `work` makes the object: it calls the first function with each piece of text that comes, the
    second before each further call to the model. A further call that asks anew begins a new object;
    the completion's `repairs` names it, and its `parsed` is what counts. Views that come faster
    than they are taken are skipped. Closing the stream cancels the work. Raises what it raises.
    """
    views = _Views()
    task = asyncio.ensure_future(work(views.on_text, views.on_turn))
    task.add_done_callback(lambda _: views.changed.set())
    try:
        while not task.done():
            await views.changed.wait()
            views.changed.clear()
            view = None if task.done() else views.partial.view()
            if isinstance(view, dict | list):
                yield Chunk(partial=view)
        completion = await task
        yield Chunk(text=completion.text, completion=completion)
    finally:
        task.cancel()
        await asyncio.wait([task])


class _Views:
    """What can be seen of the object that is being made."""

    def __init__(self) -> None:
        self.partial = PartialObject()
        self.changed = asyncio.Event()
        self._is_shown = True

    def on_text(self, text: str) -> None:
        if self._is_shown and self.partial.feed(text):
            self.changed.set()

    def on_turn(self, name: str) -> None:
        # A list's missing items come alone: they are no view of the object.
        self._is_shown = name != ITEMS
        if name not in (CONTINUED, ITEMS):
            self.partial = PartialObject()
