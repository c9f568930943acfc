"""How a call reaches its model: tried again where that helps, leased, timed, learned from."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from rung.chat import Cancellation, LoadOptions
from rung.config.settings import ModelSettings, RetrySettings, Settings
from rung.engines.openai_compatible import OpenAICompatibleEngine
from rung.errors import EngineErrorKind
from tests.engines.calls import ask, failure_of, until
from tests.fakes.server import FakeServer, Reply, answer, failure
from tests.routing.deliveries import Desk, delivered

LIMITED = {"error": {"message": "slow down", "code": 429}}
SOON = {"Retry-After": "0.01"}
QUICK = Settings(retry=RetrySettings(first_wait_s=0.01))


def engine_of(server: FakeServer, **settings: Any) -> OpenAICompatibleEngine:
    return OpenAICompatibleEngine("e", server.settings(locality="local", **settings))


async def test_a_call_that_was_held_up_is_tried_again_and_says_so(tmp_path: Path) -> None:
    busy = failure(429, LIMITED, headers=SOON)
    async with FakeServer("openai", [busy, busy, "at last"]) as server:
        it = delivered(engine_of(server), tmp_path)
        completion = await it.ask(ask())
    assert completion.text == "at last"
    assert completion.repairs == ("retried:rate_limited", "retried:rate_limited")
    assert [item.kind for item in it.trace.tries] == ["rate_limited", "rate_limited"]
    assert completion.timings.total_ms >= sum(item.ms for item in it.trace.tries)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (failure(503, {"error": "server busy"}), "overloaded"),
        (failure(503, {"error": {"message": "Loading model"}}, headers=SOON), "model_not_loaded"),
        (failure(500, "x"), "server_error"),
        (answer("never seen", drop_after=0), "unreachable"),
    ],
)
async def test_every_passing_failure_has_its_second_chance(
    tmp_path: Path, reply: Reply, kind: EngineErrorKind
) -> None:
    async with FakeServer("openai", [reply, "well"]) as server:
        it = delivered(engine_of(server), tmp_path, settings=QUICK)
        assert (await it.ask(ask())).repairs == (f"retried:{kind}",)
        assert it.reports == [None]


async def test_nothing_is_tried_again_once_a_word_was_seen(tmp_path: Path) -> None:
    async with FakeServer("openai", [answer("one two three", drop_after=3), "again"]) as server:
        it = delivered(engine_of(server), tmp_path)
        error = await failure_of(it.ask(ask()))
        assert error.kind == "unreachable"
        assert len(server.chats) == 1
        assert it.reports == [error]


async def test_a_timeout_is_not_paid_for_twice(tmp_path: Path) -> None:
    async with FakeServer("openai", [answer("late", first_after_s=30)]) as server:
        it = delivered(engine_of(server), tmp_path)
        assert (await failure_of(it.ask(ask(timeout_s=0.2)))).kind == "timeout"
        assert len(server.chats) == 1


async def test_a_paid_call_that_may_have_been_billed_is_not_repeated(tmp_path: Path) -> None:
    async with FakeServer("openai", [failure(500, "x"), "twice the money"]) as server:
        it = delivered(engine_of(server), tmp_path, is_paid=True)
        assert (await failure_of(it.ask(ask()))).kind == "server_error"
        assert len(server.chats) == 1


async def test_a_wait_that_is_too_long_ends_the_call_at_once_and_says_why(tmp_path: Path) -> None:
    later = failure(429, LIMITED, headers={"Retry-After": "3000"})
    async with FakeServer("openai", [later]) as server:
        error = await failure_of(delivered(engine_of(server), tmp_path).ask(ask()))
    assert error.kind == "rate_limited"
    assert error.retry_after_s == 3000
    assert "retry.longest_wait_s" in error.message


async def test_the_last_error_says_how_often_it_was_tried(tmp_path: Path) -> None:
    async with FakeServer("openai", [failure(429, LIMITED, headers=SOON)]) as server:
        it = delivered(engine_of(server), tmp_path)
        error = await failure_of(it.ask(ask()))
        assert "tried 3 times" in error.message
        assert (len(server.chats), len(it.trace.tries)) == (3, 3)


async def test_a_cancellation_ends_a_wait_at_once(tmp_path: Path) -> None:
    cancel = Cancellation()
    async with FakeServer("openai", [failure(429, LIMITED, headers={"Retry-After": "25"})]) as it:
        call = delivered(engine_of(it), tmp_path)
        asking = asyncio.create_task(failure_of(call.ask(ask(cancel=cancel))))
        await until(lambda: bool(call.trace.tries))
        cancel.cancel()
        async with asyncio.timeout(5):
            assert (await asking).kind == "cancelled"


async def test_queueing_and_loading_are_part_of_the_calls_times(tmp_path: Path) -> None:
    desk = Desk(load_ms=40.0)
    busy = failure(503, {"error": "server busy"})
    async with FakeServer("openai", [busy, "hi"]) as server:
        it = delivered(engine_of(server), tmp_path, desk=desk, settings=QUICK)
        timings = (await it.ask(ask())).timings
    assert (timings.queue_ms, timings.load_ms) == (10.0, 80.0)  # of both tries
    assert it.measured.of("e", it.model.info.id).first_token_ms is None


async def test_the_wait_for_a_lease_is_taken_from_the_calls_time(tmp_path: Path) -> None:
    desk = Desk()
    busy = failure(503, {"error": "server busy"}, first_after_s=0.05)
    async with FakeServer("openai", [busy, "hi"]) as server:
        it = delivered(engine_of(server), tmp_path, desk=desk, settings=QUICK)
        await it.ask(ask(timeout_s=60.0))
        await it.ask(ask())
    first, second, unbounded = (timeout_s for _, _, timeout_s in desk.asked)
    assert first is not None
    assert second is not None
    assert second <= 60 - 0.05 < first <= 60
    assert unbounded is None


async def test_a_lease_is_given_back_whatever_happens(tmp_path: Path) -> None:
    desk = Desk()
    replies = [failure(400, "no"), answer("word " * 200, between_s=0.01)]
    async with FakeServer("openai", replies) as server:
        it = delivered(engine_of(server), tmp_path, desk=desk)
        await failure_of(it.ask(ask()))
        assert desk.held == 0
        async with aclosing(it.delivery.stream(it.model, ask(), it.trace)) as chunks:
            async for _ in chunks:
                assert desk.held == 1
                break
        assert desk.held == 0
        async with asyncio.timeout(5):
            await server.chats[1].is_dropped.wait()


class Loadable(OpenAICompatibleEngine):
    """An adapter whose models Rung loads."""

    can_load = True


async def test_a_model_is_leased_as_the_user_declares_it(tmp_path: Path) -> None:
    declared = ModelSettings(context_tokens=16384, slots=2, kv_type="q8_0")
    async with FakeServer("openai") as server:
        engine = Loadable("e", server.settings())
        for facts, options in (
            ({"declared": declared}, LoadOptions(context_tokens=16384, slots=2, kv_type="q8_0")),
            ({"declared": declared, "max_context_tokens": 8192}, 8192),
            ({}, LoadOptions()),
        ):
            desk = Desk()
            await delivered(engine, tmp_path, desk=desk, context_tokens=4096, **facts).ask(ask())
            [(_, asked, _)] = desk.asked
            assert options in (asked, asked.context_tokens)


async def test_every_answer_teaches_speed_and_size(tmp_path: Path) -> None:
    prompt = "four" * 1_000
    usage = {"prompt_tokens": 1_016, "completion_tokens": 40}
    async with FakeServer("openai", [answer("word " * 40, usage=usage, between_s=0.001)]) as server:
        it = delivered(engine_of(server), tmp_path)
        await it.ask(ask(prompt))
        learned = it.measured.of("e", it.model.info.id)
    assert learned.bytes_per_token == 4.0
    assert learned.tokens_per_s
    assert learned.first_token_ms


async def test_how_a_call_went_is_reported_once(tmp_path: Path) -> None:
    async with FakeServer("openai", [failure(500, "x"), failure(500, "x"), "hi"]) as server:
        it = delivered(engine_of(server), tmp_path)
        error = await failure_of(it.ask(ask()))
        await it.ask(ask())
    assert [type(report) for report in it.reports] == [type(error), type(None)]
