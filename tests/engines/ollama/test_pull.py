from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from rung.chat import DownloadProgress
from rung.engines.ollama.engine import OllamaEngine
from rung.engines.ollama.pull import PullProgress
from rung.errors import EngineErrorKind
from tests.engines.calls import failure_of, until
from tests.fakes.ollama import Ollama
from tests.fakes.ollama_lines import line
from tests.fakes.ollama_pull import Pulls
from tests.fakes.profiles import Route
from tests.fakes.server import FakeServer

WEIGHTS, TEMPLATE = "sha256:" + "a" * 64, "sha256:" + "b" * 64
SIZE = 1300


@asynccontextmanager
async def pulling(
    stall_timeout_s: float = 600.0, **state: Any
) -> AsyncIterator[tuple[OllamaEngine, FakeServer, Pulls]]:
    """An engine whose registry has `new` in two layers, the stand-in, and the pulls' state."""
    async with FakeServer("ollama") as server:
        registry = {"new:latest": {WEIGHTS: 1000, TEMPLATE: 300}}
        pulls = Ollama(server, pulls=Pulls(registry=registry, **state)).pulls
        settings = server.settings(stall_timeout_s=stall_timeout_s)
        async with OllamaEngine("box", settings) as box:
            yield box, server, pulls


async def all_of(box: OllamaEngine, model: str = "new") -> list[DownloadProgress]:
    return [progress async for progress in box.download(model)]


async def test_a_pull_comes_to_its_end_and_the_model_is_there() -> None:
    async with pulling() as (box, _, _):
        steps = await all_of(box)
        assert "new:latest" in {model.id for model in await box.list_models()}
    assert (steps[-1].done_bytes, steps[-1].total_bytes) == (SIZE, SIZE)
    assert (steps[0].total_bytes, steps[-1].status) == (None, "success")
    assert all(one.done_bytes <= two.done_bytes for one, two in pairwise(steps))


async def test_a_pull_that_is_left_stops_and_goes_on_from_there_when_asked_again() -> None:
    async with pulling() as (box, server, pulls):
        steps = box.download("new")
        async for progress in steps:
            if progress.done_bytes >= 500:
                break
        await steps.aclose()
        call = next(call for call in server.calls if call.path == "/api/pull")
        await until(lambda: call.is_over.is_set())
        rest = await all_of(box)
        assert pulls.sent_bytes == SIZE
    assert rest[-1].status == "success"
    assert max(step.done_bytes for step in rest) == SIZE


async def test_a_pull_that_is_left_ends_the_connection() -> None:
    async with pulling(stop_after=4, then="stall") as (box, server, _):
        steps = box.download("new")
        await anext(steps)
        await steps.aclose()
        call = next(call for call in server.calls if call.path == "/api/pull")
        await until(lambda: call.is_dropped.is_set())


@pytest.mark.parametrize(
    ("then", "kind"),
    [("fail", "server_error"), ("drop", "unreachable"), ("end", "unreachable")],
)
async def test_a_broken_pull_is_an_error_and_resumes(then: str, kind: EngineErrorKind) -> None:
    async with pulling(stop_after=7, then=then) as (box, _, pulls):
        error = await failure_of(all_of(box))
        assert (error.kind, error.model) == (kind, "new")
        pulls.stop_after = None
        assert (await all_of(box))[-1].status == "success"
        assert pulls.sent_bytes == SIZE


async def test_a_pull_that_repeats_its_figures_stands_still() -> None:
    async with pulling(0.15, stop_after=7, then="stall") as (box, server, _):
        error = await failure_of(all_of(box))
        assert (error.kind, "ask again" in error.message) == ("timeout", True)
        call = next(call for call in server.calls if call.path == "/api/pull")
        await until(lambda: call.is_dropped.is_set())


async def test_a_server_that_says_nothing_at_all_is_given_up() -> None:
    async def silent(*_: object) -> Any:
        await asyncio.Event().wait()

    async with pulling(0.15) as (box, server, _):
        server.handlers["POST", "/api/pull"] = silent
        assert (await failure_of(all_of(box))).kind == "timeout"


async def test_a_model_that_does_not_exist_is_missing_though_the_status_is_200() -> None:
    async with pulling() as (box, _, _):
        assert (await failure_of(all_of(box, "nothing"))).kind == "model_missing"


async def test_a_cloud_model_is_not_pulled() -> None:
    async with pulling() as (box, server, _):
        assert "cloud" in (await failure_of(all_of(box, "giant:cloud"))).message
        assert server.calls == []


@pytest.mark.parametrize(
    ("route", "kind"),
    [
        (Route(content={"error": "requires a newer version of Ollama"}, status=412), "bad_request"),
        (Route(content={"error": "model name is invalid"}, status=400), "bad_request"),
        (Route(content="404 page not found", status=404), "bad_request"),
        (Route(content="<html>hi</html>"), "unreachable"),
        (Route(content=""), "bad_output"),
        (Route(content='{"status":"pulling man'), "bad_output"),
        (Route(content={"error": "no space left on device"}), "server_error"),
    ],
)
async def test_each_lie_of_a_pull_has_its_kind(route: Route, kind: EngineErrorKind) -> None:
    async with pulling() as (box, server, _):
        server.routes["/api/pull"] = route
        assert (await failure_of(all_of(box))).kind == kind


def test_layers_that_take_turns_and_stand_still_are_no_progress() -> None:
    progress = PullProgress()
    turns = [
        {"status": f"pulling {digest}", "digest": digest, "total": 10, "completed": 5}
        for digest in ("a", "b")
    ]
    assert [progress.take(turn) is not None for turn in turns * 3] == [True, True] + [False] * 4


@given(
    st.lists(
        st.fixed_dictionaries(
            {"status": st.sampled_from(["pulling x", "verifying sha256 digest"])},
            optional={
                "digest": st.sampled_from(["a", "b", "c", "", 7]),
                "total": st.one_of(st.integers(-5, 100), st.none(), st.text(max_size=2)),
                "completed": st.one_of(st.integers(-5, 100), st.none(), st.floats()),
            },
        )
    )
)
def test_progress_never_goes_back_and_never_exceeds_its_total(lines: list[dict[str, Any]]) -> None:
    progress = PullProgress()
    steps = [step for raw in lines if (step := progress.take(raw)) is not None]
    assert all(one.done_bytes <= two.done_bytes for one, two in pairwise(steps))
    assert all(step.done_bytes <= (step.total_bytes or 0) for step in steps)


async def test_a_long_check_after_the_last_byte_is_no_stall() -> None:
    async def check(_: FakeServer, request: web.Request, __: object) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(line(status="verifying sha256 digest"))
        await asyncio.sleep(0.3)
        await response.write(line(status="success"))
        return response

    async with pulling(0.1) as (box, server, _):
        server.handlers["POST", "/api/pull"] = check
        assert (await all_of(box))[-1].status == "success"
