from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from rung.chat import Chunk, Completion
from rung.structured import stream_object
from rung.structured.stream import Watch, Work


def script(*steps: str) -> Work:
    """Says the steps one by one; one that begins with "!" is a further call of that name."""

    async def work(watch: Watch) -> Completion:
        for step in steps:
            if step.startswith("!"):
                watch.on_turn(step[1:])
            else:
                watch.on_text(step)
            for _ in range(3):  # let the reader have its look
                await asyncio.sleep(0)
        return Completion(text="".join(steps), engine="e", model="m", parsed={"is": "whole"})

    return work


async def shown(work: Work) -> list[Chunk]:
    async with aclosing(stream_object(work)) as chunks:
        return [chunk async for chunk in chunks]


def partials(chunks: list[Chunk]) -> list[Any]:
    return [chunk.partial for chunk in chunks if chunk.partial is not None]


async def test_views_grow_and_the_last_chunk_alone_has_text_and_completion() -> None:
    *views, last = await shown(script('{"a": "x', "y", '", "b": 1', "2}"))
    assert [view.partial for view in views] == [
        {"a": "x"},
        {"a": "xy"},
        {"a": "xy", "b": 12},
    ]
    assert all(view.completion is None and view.text == "" for view in views)
    assert last.completion is not None
    assert (last.partial, last.text) == (None, last.completion.text)


async def test_an_answer_that_is_begun_anew_is_viewed_anew() -> None:
    views = await shown(script('{"a": "wrong"}', "!repair_turn", '{"a": "ri'))
    assert partials(views) == [{"a": "wrong"}, {"a": "ri"}]


async def test_an_answer_that_is_continued_goes_on_growing() -> None:
    views = await shown(script('{"a": "cu', "!continued", 't"}'))
    assert partials(views) == [{"a": "cu"}, {"a": "cut"}]


async def test_missing_items_are_no_view_of_the_object() -> None:
    views = await shown(script('{"a": [1]}', "!items_asked_again", "[2, 3]"))
    assert partials(views) == [{"a": [1]}]


async def test_what_is_thought_and_why_the_model_is_asked_again_stands_between_the_views() -> None:
    async def work(watch: Watch) -> Completion:
        for piece in ("hm, ", "well"):
            watch.on_reasoning(piece)
        watch.on_text('{"a": 1,')
        await asyncio.sleep(0.001)
        watch.on_turn("repair_turn")
        watch.on_reasoning("oh")
        return Completion(text="", engine="e", model="m")

    *chunks, last = await shown(work)
    assert chunks == [
        Chunk(reasoning="hm, well"),
        Chunk(partial={"a": 1}),
        Chunk(step="repair_turn"),
        Chunk(reasoning="oh"),
    ]
    assert last.completion is not None


async def test_views_that_nobody_takes_are_skipped_but_for_the_last() -> None:
    async def work(watch: Watch) -> Completion:
        for piece in '{"a": "long"}':
            watch.on_text(piece)
        return Completion(text="", engine="e", model="m")

    view, last = await shown(work)
    assert view.partial == {"a": "long"}
    assert last.completion is not None


async def test_an_error_of_the_work_ends_the_stream() -> None:
    async def work(watch: Watch) -> Completion:
        watch.on_text('{"a": 1, ')
        await asyncio.sleep(0)
        raise ValueError("broken")

    seen: list[Chunk] = []
    with pytest.raises(ValueError, match="broken"):
        async with aclosing(stream_object(work)) as chunks:
            async for chunk in chunks:
                seen.append(chunk)  # noqa: PERF401 (what came before the error counts)
    assert [chunk.partial for chunk in seen] == [{"a": 1}]


async def test_closing_the_stream_stops_the_work() -> None:
    is_stopped = False

    async def work(watch: Watch) -> Completion:
        nonlocal is_stopped
        watch.on_text("[1, ")
        try:
            await asyncio.Event().wait()
        finally:
            is_stopped = True
        raise AssertionError

    async with aclosing(stream_object(work)) as chunks:
        async for chunk in chunks:
            assert chunk.partial == [1]
            break
    assert is_stopped
