"""The window of the real embedded model: exact to the token, and nothing is ever cut off."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rung import Message, Rung
from rung.chat import ChatRequest, Completion
from rung.config.settings import EmbeddedSettings, Settings
from rung.errors import EngineError
from rung.routing.delivery import Delivery, Trace
from tests.starter import STARTER

WINDOW = 320
ROOM = 8
WORD = {"enum": ["noted"]}


@pytest.fixture
async def rung(starter_model_dir: Path, tmp_path: Path) -> AsyncIterator[Rung]:
    settings = Settings(
        discover=False,
        data_dir=tmp_path,
        models_dir=starter_model_dir,
        embedded=EmbeddedSettings(context_tokens=WINDOW),
    )
    async with Rung(settings) as it:
        yield it


def request(words: int) -> ChatRequest:
    """The schema makes even a bewildered model say something; it is no part of the prompt."""
    turns = (Message(role="user", content="note" + " note" * words),)
    return ChatRequest(model=STARTER, messages=turns, max_tokens=ROOM, schema=WORD, temperature=0.0)


async def answered(rung: Rung, words: int) -> Completion:
    delivery = Delivery(rung.settings, rung.measured, rung.manager)
    model = await rung.router.find(f"embedded/{STARTER}")
    chunks = [chunk async for chunk in delivery.stream(model, request(words), Trace())]
    completion = chunks[-1].completion
    assert completion is not None
    return completion


async def test_a_prompt_of_the_last_token_is_answered_and_one_more_is_refused(rung: Rung) -> None:
    engine = (await rung.router.find(f"embedded/{STARTER}")).engine

    async def count(words: int) -> int:
        tokens = await engine.count_tokens(request(words))
        assert tokens is not None
        return tokens

    short = await answered(rung, 1)
    assert (await count(1), short.flags) == (short.usage.tokens_in, ())
    most = WINDOW - ROOM - await count(0)
    assert await count(most) == WINDOW - ROOM
    completion = await answered(rung, most)
    assert (completion.usage.tokens_in, completion.flags) == (WINDOW - ROOM, ())
    with pytest.raises(EngineError, match=f"has {WINDOW - ROOM + 1} tokens") as error:
        await answered(rung, most + 1)
    assert error.value.kind == "context_overflow"


async def test_an_answer_teaches_the_models_own_ratio(rung: Rung) -> None:
    usage = (await answered(rung, 200)).usage
    learned = rung.measured.of("embedded", STARTER)
    assert usage.tokens_in
    assert learned.bytes_per_token == pytest.approx(201 * 5 / usage.tokens_in, rel=0.15)
