"""Pulls of Ollama's: layers that take turns, stay on disk when they are broken off, and go on."""

from __future__ import annotations

import asyncio
import dataclasses

from aiohttp import web

from tests.fakes.ollama_lines import line


@dataclasses.dataclass
class Pulls:
    """`registry` is what can be pulled: layers by digest, in bytes; `fetched` what is on disk.

    After `stop_after` steps a pull does `then`: fail, stall, drop or end.
    """

    registry: dict[str, dict[str, int]] = dataclasses.field(
        default_factory=dict[str, dict[str, int]]
    )
    fetched: dict[str, int] = dataclasses.field(default_factory=dict[str, int])
    sent_bytes: int = 0
    step_bytes: int = 100
    stop_after: int | None = None
    then: str = "fail"


async def pull(pulls: Pulls, name: str, request: web.Request, response: web.StreamResponse) -> bool:
    """Whether the model is there now."""
    await response.write(line(status="pulling manifest"))
    layers = pulls.registry.get(name)
    if layers is None:
        await response.write(line(error="pull model manifest: file does not exist"))
        return False
    steps = 0
    while any(pulls.fetched.get(digest, 0) < size for digest, size in layers.items()):
        for digest, size in layers.items():
            if steps == pulls.stop_after:
                await _misbehave(pulls, request, response, layers)
                return False
            steps += 1
            await response.write(_step(pulls, digest, size))
            await asyncio.sleep(0)
    for status in ("verifying sha256 digest", "writing manifest", "success"):
        await response.write(line(status=status))
    return True


def _step(pulls: Pulls, digest: str, size: int) -> bytes:
    """A layer's next bytes; the first line of one that is new does not tell any."""
    before = pulls.fetched.get(digest)
    fields = {"status": f"pulling {digest[7:19]}", "digest": digest, "total": size}
    if before is None:
        pulls.fetched[digest] = 0
        return line(**fields)
    after = min(size, before + pulls.step_bytes)
    pulls.sent_bytes += after - before
    pulls.fetched[digest] = after
    return line(**fields, completed=after)


async def _misbehave(
    pulls: Pulls, request: web.Request, response: web.StreamResponse, layers: dict[str, int]
) -> None:
    match pulls.then:
        case "fail":
            await response.write(line(error="max retries exceeded: unexpected EOF"))
        case "drop":
            assert request.transport is not None
            request.transport.abort()
        case "stall":
            # As Ollama does: the same figures again and again.
            while True:
                for digest, size in layers.items():
                    done = pulls.fetched.get(digest, 0)
                    fields = {"digest": digest, "total": size, "completed": done}
                    await response.write(line(status=f"pulling {digest[7:19]}", **fields))
                    await asyncio.sleep(0.005)
        case _:
            pass
