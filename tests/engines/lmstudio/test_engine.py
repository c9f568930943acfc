from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from rung.chat import LoadedModel, LoadOptions, Message, Tool, ToolCall
from rung.engines.build import build_engine
from rung.engines.lmstudio.engine import LMStudioEngine
from rung.engines.lmstudio.models import find_entry, read_entries
from rung.errors import EngineError
from rung.structured import complete_object
from tests.engines.calls import ask, failure_of, last_of
from tests.fakes.lmstudio import LMStudio, on_disk
from tests.fakes.profiles import LMSTUDIO_MODEL, Route
from tests.fakes.server import MODEL, FakeServer, Reply, Script, failure, tool_call

OTHER = "big-70b"
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
GIB = 1 << 30


@asynccontextmanager
async def running(
    script: Script = ("hi",), *, api_key: str = "", endpoint: str = "", **state: Any
) -> AsyncIterator[tuple[LMStudioEngine, LMStudio]]:
    """An LM Studio with two models, of which `MODEL` is loaded, and the engine that talks to it."""
    async with FakeServer("lmstudio", script, api_key=api_key) as server:
        models = [dict(LMSTUDIO_MODEL), on_disk(OTHER, size_bytes=40 * GIB, publisher="other")]
        studio = LMStudio(server, **{"models": models, **state})
        async with LMStudioEngine("lm", server.settings(endpoint=endpoint)) as engine:
            engine.poll_s = 0.001
            yield engine, studio


def posted(studio: LMStudio, route: str) -> list[dict[str, Any]]:
    """The bodies that came to a route of `/api/v1/models`."""
    return [call.body for call in studio.server.calls if call.path == f"/api/v1/models/{route}"]


def test_the_kind_has_its_own_adapter() -> None:
    settings = FakeServer("lmstudio").settings()
    assert isinstance(build_engine("lm", settings), LMStudioEngine)


# What answers.


@pytest.mark.parametrize(
    "asked", [MODEL, f"{MODEL}@q4_k_m", f"acme/{MODEL}", f"ACME/{MODEL}@Q4_K_M", f"{MODEL}:2"]
)
async def test_a_name_of_the_same_model_is_that_model(asked: str) -> None:
    async with running(answers_any=True) as (engine, studio):
        studio.load(MODEL)
        completion = await engine.complete(ask(model=asked))
    assert (completion.text, completion.flags) == ("hi", ())


async def test_another_model_that_answers_is_an_error_before_a_word_of_it_is_shown() -> None:
    async with running(answers_any=True) as (engine, _):
        with pytest.raises(EngineError) as raised:
            async for chunk in engine.stream(ask(model=OTHER)):
                pytest.fail(f"{chunk.text!r} was shown")
    error = raised.value
    assert (error.kind, error.model) == ("model_not_loaded", OTHER)
    assert MODEL in error.message
    assert OTHER in error.message


async def test_an_identifier_that_a_person_chose_is_looked_up_in_a_fresh_list() -> None:
    async with running([Reply(text="hi", model="my-pet")]) as (engine, studio):
        await engine.loaded()
        studio.load(MODEL)["id"] = "my-pet"
        assert (await engine.complete(ask())).served_model == "my-pet"


@pytest.mark.parametrize("is_listed", [True, False])
async def test_what_cannot_be_told_is_flagged_and_not_refused(is_listed: bool) -> None:
    async with running([Reply(text="hi", model="who-knows")]) as (engine, studio):
        if not is_listed:
            studio.server.routes["/api/v1/models"] = Route(content="broken", status=500)
        completion = await engine.complete(ask())
    assert (completion.text, completion.flags) == ("hi", ("served_other_model",))


def test_a_name_that_two_models_share_is_the_name_of_neither() -> None:
    first, second = on_disk("a/m", variants=["m"]), on_disk("b/m", variants=["M"])
    entries = read_entries({"models": [first, second]})
    assert find_entry(entries, "m@q4") is None
    assert find_entry(entries, "B/M@q4") == entries[1]


async def test_the_right_name_costs_no_further_request() -> None:
    async with running() as (engine, studio):
        await engine.complete(ask())
        assert [call.path for call in studio.server.calls] == ["/v1/chat/completions"]


async def test_without_just_in_time_loading_a_model_that_is_not_loaded_says_so() -> None:
    async with running(jit=False) as (engine, studio):
        studio.unload_all()
        error = await failure_of(engine.complete(ask()))
    assert (error.kind, error.status) == ("model_not_loaded", 404)


# What it says, and what that means.

ERRORS: list[tuple[Reply, str]] = [
    (failure(400, {"error": {"message": "Model is unloaded."}}), "model_not_loaded"),
    (failure(404, {"error": 'Failed to load model "x". Error: no file'}), "model_not_loaded"),
    (
        failure(404, {"error": {"message": "aborted due to insufficient system resources"}}),
        "out_of_memory",
    ),
    (failure(400, {"error": "'response_format.type' must be 'json_schema'"}), "bad_request"),
    (failure(400, {"error": {"message": "x", "type": "invalid_request"}}), "bad_request"),
    (failure(404, {"error": {"message": "x", "type": "model_not_found"}}), "model_missing"),
    (failure(404, {"error": {"message": "x", "type": "job_not_found"}}), "bad_request"),
    (failure(501, {"error": {"message": "x", "type": "not_implemented"}}), "bad_request"),
    (failure(500, {"error": {"message": "x", "type": "internal_error"}}), "server_error"),
    (failure(401, {"error": {"message": "x", "type": "invalid_request"}}), "unauthorized"),
    (failure(403, {"error": {"message": "x", "type": "invalid_request"}}), "unauthorized"),
    (failure(200, {"error": "Unexpected endpoint or method. (POST /x)"}), "bad_request"),
    (Reply(text="a b", error_after=2, error={"type": "unknown", "message": "x"}), "server_error"),
    (
        Reply(text="a b", error_after=2, error={"type": "invalid_request", "message": "x"}),
        "bad_request",
    ),
    (
        Reply(
            text="a b",
            error_after=2,
            error={"type": "invalid_request", "message": "No models loaded"},
        ),
        "model_not_loaded",
    ),
]


@pytest.mark.parametrize("endpoint", ["", "/api/v1/chat"])
@pytest.mark.parametrize(("reply", "kind"), ERRORS, ids=range(len(ERRORS)))
async def test_each_error_has_its_kind_on_either_route(
    reply: Reply, kind: str, endpoint: str
) -> None:
    async with running([reply], endpoint=endpoint) as (engine, _):
        assert (await failure_of(engine.complete(ask()))).kind == kind


async def test_a_missing_token_is_unauthorized_and_not_an_older_version() -> None:
    async with running(api_key="right") as (_, studio):
        settings = studio.server.settings(api_key="")
        async with LMStudioEngine("lm", settings) as engine:
            for work in (
                engine.list_models(),
                engine.loaded(),
                engine.load(MODEL, LoadOptions()),
                engine.unload(MODEL),
                anext(engine.download("acme/new")),
                engine.complete(ask()),
            ):
                assert (await failure_of(work)).kind == "unauthorized"
        assert all("/v0/" not in call.path for call in studio.server.calls)


async def test_a_plain_object_is_asked_for_as_a_schema() -> None:
    async with running(['{"a":1}']) as (engine, studio):
        await engine.complete(ask(schema={"type": "object"}))
        assert studio.server.chats[0].body["response_format"]["type"] == "json_schema"


def sent_bounds(studio: LMStudio) -> list[dict[str, Any]]:
    """How an integer of 0 to 9,999 was sent in each chat: Outlines knows digits, and no bounds."""
    forms = [call.body["response_format"]["json_schema"] for call in studio.server.chats]
    assert all(form["strict"] for form in forms)
    return [form["schema"]["properties"]["n"] for form in forms]


BOUNDED = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 9999}},
    "required": ["n"],
}
FOR_LLAMACPP = {"type": "integer", "minimum": 0, "maximum": 9999}
FOR_OUTLINES = {"type": "integer", "maxDigits": 4}


@pytest.mark.parametrize("version", ["0.3", "0.4"])
@pytest.mark.parametrize(
    ("file_format", "expected"),
    [("gguf", FOR_LLAMACPP), ("mlx", FOR_OUTLINES), ("yet_unknown", FOR_OUTLINES)],
)
async def test_a_schema_is_written_for_what_runs_the_model(
    version: str, file_format: str, expected: dict[str, Any]
) -> None:
    models = [{**LMSTUDIO_MODEL, "format": file_format}]
    script = ['{"n":1}'] * 2
    async with running(script, models=models, version=version) as (engine, studio):
        for _ in range(2):
            await engine.complete(ask(schema=BOUNDED))
        assert sent_bounds(studio) == [expected] * 2
        lists = [call.path for call in studio.server.calls if call.path.endswith("/models")]
        assert len(lists) == len(set(lists))


async def test_a_schema_is_sent_even_where_no_list_tells_what_runs_the_model() -> None:
    async with running(['{"n":1}']) as (engine, studio):
        studio.server.routes["/api/v1/models"] = Route(content={"error": "oops"}, status=500)
        await engine.complete(ask(schema=BOUNDED))
        assert sent_bounds(studio) == [FOR_LLAMACPP]


async def test_an_object_that_landed_in_the_reasoning_is_found_there() -> None:
    lost = Reply(text="", reasoning='{"a": "b"}', usage={"prompt_tokens": 3})
    async with running([lost]) as (engine, _):
        completion = await complete_object(engine.complete, ask(schema=SCHEMA))
    assert completion.parsed == {"a": "b"}
    assert completion.repairs == ("recovered_from_reasoning",)


async def test_a_tool_that_lm_studio_renamed_gets_its_own_name_back() -> None:
    calls = (tool_call("get_weather", '{"city":"Bonn"}', "123456789"),)
    reply = Reply(text=None, tool_calls=calls, finish_reason="tool_calls")
    async with running([reply]) as (engine, _):
        completion = await engine.complete(ask(tools=(Tool(name="getWeather"),)))
    call = ToolCall(id="123456789", name="getWeather", arguments='{"city":"Bonn"}')
    assert (completion.tool_calls, completion.repairs) == ((call,), ("tool_name_restored",))


async def test_a_call_that_lm_studio_left_in_the_text_is_made_and_never_shown() -> None:
    printed = 'One moment.\n\n[TOOL_CALLS]look[ARGS]{"at": "the sky"}'
    async with running([printed]) as (engine, _):
        text, _, completion = await last_of(engine, ask(tools=(Tool(name="look"),)))
    assert text == completion.text == "One moment."
    assert [(call.name, call.arguments) for call in completion.tool_calls] == [
        ("look", '{"at": "the sky"}')
    ]
    assert completion.finish_reason == "tool_calls"
    assert completion.repairs == ("tool_calls_taken_out_of_text",)


async def test_an_object_that_was_asked_for_is_no_call_though_it_looks_like_one() -> None:
    text = '{"name": "look", "arguments": {}}'
    async with running([text]) as (engine, _):
        request = ask(tools=(Tool(name="look"),), schema={"type": "object"})
        completion = await engine.complete(request)
    assert (completion.text, completion.tool_calls) == (text, ())


async def test_old_reasoning_is_not_sent_again() -> None:
    history = (
        Message(role="user", content="<think>mine</think> hi"),
        Message(role="assistant", content="<think>secret</think>\nhello"),
        Message(role="user", content="again"),
    )
    async with running() as (engine, studio):
        await engine.complete(ask(messages=history))
        sent = [message["content"] for message in studio.server.chats[0].body["messages"]]
    assert sent == ["<think>mine</think> hi", "hello", "again"]


@pytest.mark.parametrize(
    ("think", "reasoning", "flags"),
    [
        (True, "hm", ()),
        (True, "", ("thinking_not_switched",)),
        (False, "", ()),
        (False, "hm", ("thinking_not_switched",)),
        (None, "hm", ()),
    ],
)
@pytest.mark.parametrize("endpoint", ["", "/api/v1/chat"])
async def test_thinking_that_could_not_be_switched_is_flagged(
    think: bool | None, reasoning: str, flags: tuple[str, ...], endpoint: str
) -> None:
    async with running([Reply(text="hi", reasoning=reasoning)], endpoint=endpoint) as (engine, _):
        assert (await engine.complete(ask(think=think))).flags == flags


# Loading.


async def test_a_model_is_loaded_as_asked_and_told_so() -> None:
    async with running() as (engine, studio):
        loaded = await engine.load(OTHER, LoadOptions(context_tokens=16384, slots=2))
        assert posted(studio, "load") == [
            {"model": OTHER, "echo_load_config": True, "context_length": 16384, "parallel": 2}
        ]
        assert loaded == LoadedModel(
            model=OTHER,
            instance=OTHER,
            context_tokens=16384,
            slots=2,
            memory_bytes=40 * GIB,
            load_ms=9099.0,
        )
        assert {one.model for one in await engine.loaded()} == {MODEL, OTHER}


@pytest.mark.parametrize(
    "options",
    [
        LoadOptions(),
        LoadOptions(context_tokens=8192),
        LoadOptions(context_tokens=8192, slots=4),
        LoadOptions(slots=4),
    ],
)
async def test_a_model_that_is_loaded_so_already_stays(options: LoadOptions) -> None:
    async with running() as (engine, studio):
        loaded = await engine.load(f"acme/{MODEL}@q4_k_m", options)
        assert (loaded.model, loaded.instance, loaded.context_tokens) == (MODEL, MODEL, 8192)
        assert posted(studio, "load") == posted(studio, "unload") == []


async def test_other_options_load_it_anew_and_leave_other_models_alone() -> None:
    async with running() as (engine, studio):
        studio.load(OTHER)
        studio.load(MODEL, 2048)
        loaded = await engine.load(MODEL, LoadOptions(context_tokens=16384))
        assert posted(studio, "unload") == [{"instance_id": MODEL}, {"instance_id": f"{MODEL}:2"}]
        assert loaded.context_tokens == 16384
        assert set(studio.instances) == {MODEL, OTHER}


async def test_more_context_than_the_model_has_is_not_loaded_again_and_again() -> None:
    async with running() as (engine, studio):
        for _ in range(2):
            loaded = await engine.load(MODEL, LoadOptions(context_tokens=10**6))
            assert loaded.context_tokens == 32768
        assert len(posted(studio, "load")) == 1


async def test_a_version_that_refuses_slots_loads_without_them_and_says_what_it_has() -> None:
    async with running(takes_parallel=False) as (engine, studio):
        studio.unload_all()
        for _ in range(2):
            loaded = await engine.load(MODEL, LoadOptions(context_tokens=2048, slots=1))
            assert (loaded.context_tokens, loaded.slots) == (2048, 4)
        assert ["parallel" in body for body in posted(studio, "load")] == [True, False]


@pytest.mark.parametrize("options", [LoadOptions(kv_type="q8_0"), LoadOptions(gpu_layers=0)])
async def test_an_option_that_it_cannot_take_is_refused_and_not_forgotten(
    options: LoadOptions,
) -> None:
    async with running() as (engine, studio):
        error = await failure_of(engine.load(MODEL, options))
        assert (error.kind, posted(studio, "load")) == ("bad_request", [])


@pytest.mark.parametrize(("name", "kind"), [(OTHER, "out_of_memory"), ("nobody", "model_missing")])
async def test_a_load_that_fails_says_why(name: str, kind: str) -> None:
    async with running(memory_bytes=GIB) as (engine, _):
        assert (await failure_of(engine.load(name, LoadOptions()))).kind == kind


async def test_unloading_takes_every_instance_and_nothing_else() -> None:
    async with running() as (engine, studio):
        studio.load(MODEL)
        studio.load(OTHER)
        await engine.unload(f"{MODEL}@q4_k_m")
        assert set(studio.instances) == {OTHER}
        await engine.unload(MODEL)
        await engine.unload("nobody")


async def test_an_instance_that_went_by_itself_is_unloaded() -> None:
    async with running() as (engine, studio):
        studio.unload_all()
        stale = {"models": [dict(LMSTUDIO_MODEL)]}
        studio.server.routes["/api/v1/models"] = Route(content=stale)
        await engine.unload(MODEL)
        assert posted(studio, "unload") == [{"instance_id": MODEL}]


# Versions.


async def test_an_older_lm_studio_chats_and_tells_what_is_loaded_but_cannot_load() -> None:
    async with running(version="0.3") as (engine, _):
        assert (await engine.complete(ask())).text == "hi"
        assert await engine.loaded() == [
            LoadedModel(model=MODEL, instance=MODEL, context_tokens=8192)
        ]
        for work in (engine.load(MODEL, LoadOptions()), engine.unload(MODEL)):
            error = await failure_of(work)
            assert (error.kind, "lms load" in error.message) == ("bad_request", True)


async def test_a_version_that_does_not_tell_what_is_loaded_says_so() -> None:
    async with running(version="0.3") as (engine, studio):
        studio.server.routes["/api/v0/models"] = Route(content={"error": "Unexpected endpoint"})
        assert (await failure_of(engine.loaded())).kind == "bad_request"


async def test_what_a_newer_version_adds_is_passed_over() -> None:
    strange = {
        **LMSTUDIO_MODEL,
        "format": "splash",
        "type": "omni",
        "capabilities": {"reasoning": {"allowed_options": ["off", 3, "deep"]}, "smell": True},
        "loaded_instances": [
            {"id": MODEL, "config": {"context_length": 512, "reasoning_budget_message": "x"}},
            {"id": None},
            "what",
        ],
        "variants": [{"name": "x"}, f"{MODEL}@q8_0"],
    }
    async with running() as (lm, studio):
        listed = [strange, {"key": 3}, {}, "what", {**LMSTUDIO_MODEL, "key": "b"}]
        studio.server.routes["/api/v1/models"] = Route(content={"models": listed})
        first, second = await lm.list_models()
        assert (first.context_tokens, first.is_chat, first.is_loaded) == (512, True, True)
        assert first.capabilities == {"thinking"}
        assert second.id == "b"
        assert [one.context_tokens for one in await lm.loaded()] == [512, 8192]
        assert (await lm.complete(ask())).text == "hi"


async def test_a_model_that_is_loading_is_not_loaded() -> None:
    loading = {"id": MODEL, "state": "loading", "type": "vlm", "max_context_length": 4096}
    async with running(version="0.3") as (engine, studio):
        studio.server.routes["/api/v0/models"] = Route(content={"data": [loading]})
        (model,) = await engine.list_models()
        assert (model.is_loaded, await engine.loaded()) == (False, [])


# Downloads.


async def downloaded(
    steps: Sequence[dict[str, Any]], model: str = "acme/new@q8_0"
) -> tuple[list[tuple[int, int | None, str]], list[dict[str, Any]]]:
    """What was seen of a download, and what was asked for."""
    async with running(downloads=steps) as (engine, studio):
        seen = [(p.done_bytes, p.total_bytes, p.status) async for p in engine.download(model)]
        return seen, posted(studio, "download")


def step(status: str, done: int | None = None, **more: Any) -> dict[str, Any]:
    return {"status": status, **({} if done is None else {"downloaded_bytes": done}), **more}


async def test_a_download_is_watched_to_its_end_and_never_goes_back() -> None:
    steps = [
        step("downloading", total_size_bytes=100),
        step("downloading", 30, bytes_per_second=3),
        step("downloading", 10),
        step("paused", 40),
        step("downloading", 70),
        step("completed"),
    ]
    seen, asked = await downloaded(steps)
    assert seen == [
        (0, 100, "downloading"),
        (30, 100, "downloading"),
        (40, 100, "paused"),
        (70, 100, "downloading"),
        (100, 100, "completed"),
    ]
    assert asked == [{"model": "acme/new", "quantization": "q8_0"}]


async def test_a_page_of_the_hub_is_asked_for_as_it_is() -> None:
    page = "https://huggingface.co/acme/new-GGUF"
    _, asked = await downloaded([step("completed", 5)], page)
    assert asked == [{"model": page}]


async def test_a_model_that_is_there_is_not_downloaded() -> None:
    seen, _ = await downloaded([], MODEL)
    assert seen == [(700, 700, "already_downloaded")]


@pytest.mark.parametrize(
    ("steps", "kind"),
    [
        ([step("downloading", 1), step("failed")], "server_error"),
        ([step("failed")], "server_error"),
        ([step("downloading", 1)], "bad_request"),  # the job is forgotten
        ([{"status": "downloading", "job_id": None}], "server_error"),
    ],
)
async def test_a_download_that_fails_is_an_error(steps: list[dict[str, Any]], kind: str) -> None:
    with pytest.raises(EngineError) as raised:
        await downloaded(steps)
    assert raised.value.kind == kind


async def test_a_download_that_stands_still_is_given_up_but_not_while_it_is_checked() -> None:
    still, full = (
        [step("paused", 4, total_size_bytes=9)] * 200,
        step("downloading", 9, total_size_bytes=9),
    )
    for steps, is_over in ((still, False), ([full] * 200 + [step("completed")], True)):
        async with running(downloads=steps) as (engine, studio):
            engine.settings = studio.server.settings(stall_timeout_s=0.01)
            try:
                seen = [progress.status async for progress in engine.download("acme/new")]
            except EngineError as error:
                seen = [error.kind]
            assert seen[-1] == ("completed" if is_over else "timeout")


async def test_leaving_a_download_only_ends_the_watch() -> None:
    steps = [step("downloading", done) for done in range(100)]
    async with running(downloads=steps) as (engine, studio):
        progress = engine.download("acme/new")
        await anext(progress)
        await progress.aclose()
        assert {call.method for call in studio.server.calls} == {"POST"}
