"""Which models can be asked now, and who is asked first."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from rung.config.settings import EngineSettings, ModelSettings, Secret, Settings
from rung.engines.ollama.engine import OllamaEngine
from rung.engines.openai_compatible import OpenAICompatibleEngine
from rung.errors import ConfigError, EngineError, UsageError
from rung.models.store import ModelStore
from rung.routing.look import LONGEST_RETRY_S
from rung.routing.registry import build_engines
from rung.routing.router import Router
from tests.engines.calls import until
from tests.fakes.profiles import Route
from tests.fakes.server import MODEL, FakeServer

DEAD = EngineSettings(base_url="http://127.0.0.1:9/v1", locality="local")
GONE = EngineError("unreachable", "gone", engine="a")
BAD_REQUEST = EngineError("bad_request", "what?", engine="a")


def router(engines: dict[str, EngineSettings], **settings: object) -> Router:
    built = [OpenAICompatibleEngine(name, engine) for name, engine in engines.items()]
    return Router(Settings(engines=engines, **settings), built)  # type: ignore[arg-type]


def listing(*ids: str) -> dict[str, Route]:
    return {"/v1/models": Route(content={"data": [{"id": model_id} for model_id in ids]})}


async def test_models_are_listed_weakest_first() -> None:
    async with FakeServer("openai", routes=listing("q-30b", "q-8b", "q-135m")) as server:
        found = await router({"a": server.settings(locality="local")}).models()
    assert [(m.name, m.tier) for m in found] == [
        ("a/q-135m", "local_tiny"),
        ("a/q-8b", "local_fast"),
        ("a/q-30b", "local_balanced"),
    ]


async def test_a_dead_engine_is_an_entry_with_its_reason_and_others_still_answer() -> None:
    async with FakeServer("openai") as server:
        it = router({"dead": DEAD, "live": server.settings(locality="local")})
        dead, live = await it.listings()
    assert dead.error
    assert dead.models == ()
    assert [model.name for model in live.models] == [f"live/{MODEL}"]


async def test_a_listing_is_remembered_and_looked_up_anew_behind_an_outage() -> None:
    async with FakeServer("openai") as server:
        it = router({"a": server.settings(locality="local")})
        for report in (None, GONE, BAD_REQUEST):
            it.report(it.engines[0], report)
            listed = await it.models()
            assert listed == await it.models()
        await until(lambda: len(server.calls) == 2)
        await it.close()


async def test_an_engine_that_failed_is_asked_last_until_it_answers_again() -> None:
    async with (
        FakeServer("openai", routes=listing("q-30b")) as strong,
        FakeServer("openai", routes=listing("q-8b")) as weak,
    ):
        engines = {
            "strong": strong.settings(locality="local"),
            "weak": weak.settings(locality="local"),
        }
        it = router(engines)
        engine = it.engines[0]

        async def order() -> list[str]:
            return [model.engine.name for model in await it.answer_order()]

        assert await order() == ["strong", "weak"]
        it.report(engine, GONE)
        assert await order() == ["weak", "strong"]
        it.report(engine, None)
        assert await order() == ["strong", "weak"]
        it.report(engine, BAD_REQUEST)
        assert await order() == ["strong", "weak"]
        await it.close()


async def test_a_named_model_that_came_since_the_last_look_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rung.routing.router.JUST_NOW_S", 0.0)
    async with FakeServer("openai", routes=listing("old")) as server:
        it = router({"a": server.settings(locality="local")})
        await it.models()
        server.routes |= listing("old", "new", "newer")
        assert (await it.find("a/new")).name == "a/new"
        server.routes |= listing("newest")
        assert (await it.find("newest")).name == "a/newest"
        await server.stop()
        with pytest.raises(EngineError):
            await it.find("a/gone")
        await server.__aenter__()
        assert (await it.find("a/newest")).name == "a/newest"
        await it.close()


async def test_models_that_are_unfit_for_a_request_come_last_even_the_default() -> None:
    async with FakeServer("openai", routes=listing("q-8b", "q-30b")) as server:
        it = router({"a": server.settings(locality="local", model="q-30b")})
        order = await it.answer_order(is_unfit=lambda model: model.info.id == "q-30b")
    assert [model.info.id for model in order] == ["q-8b", "q-30b"]


async def test_a_silent_engine_costs_one_look_and_is_asked_less_and_less(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rung.routing.look.LOOK_TIMEOUT_S", 0.2)
    silent = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    settings = EngineSettings(base_url=f"http://127.0.0.1:{port}/v1", locality="local")
    it = router({"silent": settings, "dead": DEAD})
    first = await it.listings()
    assert [item.failure.kind for item in first if item.failure] == ["timeout", "unreachable"]
    monkeypatch.setattr("rung.routing.look.LOOK_TIMEOUT_S", 60.0)
    for engine in it.engines:
        it.report(engine, GONE)
    async with asyncio.timeout(20):  # less than a look would take now
        assert await it.listings() == first
    await it.close()
    waits = [replace(first[0], failures=n).fresh_s for n in range(1, 40)]
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_RETRY_S
    silent.close()


async def test_a_model_is_found_by_each_name_that_its_engine_means_it_by() -> None:
    async with FakeServer("ollama") as server:
        settings = Settings(
            engines={"box": server.settings(model=MODEL)},
            models={f"box/{MODEL}": ModelSettings(tier="opus")},
        )
        it = Router(settings, [OllamaEngine("box", settings.engines["box"])])
        for name in (f"box/{MODEL}:latest", MODEL, f"box/{MODEL.upper()}"):
            model = await it.find(name)
            assert (model.name, model.is_default) == (f"box/{MODEL}:latest", True)
        declared = await it.find(f"box/{MODEL}")
        assert (declared.name, declared.tier) == (f"box/{MODEL}", "opus")
        assert declared.info.is_loaded, "what the engine says of it is known all the same"
        with pytest.raises(UsageError):
            await it.find(f"box/{MODEL}:8b")
        await it.close()


async def test_local_only_hides_lan_and_cloud_even_by_name() -> None:
    async with FakeServer("openai") as server:
        engines = {
            "near": server.settings(locality="local"),
            "lan": server.settings(locality="lan"),
            "far": server.settings(locality="cloud"),
        }
        it = router(engines, models={f"far/{MODEL}": ModelSettings(tier="haiku")})
        assert [m.engine.name for m in await it.models(local_only=True)] == ["near"]
        for name in ("lan", "far"):
            with pytest.raises(UsageError, match="local_only"):
                await it.find(f"{name}/{MODEL}", local_only=True)
        always = router(engines, local_only=True)
        assert [m.engine.name for m in await always.models(local_only=False)] == ["near"]
        assert await always.find(MODEL, local_only=False)


async def test_a_model_is_found_by_its_full_name_or_by_a_unique_id() -> None:
    async with (
        FakeServer("openai", routes=listing("one", "both")) as a,
        FakeServer("openai", routes=listing("both")) as b,
    ):
        it = router({"a": a.settings(locality="local"), "b": b.settings(locality="local")})
        assert (await it.find("a/one")).name == "a/one"
        assert (await it.find("one")).name == "a/one"
        with pytest.raises(UsageError, match="a/both, b/both"):
            await it.find("both")
        with pytest.raises(UsageError, match="did you mean 'a/one'"):
            await it.find("a/onee")


async def test_a_named_model_on_a_dead_engine_is_unreachable_not_unknown() -> None:
    with pytest.raises(EngineError) as error:
        await router({"dead": DEAD}).find("dead/x")
    assert error.value.kind == "unreachable"


async def test_a_wrong_key_is_reported_as_such_and_not_as_unreachable() -> None:
    async with FakeServer("openai", api_key="right") as server:
        it = router({"a": server.settings(locality="cloud", api_key=Secret("wrong"))})
        for _ in range(2):  # the second time from the listing that was kept
            with pytest.raises(EngineError) as error:
                await it.find(f"a/{MODEL}")
            assert (error.value.kind, error.value.status) == ("unauthorized", 401)
            assert error.value.model == MODEL
        [kept] = await it.listings()
        assert kept.error == error.value.message


def test_two_engines_of_one_name_are_an_error() -> None:
    twice = [OpenAICompatibleEngine("a", DEAD), OpenAICompatibleEngine("a", DEAD)]
    with pytest.raises(ConfigError, match="two engines are called 'a'"):
        Router(Settings(), twice)


async def test_the_default_answers_first_then_the_strongest_free_one_never_a_paid_one() -> None:
    async with (
        FakeServer("openai", routes=listing("q-8b", "q-30b")) as a,
        FakeServer("openai", routes=listing("q-135m")) as b,
        FakeServer("openai", routes=listing("cloud-model")) as c,
    ):
        engines = {
            "a": a.settings(locality="local"),
            "b": b.settings(locality="local", model="q-135m"),
            "c": c.settings(locality="cloud"),
        }
        price = ModelSettings(tier="haiku", usd_per_mtok_in=1, usd_per_mtok_out=1)
        it = router(engines, models={"c/cloud-model": price})
        assert [m.name for m in await it.answer_order()] == ["b/q-135m", "a/q-30b", "a/q-8b"]


async def test_of_equals_this_machine_answers_before_the_network() -> None:
    async with (
        FakeServer("openai", routes=listing("q-8b")) as lan,
        FakeServer("openai", routes=listing("q-8b")) as own,
    ):
        engines = {"lan": lan.settings(locality="lan"), "own": own.settings(locality="local")}
        assert [m.name for m in await router(engines).answer_order()] == ["own/q-8b", "lan/q-8b"]


async def test_a_cloud_model_stands_on_no_rung_unless_declared() -> None:
    async with FakeServer("openai") as server:
        it = router({"far": server.settings(locality="cloud")})
        [model] = await it.models()
    assert (model.tier, model.price, model.is_free) == ("", None, False)


def test_an_unknown_tier_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="local_fast"):
        router({}, models={"a/b": ModelSettings(tier="huge")})
    assert router({}, models={"a/b": ModelSettings(tier="huge")}, tiers={"huge": 9})


async def test_engines_are_built_from_settings_and_switched_off_by_them(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    settings = Settings(
        discover=False,
        engines={"x": EngineSettings(base_url="http://127.0.0.1:9/v1"), "y": DEAD},
    )
    assert [e.name for e in await build_engines(settings, store)] == ["embedded", "x", "y"]
    off = settings.replaced(engines={"y": DEAD.replaced(enabled=False)})
    assert [e.name for e in await build_engines(off, store)] == ["embedded"]
