"""An object may take several calls: each is on record, and the caller's limits bound them all."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from rung.errors import EngineError
from tests.fakes.server import Call, Reply, answer
from tests.ladder import SMALL, Ladder, ladder

SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}


class WrongThenStalled:
    """Answers wrongly, then begins an answer that never ends."""

    def __init__(self) -> None:
        self.is_asked_again = asyncio.Event()
        self._calls = 0

    def __call__(self, call: Call) -> Reply:
        self._calls += 1
        if self._calls == 1:
            return answer('{"n": "four"}')
        self.is_asked_again.set()
        return answer('{"n": 4, "more": 5}', stall_after=2)


async def statuses(it: Ladder) -> list[tuple[str, str | None]]:
    rows = await it.rung.ledger.calls()
    return sorted((row.status, row.error_kind) for row in rows)


async def test_each_call_for_an_object_is_on_record(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=['{"n": "four"}', '{"n": 4}']) as it:
        completion = await it.rung.ask("n?", schema=SCHEMA, model=SMALL)
        rows = await it.rung.ledger.calls()
    assert completion.repairs == ("repair_turn",)
    assert len(rows) == 2
    assert completion.usage.tokens_out == sum(row.tokens_out or 0 for row in rows)


async def test_a_timeout_bounds_all_calls_together(tmp_path: Path) -> None:
    script = WrongThenStalled()
    async with ladder(tmp_path, small=script) as it:
        with pytest.raises(EngineError) as caught:
            await it.rung.ask("n?", schema=SCHEMA, model=SMALL, timeout_s=2.0)
        assert caught.value.kind == "timeout"
        assert await statuses(it) == [("error", "timeout"), ("ok", None)]


async def test_cancelling_in_the_middle_of_a_further_call_ends_it_and_is_on_record(
    tmp_path: Path,
) -> None:
    script = WrongThenStalled()
    async with ladder(tmp_path, small=script) as it:
        task = asyncio.create_task(it.rung.ask("n?", schema=SCHEMA, model=SMALL))
        await script.is_asked_again.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await statuses(it) == [("error", "cancelled"), ("ok", None)]
        assert len(it.small.chats) == 2


async def test_leaving_a_stream_in_the_middle_of_a_further_call_ends_it(tmp_path: Path) -> None:
    script = WrongThenStalled()
    async with ladder(tmp_path, small=script) as it:
        async with aclosing(it.rung.stream("n?", schema=SCHEMA, model=SMALL)) as chunks:
            async for chunk in chunks:
                if chunk.step:
                    assert chunk.step == "repair_turn"
                    break
        rows = await statuses(it)
        assert rows[-1] == ("ok", None)
        assert {kind for _, kind in rows[:-1]} <= {"cancelled"}


async def test_what_a_model_thinks_before_an_object_can_be_watched(tmp_path: Path) -> None:
    said = answer('{"n": 4}', reasoning="two and two")
    async with ladder(tmp_path, small=[said]) as it:
        stream = it.rung.stream("n?", schema=SCHEMA, model=SMALL)
        chunks = [chunk async for chunk in stream]
    assert "".join(chunk.reasoning for chunk in chunks) == "two and two"
    assert chunks[-1].completion is not None
    assert chunks[-1].completion.parsed == {"n": 4}
