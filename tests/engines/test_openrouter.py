from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from rung.chat import ModelInfo, Tool
from rung.config.settings import EngineSettings
from rung.engines.build import build_engine
from rung.engines.openrouter import OpenRouterEngine
from rung.errors import EngineErrorKind
from tests.engines.calls import ask, failure_of, last_of, until
from tests.fakes.openrouter import BY_REQUEST, CHANGING, GIVEN_AWAY, TALKER, THINKER, serve_models
from tests.fakes.profiles import Route
from tests.fakes.server import FakeServer, Reply, Script, failure

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
LOOK = Tool(name="look")


@asynccontextmanager
async def talking(
    script: Script = (), **settings: Any
) -> AsyncIterator[tuple[OpenRouterEngine, FakeServer]]:
    async with FakeServer("openrouter", script) as server:
        serve_models(server)
        async with OpenRouterEngine("router", server.settings(**settings)) as router:
            yield router, server


async def listed() -> dict[str, ModelInfo]:
    async with talking() as (router, _):
        return {model.id: model for model in await router.list_models()}


def test_the_kind_has_its_adapter_and_its_address() -> None:
    engine = build_engine("router", EngineSettings(kind="openrouter"))
    assert isinstance(engine, OpenRouterEngine)
    assert (engine.base_url, engine.locality) == ("https://openrouter.ai/api/v1", "cloud")


async def test_prices_are_read_per_million_tokens() -> None:
    models = await listed()
    thinker, talker, free = models[THINKER], models[TALKER], models[GIVEN_AWAY]
    assert (thinker.usd_per_mtok_in, thinker.usd_per_mtok_out) == (4.0, 20.0)
    assert (thinker.usd_per_mtok_cache_read, thinker.usd_per_mtok_cache_write) == (0.2, 5.0)
    assert (talker.usd_per_mtok_in, talker.usd_per_mtok_cache_read) == (0.1, None)
    assert (free.usd_per_mtok_in, free.usd_per_mtok_out) == (0.0, 0.0)


@pytest.mark.parametrize("model", [CHANGING, BY_REQUEST])
async def test_a_price_that_varies_or_that_tokens_do_not_tell_is_unknown(model: str) -> None:
    found = (await listed())[model]
    assert (found.usd_per_mtok_in, found.usd_per_mtok_out) == (None, None)


async def test_what_a_model_can_do_and_hold_is_read() -> None:
    models = await listed()
    assert models[THINKER].capabilities == {"tools", "thinking", "vision"}
    assert models[TALKER].capabilities == {"vision"}
    assert models[THINKER].context_tokens == 131_072


async def test_the_bill_and_the_provider_are_reported() -> None:
    usage = {
        "prompt_tokens": 2000,
        "completion_tokens": 50,
        "cost": 0.0123,
        "prompt_tokens_details": {"cached_tokens": 1500, "cache_write_tokens": 100},
        "completion_tokens_details": {"reasoning_tokens": 40},
    }
    reply = Reply(text="Hi", reasoning="hm", usage=usage, extra={"provider": "Acme Inc"})
    async with talking([reply]) as (router, _):
        _, reasoning, completion = await last_of(router, ask(model=THINKER))
    used = completion.usage
    assert (used.cost_usd, completion.provider, reasoning) == (0.0123, "Acme Inc", "hm")
    assert (used.tokens_cached, used.tokens_cache_write, used.tokens_reasoning) == (1500, 100, 40)


@pytest.mark.parametrize(
    ("details", "cost"), [({"upstream_inference_cost": 0.02}, 0.021), ({}, None)]
)
async def test_a_users_own_key_is_billed_elsewhere_as_well(
    details: dict[str, float], cost: float | None
) -> None:
    usage = {"cost": 0.001, "is_byok": True, "cost_details": details}
    async with talking([Reply(text="Hi", usage=usage)]) as (router, _):
        found = (await router.complete(ask(model=THINKER))).usage.cost_usd
    assert found == (None if cost is None else pytest.approx(cost))


async def test_no_provider_may_drop_the_schema_or_the_tools() -> None:
    async with talking(['{"a":"b"}']) as (router, server):
        await router.complete(ask(model=THINKER, schema=SCHEMA))
        await router.complete(ask(model=THINKER, tools=(LOOK,)))
        await router.complete(ask(model=THINKER))
    providers = [call.body.get("provider") for call in server.chats]
    assert providers == [{"require_parameters": True}, {"require_parameters": True}, None]


@pytest.mark.parametrize(
    ("think", "flags"), [(False, ()), (True, ("thinking_not_switched",)), (None, ())]
)
async def test_a_model_that_never_thinks_is_not_told_to_stop(
    think: bool | None, flags: tuple[str, ...]
) -> None:
    async with talking() as (router, server):
        completion = await router.complete(ask(model=TALKER, think=think, tools=()))
    assert "reasoning" not in server.chats[0].body
    assert completion.flags == flags


async def test_thinking_is_switched_where_the_model_thinks() -> None:
    async with talking() as (router, server):
        await router.complete(ask(model=THINKER, think=False))
        await router.complete(ask(model=THINKER, think=True))
    sent = [call.body["reasoning"] for call in server.chats]
    assert sent == [{"enabled": False}, {"enabled": True}]


async def test_a_schema_goes_unenforced_rather_than_unanswered_and_is_flagged() -> None:
    async with talking(['{"a":"b"}']) as (router, server):
        completion = await router.complete(ask(model=TALKER, schema=SCHEMA))
    assert "response_format" not in server.chats[0].body
    assert completion.flags == ("schema_not_enforced",)


async def test_a_model_that_takes_no_temperature_is_sent_none() -> None:
    async with talking() as (router, server):
        sampling = {"temperature": 0.2, "top_p": 0.9, "seed": 1}
        await router.complete(ask(model=THINKER, tools=(LOOK,), **sampling))
        await router.complete(ask(model=GIVEN_AWAY, tools=(LOOK,), **sampling))
    sent = [{name for name in sampling if name in call.body} for call in server.chats]
    assert sent == [{"temperature", "seed"}, set()]


async def test_a_list_that_fails_does_not_keep_a_request_back() -> None:
    async with talking(['{"a":"b"}']) as (router, server):
        server.routes["/v1/models"] = Route(content="broken", status=500)
        completion = await router.complete(ask(model=THINKER, schema=SCHEMA))
    assert completion.text == '{"a":"b"}'


async def test_comments_while_a_request_queues_are_no_sign_of_life() -> None:
    queued = Reply(text="late", stall_after=0, ping_every_s=0.01)
    async with talking([queued], timeout_s=0.2) as (router, server):
        assert (await failure_of(router.complete(ask(model=THINKER)))).kind == "timeout"
        await until(lambda: server.chats[0].is_dropped.is_set())


def choice_error(code: int) -> Reply:
    error = {"code": code, "message": "Provider returned error"}
    choice = {"index": 0, "delta": {"content": ""}, "finish_reason": "error", "error": error}
    return Reply(raw_events=(b'data: {"choices":[%s]}\n\n' % json.dumps(choice).encode(),))


ERRORS: list[tuple[Reply, EngineErrorKind]] = [
    (failure(400, {"error": {"code": 400, "message": "Invalid"}}), "bad_request"),
    (failure(401, {"error": {"code": 401, "message": "No auth credentials"}}), "unauthorized"),
    (failure(402, {"error": {"code": 402, "message": "Insufficient credits"}}), "over_budget"),
    (failure(403, {"error": {"code": 403, "message": "Your input was flagged"}}), "refused"),
    (failure(408, {"error": {"code": 408, "message": "Timed out"}}), "timeout"),
    (failure(429, {"error": {"code": 429, "message": "Slow down"}}), "rate_limited"),
    (failure(502, {"error": {"code": 502, "message": "Bad provider"}}), "server_error"),
    (failure(503, {"error": {"code": 503, "message": "No provider"}}), "overloaded"),
    (failure(200, {"error": {"code": 402, "message": "Insufficient credits"}}), "over_budget"),
    (choice_error(429), "rate_limited"),
    (choice_error(502), "server_error"),
    (Reply(text="half an ans", finish_reason="error"), "server_error"),
    (Reply(text="a b", error_after=2, error={"code": 502, "message": "gone"}), "server_error"),
]


@pytest.mark.parametrize(("misdeed", "kind"), ERRORS, ids=range(len(ERRORS)))
async def test_each_documented_error_has_its_kind(misdeed: Reply, kind: EngineErrorKind) -> None:
    async with talking([misdeed]) as (router, _):
        assert (await failure_of(router.complete(ask(model=THINKER)))).kind == kind


async def test_a_limit_tells_when_to_come_back_and_which_generation_it_was() -> None:
    headers = {"Retry-After": "3", "X-Generation-Id": "gen-42"}
    limited = failure(429, {"error": {"code": 429, "message": "Slow down"}}, headers=headers)
    async with talking([limited]) as (router, _):
        error = await failure_of(router.complete(ask(model=THINKER)))
    assert error.retry_after_s == 3.0
    assert "gen-42" in error.message
