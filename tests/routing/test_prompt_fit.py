"""What is sent, what is refused before it is sent, and what was cut off on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rung.chat import LoadedModel
from rung.config.settings import ModelSettings
from rung.engines.base import Engine
from rung.engines.build import build_engine
from rung.engines.openai_compatible import OpenAICompatibleEngine
from tests.engines.calls import ask, failure_of
from tests.fakes.server import MODEL, FakeServer, answer
from tests.routing.deliveries import CountingEngine, Desk, delivered

WORDS = "word " * 2_000  # 10,000 bytes: about 2,000 tokens, 3,333 by the careful guess


def counting(server: FakeServer, tokens: int | None, **settings: Any) -> CountingEngine:
    engine = CountingEngine("e", server.settings(locality="local", **settings))
    engine.tokens = tokens
    return engine


async def test_a_prompt_that_cannot_fit_is_neither_loaded_for_nor_sent(tmp_path: Path) -> None:
    desk = Desk()
    async with FakeServer("openai") as server:
        engine = counting(server, None)
        it = delivered(engine, tmp_path, desk=desk, context_tokens=512)
        error = await failure_of(it.ask(ask("x" * 100_000)))
        assert (server.chats, desk.asked, engine.counts) == ([], [], 0)
    assert error.kind == "context_overflow"
    assert "512" in error.message
    assert "shorten the prompt" in error.message
    assert it.trace.tries == []


async def test_a_small_prompt_is_sent_without_a_question(tmp_path: Path) -> None:
    async with FakeServer("openai") as server:
        engine = counting(server, None)
        await delivered(engine, tmp_path, context_tokens=4096).ask(ask("hi", max_tokens=1024))
        assert (engine.counts, len(server.chats)) == (0, 1)


@pytest.mark.parametrize(("tokens", "is_sent"), [(2048 - 64, True), (2048 - 63, False)])
async def test_in_doubt_the_engines_own_count_decides(
    tmp_path: Path, tokens: int, is_sent: bool
) -> None:
    async with FakeServer("openai") as server:
        engine = counting(server, tokens)
        it = delivered(engine, tmp_path, context_tokens=2048)
        if is_sent:
            await it.ask(ask(WORDS, max_tokens=64))
        else:
            error = await failure_of(it.ask(ask(WORDS, max_tokens=64)))
            assert (error.kind, f"{tokens:,} tokens" in error.message) == ("context_overflow", True)
        assert (engine.counts, len(server.chats)) == (1, int(is_sent))


async def test_an_engine_that_cannot_count_gets_what_may_fit(tmp_path: Path) -> None:
    async with FakeServer("openai") as server:
        engine = counting(server, None)
        await delivered(engine, tmp_path, context_tokens=2304).ask(ask(WORDS, max_tokens=64))
        assert len(server.chats) == 1


async def test_an_engine_that_was_caught_truncating_gets_only_what_surely_fits(
    tmp_path: Path,
) -> None:
    async with FakeServer("openai") as server:
        it = delivered(counting(server, None), tmp_path, context_tokens=2304)
        it.measured.learn("e", MODEL, truncates=True)
        assert (await failure_of(it.ask(ask(WORDS, max_tokens=64)))).kind == "context_overflow"
        assert server.chats == []


async def test_the_window_that_a_model_is_loaded_with_has_the_last_word(tmp_path: Path) -> None:
    desk = Desk(loaded=LoadedModel(model=MODEL, context_tokens=1024))
    async with FakeServer("openai") as server:
        it = delivered(counting(server, 3_000), tmp_path, desk=desk, context_tokens=32768)
        error = await failure_of(it.ask(ask(WORDS)))
        assert (error.kind, server.chats, desk.held) == ("context_overflow", [], 0)
    assert "1,024" in error.message


@pytest.mark.parametrize(
    ("kind", "max_tokens", "repairs"),
    [("openai", 348, ("max_tokens_lowered",)), ("llamacpp", 1000, ())],
)
async def test_a_longer_answer_than_fits_is_lowered_only_where_it_would_fail_and_is_said(
    tmp_path: Path, kind: str, max_tokens: int, repairs: tuple[str, ...]
) -> None:
    async with FakeServer(kind) as server:
        it = delivered(counting(server, 1700), tmp_path, context_tokens=2048)
        completion = await it.ask(ask(WORDS, max_tokens=1000))
        assert completion.repairs == repairs
        assert server.chats[0].body["max_tokens"] == max_tokens


async def test_a_prompt_that_was_cut_off_is_flagged_and_remembered(tmp_path: Path) -> None:
    cut = answer("about the end of it", usage={"prompt_tokens": 4096, "completion_tokens": 5})
    async with FakeServer("openai", [cut]) as server:
        it = delivered(OpenAICompatibleEngine("e", server.settings()), tmp_path)
        completion = await it.ask(ask("x" * 1_000_000))
    assert completion.flags == ("prompt_truncated",)
    learned = it.measured.of("e", MODEL)
    assert (learned.truncates, learned.bytes_per_token) == (True, None)


async def test_an_exact_count_shows_what_was_cut_off(tmp_path: Path) -> None:
    cut = answer("x", usage={"prompt_tokens": 1500, "completion_tokens": 1})
    async with FakeServer("openai", [cut]) as server:
        it = delivered(counting(server, 1900), tmp_path, context_tokens=2048)
        assert (await it.ask(ask(WORDS, max_tokens=64))).flags == ("prompt_truncated",)


class TestOllama:
    """Its requests choose the window, and another window loads the model anew."""

    @staticmethod
    def engine(server: FakeServer) -> Engine:
        return build_engine("o", server.settings(locality="local"))

    @staticmethod
    def windows(server: FakeServer) -> list[int]:
        return [call.body["options"]["num_ctx"] for call in server.chats]

    async def test_the_window_stays_until_a_prompt_needs_more(self, tmp_path: Path) -> None:
        async with FakeServer("ollama") as server:
            it = delivered(self.engine(server), tmp_path, context_tokens=4096)
            for prompt in ("hi", "hi there", "x" * 16_000, "x" * 10_000, "hi"):
                await it.ask(ask(prompt, max_tokens=64))
            assert self.windows(server) == [4096, 4096, 16384, 16384, 16384]

    async def test_a_call_asks_for_the_window_that_the_model_was_leased_with(
        self, tmp_path: Path
    ) -> None:
        desk = Desk(loaded=LoadedModel(model=MODEL, context_tokens=32_768))
        async with FakeServer("ollama") as server:
            await delivered(self.engine(server), tmp_path, desk=desk).ask(ask("hi"))
            assert self.windows(server) == [32_768]
        assert [options.context_tokens for _, options, _ in desk.asked] == [None]

    async def test_a_window_never_grows_beyond_what_the_model_was_trained_on(
        self, tmp_path: Path
    ) -> None:
        async with FakeServer("ollama") as server:
            it = delivered(self.engine(server), tmp_path, max_context_tokens=8192)
            await it.ask(ask("x" * 16_000, max_tokens=64))
            assert self.windows(server) == [8192]
            error = await failure_of(it.ask(ask("x" * 80_000, max_tokens=64)))
            assert (error.kind, len(server.chats)) == ("context_overflow", 1)

    async def test_a_window_that_is_smaller_than_usual_is_no_reason_to_refuse(
        self, tmp_path: Path
    ) -> None:
        async with FakeServer("ollama") as server:
            it = delivered(self.engine(server), tmp_path, context_tokens=2048)
            await it.ask(ask("x" * 6_000, max_tokens=64))
            assert self.windows(server) == [4096]

    async def test_a_declared_window_is_kept_to(self, tmp_path: Path) -> None:
        async with FakeServer("ollama") as server:
            it = delivered(
                self.engine(server), tmp_path, declared=ModelSettings(context_tokens=6000)
            )
            await it.ask(ask("hi", max_tokens=64))
            assert self.windows(server) == [6000]
            assert (await failure_of(it.ask(ask("x" * 80_000)))).kind == "context_overflow"
