from __future__ import annotations

import asyncio
import socket
from typing import get_args

import pytest

from rung.config.settings import EngineKind
from rung.engines.discovery import default_ports, discover
from tests.fakes.profiles import Route
from tests.fakes.server import FakeServer

FOUND_BY_PORT: list[EngineKind] = ["lmstudio", "ollama", "vllm", "llamacpp"]


async def kinds_at(port: int) -> list[str]:
    """What every kind's signs make of one server, whatever its own port would be."""
    found = await asyncio.gather(*(discover({kind: port}) for kind in FOUND_BY_PORT))
    return [engine.name for engines in found for engine in engines]


def test_only_local_servers_are_looked_for() -> None:
    assert default_ports() == {"lmstudio": 1234, "ollama": 11434, "vllm": 8000, "llamacpp": 8080}
    assert set(FOUND_BY_PORT) < set(get_args(EngineKind))


@pytest.mark.parametrize("kind", [*FOUND_BY_PORT, "openai"])
async def test_an_engine_is_known_for_what_it_is_and_for_nothing_else(kind: str) -> None:
    async with FakeServer(kind) as server:
        assert await kinds_at(server.port) == ([kind] if kind in FOUND_BY_PORT else [])


@pytest.mark.parametrize("kind", ["lmstudio", "vllm", "llamacpp"])
async def test_an_engine_that_wants_a_key_is_still_known(kind: EngineKind) -> None:
    async with FakeServer(kind, api_key="secret") as server:
        public = {"lmstudio": "/lmstudio-greeting", "vllm": "/version", "llamacpp": "/health"}
        server.public_paths.add(public[kind])
        assert [engine.name for engine in await discover({kind: server.port})] == [kind]
        assert "Authorization" not in server.calls[0].headers


async def test_what_was_found_can_be_used() -> None:
    async with FakeServer("ollama") as server:
        (found,) = await discover({"ollama": server.port})
        assert (found.settings.kind, found.settings.base_url) == ("ollama", server.base_url)


@pytest.mark.parametrize(
    "content", ["", "<html></html>", {"status": "up"}, {"version": "1"}, {"error": "no"}, [1]]
)
async def test_any_other_server_is_left_alone(content: object) -> None:
    async with FakeServer() as server:
        server.routes.clear()
        server.profile = type(server.profile)(routes={}, unknown=Route(content=content))
        assert await kinds_at(server.port) == []


async def test_nothing_listening_finds_nothing() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert await kinds_at(taken.getsockname()[1]) == []


async def test_a_server_that_never_answers_does_not_hold_the_others_up() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        async with FakeServer("ollama") as server:
            ports: dict[EngineKind, int] = {
                "vllm": silent.getsockname()[1],
                "lmstudio": silent.getsockname()[1],
                "ollama": server.port,
            }
            found = await discover(ports, timeout_s=0.3)
            assert [engine.name for engine in found] == ["ollama"]
