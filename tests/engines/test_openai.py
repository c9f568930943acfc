from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from rung.config.settings import EngineSettings, Secret
from rung.engines.build import build_engine
from rung.engines.openai import OpenAIEngine
from rung.engines.openai_compatible import OpenAICompatibleEngine
from tests.engines.calls import ask, failure_of
from tests.fakes.server import FakeServer, Reply, Script

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}


@asynccontextmanager
async def talking(script: Script = ()) -> AsyncIterator[tuple[OpenAIEngine, FakeServer]]:
    async with (
        FakeServer("openai", script) as server,
        OpenAIEngine("openai", server.settings(api_key=Secret("k"))) as openai,
    ):
        yield openai, server


@pytest.mark.parametrize(
    ("base_url", "adapter"),
    [
        ("", OpenAIEngine),
        ("https://api.openai.com/v1/", OpenAIEngine),
        ("https://api.groq.com/openai/v1", OpenAICompatibleEngine),
        ("http://127.0.0.1:9/v1", OpenAICompatibleEngine),
    ],
)
def test_openai_itself_is_told_from_those_that_speak_its_api(
    base_url: str, adapter: type[OpenAICompatibleEngine]
) -> None:
    assert type(build_engine("x", EngineSettings(kind="openai", base_url=base_url))) is adapter


# Model, then for thinking off, on and unsaid: the effort sent, and whether the wish is met.
EFFORTS: list[tuple[str, tuple[str | None, bool], tuple[str | None, bool]]] = [
    ("gpt-4o-mini", (None, True), (None, False)),
    ("gpt-4.1", (None, True), (None, False)),
    ("gpt-5-chat-latest", (None, True), (None, False)),
    ("gpt-5", ("minimal", False), ("medium", True)),
    ("gpt-5-mini-2025-08-07", ("minimal", False), ("medium", True)),
    ("gpt-5.1", ("none", True), ("medium", True)),
    ("gpt-5.3-codex", ("low", False), ("medium", True)),
    ("gpt-5.4-pro", ("high", False), ("high", True)),
    ("gpt-6-sol", ("none", True), ("medium", True)),
    ("gpt-7", ("none", True), ("medium", True)),
    ("o3", ("low", False), ("medium", True)),
    ("o4-mini", ("low", False), ("medium", True)),
    ("my-own-model", (None, True), (None, False)),
]


@pytest.mark.parametrize(("model", "off", "on"), EFFORTS)
async def test_effort_is_sent_only_to_models_that_reason(
    model: str, off: tuple[str | None, bool], on: tuple[str | None, bool]
) -> None:
    for think, (effort, is_met) in ((False, off), (True, on)):
        async with talking() as (openai, server):
            completion = await openai.complete(ask(model=model, think=think))
        assert server.chats[0].body.get("reasoning_effort") == effort
        assert ("thinking_not_switched" in completion.flags) is not is_met


@pytest.mark.parametrize(
    ("model", "think", "is_sent"),
    [
        ("gpt-4o", None, True),
        ("gpt-5", None, False),
        ("gpt-5", False, False),
        ("gpt-5.2", None, True),
        ("gpt-5.2", True, False),
        ("gpt-6-sol", None, False),
        ("gpt-6-sol", False, True),
        ("o3", False, False),
    ],
)
async def test_a_temperature_is_sent_only_to_a_model_that_does_not_reason_now(
    model: str, think: bool | None, is_sent: bool
) -> None:
    async with talking() as (openai, server):
        await openai.complete(ask(model=model, think=think, temperature=0.2, top_p=0.9))
    body = server.chats[0].body
    assert ("temperature" in body, "top_p" in body) == (is_sent, is_sent)


async def test_the_bound_of_the_answer_and_the_strict_schema_are_as_openai_takes_them() -> None:
    async with talking(['{"a":"b"}']) as (openai, server):
        await openai.complete(ask(model="gpt-6-sol", max_tokens=9, schema=SCHEMA))
    body = server.chats[0].body
    assert (body["max_completion_tokens"], "max_tokens" in body) == (9, False)
    assert body["response_format"]["json_schema"]["strict"] is True


async def test_cached_and_newly_cached_tokens_are_told() -> None:
    details = {"cached_tokens": 1024, "cache_write_tokens": 512}
    usage = {"prompt_tokens": 2000, "completion_tokens": 5, "prompt_tokens_details": details}
    async with talking([Reply(text="hi", usage=usage)]) as (openai, _):
        used = (await openai.complete(ask(model="gpt-6-sol"))).usage
    assert (used.tokens_in, used.tokens_cached, used.tokens_cache_write) == (2000, 1024, 512)


async def test_a_refusal_is_refused_in_the_models_words() -> None:
    delta = b'{"role":"assistant","refusal":"I cannot help with that."}'
    event = b'data: {"choices":[{"index":0,"delta":%s,"finish_reason":"stop"}]}\n\n' % delta
    async with talking([Reply(raw_events=(event,))]) as (openai, _):
        error = await failure_of(openai.complete(ask(model="gpt-6-sol")))
    assert (error.kind, "cannot help" in error.message) == ("refused", True)


async def test_without_a_key_nothing_is_asked() -> None:
    engine: Any = build_engine("openai", EngineSettings(kind="openai"))
    async with engine as openai:
        assert (await failure_of(openai.complete(ask(model="gpt-6-sol")))).kind == "unconfigured"
