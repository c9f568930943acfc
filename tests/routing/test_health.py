"""Health asks only whom it may, spends nothing, and is well only if what the user chose is."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from rung.chat import Health, Level
from rung.config.settings import EngineSettings, ModelSettings, Settings
from rung.engines.openai_compatible import OpenAICompatibleEngine
from rung.health import models_health
from rung.routing.router import Router
from tests.fakes.server import MODEL, FakeServer

DEAD = EngineSettings(base_url="http://127.0.0.1:9/v1", locality="local")
PAID = "not probed: it is paid"


def known(engines: dict[str, EngineSettings], **settings: object) -> tuple[Settings, Router]:
    built = [OpenAICompatibleEngine(name, engine) for name, engine in engines.items()]
    whole = Settings(engines=engines, **settings)  # type: ignore[arg-type]
    return whole, Router(whole, built)


async def test_local_only_contacts_no_engine_of_another_machine() -> None:
    async with FakeServer("openai") as near, FakeServer("openai") as far:
        engines = {
            "near": near.settings(locality="local"),
            "lan": far.settings(locality="lan", model="absent"),
            "far": far.settings(locality="cloud"),
        }
        report = await models_health(*known(engines, local_only=True), probe=True)
        assert far.calls == []
    assert (report["ok"], report["mode"]) == (True, "lm_ready")
    assert "local_only" in report["details"]["lan"]["reachable"]["error"]
    assert report["details"]["far"]["reachable"]["ok"] is None


async def test_only_engines_that_are_kept_out_are_as_none() -> None:
    async with FakeServer("openai") as far:
        engines = {"far": far.settings(locality="cloud")}
        report = await models_health(*known(engines, local_only=True))
    assert (report["ok"], report["mode"]) == (False, "lm_off")


async def test_a_probe_asks_a_free_model_and_never_a_paid_one_or_one_of_unknown_price() -> None:
    async with AsyncExitStack() as stack:
        servers = {
            name: await stack.enter_async_context(FakeServer("openai"))
            for name in ("paid", "unknown", "free", "local")
        }
        engines = {
            name: server.settings(locality="local" if name == "local" else "cloud", model=MODEL)
            for name, server in servers.items()
        }
        prices = {
            f"paid/{MODEL}": ModelSettings(usd_per_mtok_in=1, usd_per_mtok_out=1),
            f"free/{MODEL}": ModelSettings(usd_per_mtok_in=0, usd_per_mtok_out=0),
        }
        report = await models_health(*known(engines, models=prices), probe=True)
        asked = {name: len(server.chats) for name, server in servers.items()}
    assert asked == {"paid": 0, "unknown": 0, "free": 1, "local": 1}
    probed = {name: levels["probed"] for name, levels in report["details"].items()}
    assert [(probed[n]["ok"], probed[n]["error"]) for n in ("paid", "unknown")] == [
        (None, PAID)
    ] * 2
    assert probed["free"]["ok"] is True
    assert report["ok"] is True


async def test_a_chosen_model_that_is_not_ready_is_not_made_up_for_by_others() -> None:
    async with FakeServer("openai") as server:
        live = server.settings(locality="local")
        chosen = await models_health(*known({"live": live, "dead": DEAD.replaced(model="x")}))
        not_chosen = await models_health(*known({"live": live, "dead": DEAD}))
    assert (chosen["ok"], chosen["mode"]) == (False, "error")
    assert (not_chosen["ok"], not_chosen["mode"]) == (True, "lm_ready")


class Meeting(OpenAICompatibleEngine):
    """Answers only when the others are being asked as well."""

    def __init__(self, name: str, everybody: asyncio.Barrier) -> None:
        super().__init__(name, DEAD)
        self.everybody = everybody

    async def health(self, model: str | None = None, *, probe: bool = False) -> Health:
        await self.everybody.wait()
        return Health(reachable=Level(ok=True))


async def test_health_is_served_from_memory_and_looked_up_behind_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rung.routing.router.HEALTH_FRESH_S", 0.0)
    monkeypatch.setattr("rung.routing.look.LOOK_TIMEOUT_S", 0.3)
    silent = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    at = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}/v1"
    quiet = EngineSettings(base_url=at, locality="local")
    async with FakeServer("openai") as one, FakeServer("openai") as two:
        live = {"one": one.settings(locality="local"), "two": two.settings(locality="local")}
        dead = {"gone": DEAD, "lost": DEAD, "silent": quiet, "mute": quiet}
        settings, it = known({**live, **dead})
        first = await models_health(settings, it)
        assert [n for n, levels in first["details"].items() if levels["reachable"]["ok"]] == [*live]
        monkeypatch.setattr("rung.routing.look.LOOK_TIMEOUT_S", 60.0)
        await two.stop()
        async with asyncio.timeout(20):  # less than a look at a silent engine would take now
            while (await models_health(settings, it))["details"]["two"]["reachable"]["ok"]:
                await asyncio.sleep(0.01)
        await it.close()
    silent.close()


async def test_engines_are_asked_at_the_same_time() -> None:
    everybody = asyncio.Barrier(3)
    engines = [Meeting(name, everybody) for name in "abc"]
    report = await models_health(Settings(), Router(Settings(), engines))
    assert all(levels["reachable"]["ok"] for levels in report["details"].values())
