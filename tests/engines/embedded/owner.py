"""A program that owns an embedded engine, to be killed or interrupted by a test.

    python owner.py GGUF

It prints `child PID` as soon as there is one, `token` with the first of a long answer, and `closed`
once it has ended the engine in its own way.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

from rung.chat import ChatRequest, Message
from rung.config.settings import EmbeddedSettings
from rung.engines.embedded.engine import EmbeddedEngine


def say(line: str) -> None:
    print(line, flush=True)


async def announce_child(engine: EmbeddedEngine) -> None:
    while not engine.pids:
        await asyncio.sleep(0.001)
    say(f"child {engine.pids['m']}")


async def main() -> None:
    prompt = (Message(role="user", content="Count to a thousand."),)
    request = ChatRequest(model="m", messages=prompt, max_tokens=4000)
    engine = EmbeddedEngine(EmbeddedSettings(), lambda _: Path(sys.argv[1]), list)
    announcing = asyncio.create_task(announce_child(engine))
    try:
        while True:
            async for _ in engine.stream(request):
                say("token")
    finally:
        await engine.close()
        await announcing
        say("closed")


with suppress(KeyboardInterrupt):
    asyncio.run(main())
