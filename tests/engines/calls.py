"""What the tests of engines share: a short request, and ways to wait for something."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from rung.chat import ChatRequest, Completion, Message
from rung.engines.base import Engine
from rung.errors import EngineError
from tests.fakes.server import MODEL


def ask(prompt: str = "hi", **parts: Any) -> ChatRequest:
    """A request with one user turn."""
    fields = {"model": MODEL, "messages": (Message(role="user", content=prompt),), **parts}
    return ChatRequest(**fields)


async def failure_of(work: Awaitable[object]) -> EngineError:
    """The `EngineError` that `work` must end with."""
    with pytest.raises(EngineError) as raised:
        await work
    return raised.value


async def last_of(engine: Engine, request: ChatRequest) -> tuple[str, str, Completion]:
    """Text and reasoning of all chunks, and the completion that only the last may carry."""
    text, reasoning, completion = "", "", None
    async for chunk in engine.stream(request):
        assert completion is None
        text, reasoning = text + chunk.text, reasoning + chunk.reasoning
        completion = chunk.completion
    assert completion is not None
    return text, reasoning, completion


async def until(holds: Callable[[], bool], within_s: float = 20.0) -> None:
    """Waits until `holds()`, looking often; fails when it takes too long."""
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.005)
