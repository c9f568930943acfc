from __future__ import annotations

import asyncio

import pytest

from rung.chat import ModelInfo
from rung.engines.listings import find_model, read_lmstudio_v1
from rung.engines.openai_compatible import OpenAICompatibleEngine
from tests.engines.calls import failure_of
from tests.fakes.profiles import LMSTUDIO_MODEL, Route
from tests.fakes.server import MODEL, FakeServer, Reply, failure

ERROR_IN_200 = Route(content={"error": "Unexpected endpoint or method. (GET /health)"})
PAGE = Route(content="<html><title>nginx</title></html>")
NAMES = {"ollama": f"{MODEL}:latest", "openrouter": f"acme/{MODEL}"}
KINDS = ["lmstudio", "ollama", "vllm", "llamacpp", "openrouter", "openai"]


def engine_of(server: FakeServer, **changes: object) -> OpenAICompatibleEngine:
    return OpenAICompatibleEngine("box", server.settings(**changes))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_healthy_engine_shows_every_level(kind: str) -> None:
    async with FakeServer(kind) as server, engine_of(server) as box:
        health = await box.health(NAMES.get(kind, MODEL), probe=True)
    assert health.reachable.ok
    assert health.listed.ok
    assert health.probed.ok
    assert health.reachable.latency_ms is not None
    assert health.loaded.ok is (None if kind in ("openrouter", "openai") else True)


@pytest.mark.parametrize("kind", KINDS)
async def test_without_a_probe_no_model_is_asked_anything(kind: str) -> None:
    async with FakeServer(kind) as server, engine_of(server) as box:
        health = await box.health(MODEL)
        assert not server.chats
    assert health.probed.ok is None


@pytest.mark.parametrize("kind", KINDS)
async def test_a_dead_engine_is_dead_and_raises_nothing(kind: str) -> None:
    async with FakeServer(kind) as server, engine_of(server) as box:
        await server.stop()
        health = await box.health(MODEL, probe=True)
    assert (health.reachable.ok, health.listed.ok, health.probed.ok) == (False, False, None)
    assert "unreachable" in (health.reachable.error or "")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_web_server_is_not_a_healthy_engine(kind: str) -> None:
    everything = dict.fromkeys(["/health", "/v1/models", "/lmstudio-greeting"], PAGE)
    async with FakeServer(kind, routes=everything) as server:
        server.routes = everything
        server.handlers.clear()
        async with engine_of(server) as box:
            health = await box.health()
    assert (health.reachable.ok, health.listed.ok) == (False, False)


async def test_a_wrong_key_is_reachable_but_lists_nothing() -> None:
    async with (
        FakeServer("vllm", api_key="right") as server,
        engine_of(server, api_key="wrong") as box,
    ):
        health = await box.health()
    assert (health.reachable.ok, health.listed.ok) == (True, False)
    assert "unauthorized" in (health.listed.error or "")


async def test_a_model_that_is_not_there_is_not_listed() -> None:
    async with FakeServer("lmstudio") as server, engine_of(server) as box:
        health = await box.health("another")
    assert (health.reachable.ok, health.listed.ok, health.loaded.ok) == (True, False, None)
    assert "another" in (health.listed.error or "")


async def test_a_model_that_sleeps_on_disk_is_listed_and_not_loaded() -> None:
    async with FakeServer("lmstudio") as server, engine_of(server) as box:
        health = await box.health("text-embedding-tiny")
    assert (health.listed.ok, health.loaded.ok) == (True, False)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("ollama", MODEL),
        ("ollama", MODEL.upper()),
        ("lmstudio", f"{MODEL}@q4_k_m"),
        ("lmstudio", f"acme/{MODEL}"),
        ("lmstudio", f"ACME/{MODEL}@Q4_K_M"),
        ("lmstudio", "my-pet"),
        ("llamacpp", "nickname"),
        ("vllm", MODEL),
    ],
)
async def test_a_models_short_and_long_names_mean_the_same(kind: str, name: str) -> None:
    async with FakeServer(kind) as server, engine_of(server) as box:
        if kind == "lmstudio":
            instance = {"id": "my-pet", "config": {}}
            entry = {**LMSTUDIO_MODEL, "loaded_instances": [instance]}
            server.routes["/api/v1/models"] = Route(content={"models": [entry]})
        if kind == "llamacpp":
            entry = {"id": MODEL, "owned_by": "llamacpp", "aliases": ["Nickname", 7]}
            server.routes["/v1/models"] = Route(content={"data": [entry]})
        assert (await box.health(name)).listed.ok


async def test_other_weights_of_the_same_model_are_another_model() -> None:
    entry = {
        **LMSTUDIO_MODEL,
        "variants": [f"{MODEL}@q4_k_m", f"{MODEL}@q8_0"],
        "selected_variant": f"{MODEL}@q4_k_m",
    }
    models = read_lmstudio_v1([{"models": [entry]}]) or []
    assert find_model(models, f"{MODEL}@q4_k_m") == models[0]
    assert find_model(models, f"{MODEL}@q8_0") is None


def test_a_name_that_two_models_share_is_the_name_of_neither_unless_it_is_an_id() -> None:
    one = ModelInfo(id="one", names=frozenset({"pet", "two"}))
    two = ModelInfo(id="two", names=frozenset({"pet"}))
    assert find_model([one, two], "pet") is None
    assert find_model([one, two], "two") == two
    assert find_model([one, two], "") is None


async def test_a_failed_probe_says_why() -> None:
    script = [failure(503, {"error": {"message": "Loading model"}})]
    async with FakeServer("llamacpp", script) as server, engine_of(server) as box:
        probed = (await box.health(MODEL, probe=True)).probed
    assert (probed.ok, "model_not_loaded" in (probed.error or "")) == (False, True)


async def test_reasoning_counts_as_a_first_token() -> None:
    script = [Reply(text="", reasoning="let me think", finish_reason="length")]
    async with FakeServer("vllm", script) as server, engine_of(server) as box:
        assert (await box.health(MODEL, probe=True)).probed.ok


@pytest.mark.parametrize(
    ("route", "is_healthy"),
    [
        (Route(content=""), True),
        (Route(content={"status": "fine"}), True),
        (ERROR_IN_200, False),
        (PAGE, False),
        (Route(content="", status=503), False),
    ],
)
async def test_an_endpoint_of_the_users_is_the_only_judge_and_its_body_counts(
    route: Route, is_healthy: bool
) -> None:
    async with (
        FakeServer("lmstudio", routes={"/custom/health": route}) as server,
        engine_of(server, health_path="custom/health") as box,
    ):
        assert (await box.health()).reachable.ok is is_healthy


async def test_a_proxy_that_hides_the_liveness_route_does_not_hide_the_engine() -> None:
    async with FakeServer("vllm") as server, engine_of(server) as box:
        del server.routes["/health"]
        assert (await box.health()).reachable.ok


async def test_models_are_read_as_each_engine_lists_them() -> None:
    async def listed(kind: str) -> list[ModelInfo]:
        async with FakeServer(kind) as server, engine_of(server) as box:
            return await box.list_models()

    lmstudio, ollama, vllm, llamacpp, openrouter, openai = await asyncio.gather(*map(listed, KINDS))
    assert lmstudio[0] == ModelInfo(
        id=MODEL,
        context_tokens=8192,
        max_context_tokens=32768,
        size_bytes=700_000_000,
        parameters=1e9,
        quantization="Q4_K_M",
        is_loaded=True,
        capabilities=frozenset({"tools"}),
        names=lmstudio[0].names,
    )
    assert (lmstudio[1].is_chat, lmstudio[1].is_loaded) == (False, False)
    assert ollama[0] == ModelInfo(
        id=f"{MODEL}:latest",
        context_tokens=4096,
        size_bytes=700_000_000,
        memory_bytes=900_000_000,
        parameters=1.2e9,
        quantization="Q4_0",
        is_loaded=True,
        capabilities=frozenset({"tools", "thinking"}),
        names=frozenset({MODEL, f"{MODEL}:latest"}),
    )
    assert vllm == [
        ModelInfo(id=MODEL, context_tokens=16384, max_context_tokens=16384, is_loaded=True)
    ]
    assert (llamacpp[0].context_tokens, llamacpp[0].max_context_tokens) == (4096, 8192)
    assert llamacpp[0].is_loaded
    assert [model.is_chat for model in openrouter] == [True, False]
    assert openai == [ModelInfo(id=MODEL)]


async def test_ollamas_cloud_models_are_never_listed_as_local() -> None:
    async with FakeServer("ollama") as server, engine_of(server) as box:
        assert "giant:cloud" not in {model.id for model in await box.list_models()}


async def test_an_older_lm_studio_is_read_by_its_older_routes() -> None:
    async with FakeServer("lmstudio") as server, engine_of(server) as box:
        server.routes["/api/v1/models"] = ERROR_IN_200
        by_v0, _ = await box.list_models()
        server.routes["/api/v0/models"] = ERROR_IN_200
        (by_openai,) = await box.list_models()
    assert (by_v0.context_tokens, by_v0.is_loaded) == (8192, True)
    assert by_openai == ModelInfo(id=MODEL)


async def test_a_detail_that_cannot_be_had_does_not_spoil_the_list() -> None:
    async with FakeServer("ollama") as server, engine_of(server) as box:
        server.routes["/api/ps"] = Route(content="broken", status=500)
        assert (await box.list_models())[0].is_loaded is None


@pytest.mark.parametrize(
    "content", [PAGE.content, "", "{", {"data": "none"}, {"models": 3}, [1, 2], {"error": "no"}]
)
async def test_a_list_that_makes_no_sense_is_an_error(content: object) -> None:
    async with FakeServer("openai") as server, engine_of(server) as box:
        server.routes["/v1/models"] = Route(content=content)
        await failure_of(box.list_models())
