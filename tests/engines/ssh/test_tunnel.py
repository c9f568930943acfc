"""Engines on another machine, through a real SSH server."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rung.chat import ChatRequest, Message
from rung.config.settings import EngineSettings, Settings
from rung.engines.build import build_engine
from rung.engines.http_engine import HttpEngine
from rung.engines.ssh import tunnel
from rung.engines.ssh.tunnel import (
    FIRST_WAIT_S,
    LONGEST_WAIT_S,
    OPEN_TIMEOUT_S,
    ssh_command,
    wait_s,
)
from rung.engines.ssh.url import parse_ssh_url
from rung.errors import EngineError
from rung.routing.look import bounded_health, look
from rung.routing.router import Router
from tests.engines.ssh.sshd import Sshd, needs_sshd
from tests.fakes.server import FakeServer, Reply, answer

REQUEST = ChatRequest(model="tiny-1b", messages=(Message(role="user", content="Hi"),))


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    server = Sshd(tmp_path)
    server.start()
    yield server
    server.stop()


@asynccontextmanager
async def reached(sshd: Sshd, server: FakeServer, **client: str) -> AsyncIterator[HttpEngine]:
    settings = server.settings(
        kind="openai", base_url=sshd.url(server.port), ssh_config=sshd.client_config(**client)
    )
    async with build_engine("mini", settings) as engine:
        yield engine


async def until_up(engine: HttpEngine) -> None:
    while not (health := await engine.health()).tunnel or not health.tunnel.ok:
        await asyncio.sleep(0.02)


def pid_of(engine: HttpEngine) -> int:
    assert engine._tunnel is not None
    assert engine._tunnel.pid is not None
    return engine._tunnel.pid


async def failed_call(engine: HttpEngine) -> EngineError:
    with pytest.raises(EngineError) as caught:
        await engine.complete(REQUEST)
    return caught.value


@needs_sshd
async def test_an_engine_behind_ssh_answers_and_lists(sshd: Sshd) -> None:
    async with FakeServer("openai", ["Hello there"]) as server, reached(sshd, server) as engine:
        assert engine.locality == "lan"
        completion = await engine.complete(REQUEST)
        models = await engine.list_models()
        health = await engine.health("tiny-1b")
    assert completion.text == "Hello there"
    assert [model.id for model in models] == ["tiny-1b"]
    assert health.tunnel is not None
    assert (health.tunnel.ok, health.reachable.ok, health.listed.ok) == (True, True, True)


@needs_sshd
async def test_many_calls_share_one_tunnel_and_closing_ends_it(sshd: Sshd) -> None:
    async with FakeServer("openai", ["Hello"]) as server:
        async with reached(sshd, server) as engine:
            await asyncio.gather(*(engine.complete(REQUEST) for _ in range(8)))
            pid = pid_of(engine)
            assert len(server.chats) == 8
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@needs_sshd
async def test_a_caller_who_leaves_stops_the_engine_behind_the_tunnel(sshd: Sshd) -> None:
    script = [Reply(text="word " * 50, stall_after=10)]
    async with FakeServer("openai", script) as server, reached(sshd, server) as engine:
        stream = engine.stream(REQUEST)
        await anext(stream)
        await stream.aclose()
        await asyncio.wait_for(server.chats[0].is_dropped.wait(), 20)


@needs_sshd
async def test_a_broken_tunnel_is_opened_again(sshd: Sshd) -> None:
    async with FakeServer("openai", ["Hello"]) as server, reached(sshd, server) as engine:
        await engine.complete(REQUEST)
        first = pid_of(engine)
        os.kill(first, signal.SIGKILL)
        while engine._tunnel is not None and engine._tunnel.pid == first:
            await asyncio.sleep(0.01)
        await until_up(engine)
        assert (await engine.complete(REQUEST)).text == "Hello"


@needs_sshd
async def test_a_machine_that_went_away_fails_at_once_and_comes_back(sshd: Sshd) -> None:
    async with FakeServer("openai", ["Hello"]) as server, reached(sshd, server) as engine:
        await engine.complete(REQUEST)
        sshd.stop()
        while (health := await engine.health()).tunnel is None or health.tunnel.ok:
            await asyncio.sleep(0.02)
        assert health.reachable.ok is False
        failure = await failed_call(engine)
        assert failure.kind == "unreachable"
        assert failure.retry_after_s is not None
        assert "is down" in failure.message
        while "SSH enabled" not in failure.message:  # the next try finds nobody there
            await asyncio.sleep(0.02)
            failure = await failed_call(engine)
        sshd.start()
        await until_up(engine)
        assert (await engine.complete(REQUEST)).text == "Hello"


@needs_sshd
@pytest.mark.parametrize(
    ("client", "advice"),
    [({"key": "stranger_key"}, "add your key"), ({"known_hosts": "empty"}, "log in once by hand")],
)
async def test_a_refused_login_says_what_to_do(
    sshd: Sshd, client: dict[str, str], advice: str
) -> None:
    async with FakeServer("openai") as server, reached(sshd, server, **client) as engine:
        with pytest.raises(EngineError, match=advice) as caught:
            await engine.complete(REQUEST)
        health = await engine.health()
    assert caught.value.kind == "unreachable"
    assert health.tunnel is not None
    assert health.tunnel.ok is False


@needs_sshd
async def test_a_tunnel_to_a_dead_engine_is_told_from_a_dead_tunnel(sshd: Sshd) -> None:
    async with FakeServer("openai") as server, reached(sshd, server) as engine:
        await server.stop()
        with pytest.raises(EngineError) as caught:
            await engine.complete(REQUEST)
        health = await engine.health()
    assert caught.value.kind == "unreachable"
    assert health.tunnel is not None
    assert (health.tunnel.ok, health.reachable.ok) == (True, False)


@needs_sshd
async def test_waiting_for_a_tunnel_ends_with_the_calls_own_time(tmp_path: Path) -> None:
    silent = await asyncio.start_server(lambda *_: asyncio.Event().wait(), "127.0.0.1", 0)
    sshd = Sshd(tmp_path)
    sshd.port = silent.sockets[0].getsockname()[1]
    async with FakeServer("openai", [answer("x")]) as server, reached(sshd, server) as engine:
        request = ChatRequest(model="m", messages=REQUEST.messages, timeout_s=0.2)
        with pytest.raises(EngineError, match="tunnel was being opened") as caught:
            await engine.complete(request)
    silent.close()
    assert caught.value.kind == "timeout"


OWNER = """
import asyncio, sys
from rung.config.settings import EngineSettings
from rung.engines.build import build_engine

async def main():
    settings = EngineSettings(kind="openai", base_url=sys.argv[1], ssh_config=sys.argv[2])
    engine = build_engine("mini", settings)
    await engine.list_models()
    print(engine._tunnel.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@needs_sshd
async def test_ssh_does_not_outlive_a_killed_owner(sshd: Sshd) -> None:
    async with FakeServer("openai") as server:
        owner = await asyncio.create_subprocess_exec(
            sys.executable, "-c", OWNER, sshd.url(server.port), sshd.client_config(),
            stdout=subprocess.PIPE,
        )  # fmt: skip
        assert owner.stdout is not None
        pid = int(await owner.stdout.readline())
        owner.kill()
        await owner.wait()
        while _is_running(pid):
            await asyncio.sleep(0.02)


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@needs_sshd
async def test_the_login_is_not_counted_as_the_engines_own_time(
    sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rung.routing.look.LOOK_TIMEOUT_S", 0.01)
    async with FakeServer("openai") as server, reached(sshd, server) as engine:
        assert engine.opening_s == OPEN_TIMEOUT_S
        reply = await engine._connection.get("models", 0.01)
        assert (reply.status, engine.opening_s) == (200, 0.0)
    async with FakeServer("openai") as server, reached(sshd, server) as engine:
        assert (await look(engine, None)).failure is None
    async with FakeServer("openai") as server, reached(sshd, server) as engine:
        assert (await bounded_health(engine, None)).reachable.ok


async def test_a_login_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnel, "OPEN_TIMEOUT_S", 0.2)
    monkeypatch.setattr(tunnel, "ssh_command", lambda *_: ["sleep", "600"])
    settings = EngineSettings(kind="openai", base_url="ssh://me@mini/1234")
    async with build_engine("mini", settings) as engine:
        failure = await failed_call(engine)
        assert (failure.kind, "login timed out" in failure.message) == ("unreachable", True)
        assert engine.opening_s == 0.0, "it waits for its next try, and nobody waits with it"


async def test_who_asks_for_all_models_waits_for_no_tunnel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rung.routing.look.LOOK_TIMEOUT_S", 0.1)
    monkeypatch.setattr(tunnel, "ssh_command", lambda *_: ["sleep", "600"])
    mini = EngineSettings(kind="openai", base_url="ssh://me@mini/1234")
    settings = Settings(engines={"mini": mini})
    async with build_engine("mini", mini) as engine:
        router = Router(settings, [engine])
        async with asyncio.timeout(OPEN_TIMEOUT_S / 2):
            (listing,) = await router.listings()
        await router.close()
    assert (listing.models, "being opened" in (listing.error or "")) == ((), True)


@needs_sshd
async def test_engines_of_one_machine_do_not_disturb_each_other(sshd: Sshd) -> None:
    async with (
        FakeServer("openai", ["one"]) as first,
        FakeServer("openai", ["two"]) as second,
        reached(sshd, first) as one,
        reached(sshd, second) as two,
    ):
        done = await asyncio.gather(one.complete(REQUEST), two.complete(REQUEST))
        assert [completion.text for completion in done] == ["one", "two"]
        os.kill(pid_of(one), signal.SIGKILL)
        assert (await two.complete(REQUEST)).text == "two"


def test_waits_grow_and_are_bounded() -> None:
    waits = [wait_s(failures, 0.999) for failures in range(1, 40)]
    assert waits == sorted(waits)
    assert wait_s(1, 0.0) == FIRST_WAIT_S / 2
    assert max(waits) <= LONGEST_WAIT_S


def test_a_configuration_file_may_lie_in_the_home_folder(tmp_path: Path) -> None:
    url = parse_ssh_url("ssh://me@studio/1234/v1", "http://127.0.0.1:1234/v1")
    command = ssh_command(url, tmp_path / "socket", "~/studio.conf")
    assert command[command.index("-F") + 1] == str(Path.home() / "studio.conf")
