from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import aiohttp
import msgspec
import pytest

from rung.chat import (
    Cancellation,
    ChatRequest,
    EmbedRequest,
    LoadOptions,
    Message,
    ModelInfo,
)
from rung.config.settings import EmbeddedSettings
from rung.engines.embedded import engine as embedded
from rung.engines.embedded import process as embedded_process
from rung.engines.embedded.engine import EmbeddedEngine
from rung.errors import EngineError, ModelError
from tests.engines.calls import failure_of, last_of, until
from tests.engines.processes import is_running, kill, model_processes, processor_s

MODEL = "smollm2-135m"
OWNER = Path(__file__).with_name("owner.py")
Make = Callable[..., EmbeddedEngine]


def ask(prompt: str = "Count to one hundred.", **parts: Any) -> ChatRequest:
    fields: dict[str, Any] = {"model": MODEL, "max_tokens": 4, "temperature": 0.0, **parts}
    return ChatRequest(messages=(Message(role="user", content=prompt),), **fields)


def long_answer(**parts: Any) -> ChatRequest:
    """An answer that is not over before the test is, unless it is stopped."""
    return ask(max_tokens=3000, **parts)


def pid_of(engine: EmbeddedEngine) -> int | None:
    """The process of an engine that has one model, or none."""
    return next(iter(engine.pids.values()), None)


async def names_of(engine: EmbeddedEngine) -> list[str]:
    """The models that are loaded."""
    return [loaded.model for loaded in await engine.loaded()]


@pytest.fixture(scope="session")
def gguf(starter_model_dir: Path) -> Path:
    (path,) = (starter_model_dir / MODEL).glob("*.gguf")
    return path


@pytest.fixture
async def make(gguf: Path) -> AsyncIterator[Make]:
    """Makes engines that have the starter model under any name, and closes them."""
    engines: list[EmbeddedEngine] = []

    def build(path: Path = gguf, **settings: Any) -> EmbeddedEngine:
        installed = [ModelInfo(id=MODEL, context_tokens=8192)]
        engine = EmbeddedEngine(EmbeddedSettings(**settings), lambda _: path, lambda: installed)
        engines.append(engine)
        return engine

    yield build
    for engine in engines:
        await engine.close()


async def test_an_answer_is_streamed_and_timed(make: Make) -> None:
    engine = make()
    text, _, first = await last_of(engine, ask())
    second = await engine.complete(ask())
    assert text == first.text != ""
    assert (first.engine, first.model, first.served_model) == ("embedded", MODEL, MODEL)
    assert (first.locality, first.finish_reason, first.usage.tokens_out) == ("local", "length", 4)
    assert first.timings.load_ms is not None
    assert second.timings.load_ms is None
    assert second.timings.tokens_per_s is not None
    assert first.timings.total_ms > first.timings.load_ms
    assert second.usage.tokens_cached, "the prompt of the first call is still in the cache"


async def test_a_schema_is_enforced_by_a_grammar(make: Make) -> None:
    colour = {"enum": ["red", "green"]}
    schema = {"type": "object", "properties": {"colour": colour}, "required": ["colour"]}
    completion = await make().complete(ask("Hello!", schema=schema, max_tokens=40))
    assert json.loads(completion.text)["colour"] in ("red", "green")


async def test_concurrent_calls_share_one_process_and_one_load(make: Make) -> None:
    engine = make()
    done = await asyncio.gather(*(engine.complete(ask(f"Say {n}.")) for n in range(4)))
    assert len([c for c in done if c.timings.load_ms is not None]) == 1
    queued = [c.timings.queue_ms for c in done]
    assert queued == sorted(queued), "first come, first served"


async def test_models_are_held_side_by_side_and_lose_no_request(make: Make) -> None:
    engine = make(slots=2)
    models = ["a", "a", "b", "a"]
    done = await asyncio.gather(*(engine.complete(ask(model=model)) for model in models))
    assert [completion.served_model for completion in done] == models
    assert len([c for c in done if c.timings.load_ms is not None]) == 2
    assert await names_of(engine) == ["a", "b"]


async def test_a_crash_of_one_model_leaves_the_other_alone(make: Make) -> None:
    engine = make()
    await engine.complete(ask(model="b"))
    chunks = engine.stream(long_answer(model="a"))
    await anext(chunks)
    kill(engine.pids["b"])
    assert (await anext(chunks)).text
    await chunks.aclose()
    assert (await engine.complete(ask(model="b"))).text


async def test_a_model_is_loaded_and_unloaded_when_told(make: Make) -> None:
    engine = make(slots=2)
    assert await engine.loaded() == []
    loaded = await engine.load("a", LoadOptions(context_tokens=1024))
    assert (loaded.model, loaded.context_tokens, loaded.slots) == ("a", 1024, 2)
    assert loaded.load_ms is not None
    pid = engine.pids["a"]
    assert await engine.load("a", LoadOptions(context_tokens=1024)) == msgspec.structs.replace(
        loaded, memory_bytes=ANY, private_bytes=ANY
    )
    assert engine.pids["a"] == pid, "loaded with the same options it stays as it is"
    assert (await engine.complete(ask(model="a"))).timings.load_ms is None
    await engine.unload("a")
    assert not is_running(pid)
    assert await engine.loaded() == []
    await engine.unload("a")
    await engine.unload("never heard of")


async def test_memory_is_told_as_the_system_sees_it(make: Make) -> None:
    loaded = await make().load("a", LoadOptions())
    if not Path("/proc/self/status").exists():
        pytest.skip("memory is read from /proc")
    assert loaded.memory_bytes is not None
    assert loaded.private_bytes is not None
    assert 100e6 < loaded.private_bytes < loaded.memory_bytes < 500e6


async def test_other_options_wait_for_the_running_answers(make: Make) -> None:
    engine = make()
    chunks = engine.stream(ask(max_tokens=60))
    await anext(chunks)
    load = asyncio.create_task(engine.load(MODEL, LoadOptions(context_tokens=512)))
    completion = [chunk async for chunk in chunks][-1].completion
    assert completion is not None
    assert completion.usage.tokens_out == 60
    assert (await load).context_tokens == 512


async def test_unloading_ends_a_running_answer_which_is_not_begun_again(make: Make) -> None:
    engine = make()
    chunks = engine.stream(long_answer())
    await anext(chunks)
    await engine.unload(MODEL)

    async def drain() -> None:
        async for _ in chunks:
            pass

    assert (await failure_of(drain())).kind == "model_not_loaded"
    assert engine.pids == {}


@pytest.mark.parametrize("kv_type", ["q8_0", "q4_0"])
async def test_a_quantised_cache_takes_less_memory(make: Make, kv_type: Any) -> None:
    engine = make()
    whole = await engine.load("f16", LoadOptions(context_tokens=8192))
    less = await engine.load("less", LoadOptions(context_tokens=8192, kv_type=kv_type))
    assert (await engine.complete(ask(model="less"))).text
    if whole.private_bytes is not None and less.private_bytes is not None:
        assert less.private_bytes < 0.8 * whole.private_bytes


async def test_each_slot_has_its_whole_window(make: Make) -> None:
    engine = make(slots=4)
    await engine.load(MODEL, LoadOptions(context_tokens=512))
    prompts = ["blue stone " * 180] * 4
    done = await asyncio.gather(*(engine.complete(ask(prompt)) for prompt in prompts))
    assert all((completion.usage.tokens_in or 0) > 300 for completion in done)


async def test_the_window_is_no_larger_than_what_the_model_was_trained_on(gguf: Path) -> None:
    known = [ModelInfo(id=MODEL, max_context_tokens=2048)]
    async with EmbeddedEngine(EmbeddedSettings(), lambda _: gguf, lambda: known) as engine:
        loaded = await engine.load(MODEL, LoadOptions(context_tokens=100_000))
        assert loaded.context_tokens == 2048
        assert (await engine.list_models())[0].context_tokens == 2048


async def test_a_chat_model_embeds_by_the_mean_of_its_tokens(make: Make) -> None:
    engine = make()
    texts = ("a cat", "a cat", "the national debt " * 100)
    found = await engine.embed(EmbedRequest(model=MODEL, inputs=texts))
    same, again, other = found.vectors
    assert len(same) == 576
    assert sum(a * b for a, b in zip(same, again, strict=True)) == pytest.approx(1, abs=1e-3)
    assert sum(a * b for a, b in zip(same, other, strict=True)) < 0.99
    assert (await engine.complete(ask())).text, "and it chats again afterwards"


async def test_tokens_are_counted_exactly_and_without_loading(make: Make) -> None:
    engine = make()
    assert await engine.count_tokens(ask()) is None
    assert engine.pids == {}
    completion = await engine.complete(ask())
    assert await engine.count_tokens(ask()) == completion.usage.tokens_in


async def test_a_process_killed_in_mid_answer_is_unreachable_and_the_next_call_works(
    make: Make,
) -> None:
    engine = make()
    chunks = engine.stream(long_answer())
    await anext(chunks)
    first_pid = pid_of(engine)
    kill(first_pid)

    async def drain() -> None:
        async for _ in chunks:
            pass

    error = await failure_of(drain())
    assert (error.kind, "SIGKILL" in error.message) == ("unreachable", True)
    assert (await engine.complete(ask())).text
    assert pid_of(engine) != first_pid


async def test_a_process_killed_before_the_first_token_is_replaced_unseen(make: Make) -> None:
    engine = make()
    await engine.complete(ask())
    first_pid = pid_of(engine)
    kill(first_pid, signal.SIGSTOP)
    call = asyncio.create_task(engine.complete(ask()))
    await until(lambda: engine.in_flight == 1)
    kill(first_pid)
    completion = await call
    assert completion.text
    assert completion.timings.load_ms is not None
    assert pid_of(engine) != first_pid


async def test_a_process_that_dies_while_idle_is_replaced(make: Make) -> None:
    engine = make()
    await engine.complete(ask())
    kill(pid_of(engine))
    assert (await engine.complete(ask())).text


async def test_a_process_killed_while_it_loads_is_unreachable(make: Make) -> None:
    engine = make()
    call = asyncio.create_task(failure_of(engine.complete(ask())))
    await until(lambda: bool(engine.pids))
    kill(pid_of(engine))
    assert (await call).kind == "unreachable"
    assert (await engine.complete(ask())).text


@pytest.mark.parametrize("damage", ["truncated", "garbage", "empty", "folder", "missing"])
async def test_a_damaged_file_says_so_and_leaves_no_process(
    make: Make, gguf: Path, tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "model.gguf"
    if damage == "folder":
        path.mkdir()
    elif damage == "truncated":
        with gguf.open("rb") as whole:
            path.write_bytes(whole.read(20_000_000))
    elif damage != "missing":
        path.write_bytes(b"nonsense" * (damage == "garbage"))
    engine = make(path)
    error = await failure_of(engine.complete(ask()))
    assert error.kind == "model_not_loaded"
    assert "model.gguf could not be loaded" in error.message
    assert ("corrupted or incomplete" in error.message) is (damage == "truncated")
    assert not engine.pids


async def test_a_model_that_is_not_installed_is_missing_and_nothing_is_started() -> None:
    def find(name: str) -> Path:
        raise ModelError(f"{name} is not installed; `rung models pull {name}` fetches it")

    async with EmbeddedEngine(EmbeddedSettings(), find, list) as engine:
        error = await failure_of(engine.complete(ask()))
        health = await engine.health()
        assert (error.kind, "rung models pull" in error.message) == ("model_missing", True)
        assert (health.reachable.ok, pid_of(engine)) == (False, None)


async def test_without_the_extra_it_is_unconfigured_and_names_the_command(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "find_spec", lambda _: None)
    engine = make()
    error = await failure_of(engine.complete(ask()))
    assert (error.kind, "pip install 'rung[embedded]'" in error.message) == ("unconfigured", True)
    assert "rung[embedded]" in ((await engine.health()).reachable.error or "")


async def test_a_missing_system_library_is_named_with_its_package(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said = {"missing": "libgomp.so.1: cannot open shared object file"}
    child = tmp_path / "child.py"
    child.write_text(f"import sys; sys.stdin.readline(); print({json.dumps(said)!r})")
    monkeypatch.setattr(embedded_process, "_CHILD", child)
    error = await failure_of(make().complete(ask()))
    assert (error.kind, "libgomp1" in error.message) == ("unconfigured", True)


async def test_a_load_that_takes_too_long_is_given_up(make: Make) -> None:
    engine = make(load_timeout_s=0.02)
    assert (await failure_of(engine.complete(ask()))).kind == "timeout"
    assert not engine.pids


async def test_a_prompt_of_two_megabytes_overflows_before_anything_is_started(make: Make) -> None:
    engine = make()
    error = await failure_of(engine.complete(ask("hello world " * 170_000)))
    assert (error.kind, pid_of(engine)) == ("context_overflow", None)


async def test_a_prompt_somewhat_too_long_overflows_and_says_by_how_much(make: Make) -> None:
    error = await failure_of(make(context_tokens=512).complete(ask("hello world " * 400)))
    assert (error.kind, "512 tokens" in error.message) == ("context_overflow", True)


async def test_deep_json_never_reaches_the_process(make: Make) -> None:
    schema: dict[str, Any] = {}
    for _ in range(20_000):
        schema = {"type": "array", "items": schema}
    engine = make()
    error = await failure_of(engine.complete(ask(schema=schema)))
    assert (error.kind, pid_of(engine)) == ("bad_request", None)


async def read_some(engine: EmbeddedEngine, request: ChatRequest, begun: asyncio.Event) -> None:
    async for _ in engine.stream(request):
        begun.set()


async def stopped_by_task(engine: EmbeddedEngine) -> None:
    begun = asyncio.Event()
    task = asyncio.create_task(read_some(engine, long_answer(), begun))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def stopped_by_switch(engine: EmbeddedEngine) -> None:
    switch, begun = Cancellation(), asyncio.Event()
    reading = read_some(engine, long_answer(cancel=switch), begun)
    task = asyncio.create_task(failure_of(reading))
    await begun.wait()
    switch.cancel()
    assert (await task).kind == "cancelled"


async def stopped_by_closing(engine: EmbeddedEngine) -> None:
    chunks = engine.stream(long_answer())
    await anext(chunks)
    await chunks.aclose()


@pytest.mark.parametrize("stopped", [stopped_by_task, stopped_by_switch, stopped_by_closing])
async def test_a_stopped_answer_frees_its_slot(make: Make, stopped: Any) -> None:
    engine = make()
    whole = await engine.complete(ask(max_tokens=40))
    generating_ms = whole.timings.total_ms - (whole.timings.load_ms or 0)
    await stopped(engine)
    after = await engine.complete(ask(max_tokens=1))
    # The stopped answer would have gone on for 75 times as long.
    assert after.timings.total_ms < 3 * generating_ms


@pytest.mark.skipif(sys.platform != "linux", reason="reads processor time from /proc")
async def test_a_prompt_that_is_still_being_read_is_abandoned(make: Make) -> None:
    engine = make()
    await engine.complete(ask(max_tokens=1))
    assert bool(engine.pids)
    idle_s = processor_s(pid_of(engine))
    task = asyncio.create_task(engine.complete(ask("blue stone " * 500, max_tokens=1)))
    await until(lambda: processor_s(pid_of(engine)) > idle_s + 0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await engine.complete(ask(max_tokens=1))
    abandoned_s = processor_s(pid_of(engine)) - idle_s
    read_from_s = processor_s(pid_of(engine))
    with suppress(EngineError):
        await engine.complete(ask("red green " * 100, max_tokens=1))
    read_s = processor_s(pid_of(engine)) - read_from_s
    # Read to its end, the abandoned prompt would have cost five times as much as this one.
    assert abandoned_s < 2 * read_s


async def test_the_timeout_covers_the_wait_for_a_slot(make: Make) -> None:
    engine = make()
    running = engine.stream(long_answer())
    await anext(running)
    error = await failure_of(engine.complete(ask(timeout_s=0.05)))
    assert (error.kind, "slot" in error.message) == ("timeout", True)
    await running.aclose()
    assert (await engine.complete(ask())).text, "the one that gave up did not take the slot along"


async def test_closing_ends_a_running_answer_as_cancelled_and_the_process_with_it(
    make: Make,
) -> None:
    engine = make()
    chunks = engine.stream(long_answer())
    await anext(chunks)
    pid = pid_of(engine)
    await asyncio.gather(engine.close(), engine.close())
    assert pid is not None
    assert not is_running(pid)

    async def drain() -> None:
        async for _ in chunks:
            pass

    assert (await failure_of(drain())).kind == "cancelled"
    assert (await failure_of(engine.complete(ask()))).kind == "cancelled"
    assert not engine.pids


async def test_closing_while_it_loads_leaves_no_process(make: Make) -> None:
    engine = make()
    call = asyncio.create_task(failure_of(engine.complete(ask())))
    await until(lambda: bool(engine.pids))
    pid = pid_of(engine)
    await engine.close()
    assert (await call).kind == "cancelled"
    assert pid is not None
    assert not is_running(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize("delay_ms", [0, 1, 3, 6, 10])
@pytest.mark.parametrize("has_loaded", [False, True])
async def test_closing_while_a_model_is_started_or_exchanged_leaves_no_process(
    make: Make, has_loaded: bool, delay_ms: int
) -> None:
    engine = make()
    if has_loaded:
        await engine.complete(ask(model="a", max_tokens=1))
    load = engine.load("a", LoadOptions(context_tokens=512))
    call = asyncio.create_task(failure_of(load))
    await asyncio.sleep(delay_ms / 1000)
    await engine.close()
    assert model_processes() == []
    assert (await call).kind == "cancelled"
    assert model_processes() == []


async def test_a_call_that_is_cancelled_already_starts_nothing(make: Make) -> None:
    engine, switch = make(), Cancellation()
    switch.cancel()
    error = await failure_of(engine.complete(ask(cancel=switch)))
    assert (error.kind, engine.pids) == ("cancelled", {})
    assert (await engine.complete(ask())).text


async def test_a_call_cancelled_while_the_process_starts_loads_nothing(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, switch, pids = make(), Cancellation(), list[int]()
    start = asyncio.create_subprocess_exec

    async def start_and_cancel(*command: Any, **options: Any) -> asyncio.subprocess.Process:
        switch.cancel()
        process = await start(*command, **options)
        pids.append(process.pid)
        return process

    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "create_subprocess_exec", start_and_cancel)
        error = await failure_of(engine.complete(ask(cancel=switch)))
    assert (error.kind, await names_of(engine)) == ("cancelled", [])
    assert [is_running(pid) for pid in pids] == [False]
    assert (await engine.complete(ask())).text


async def test_cancelling_a_load_leaves_no_process(make: Make) -> None:
    engine = make()
    call = asyncio.create_task(engine.complete(ask()))
    await until(lambda: bool(engine.pids))
    pid = pid_of(engine)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert pid is not None
    assert not is_running(pid)
    assert (await engine.complete(ask())).text


async def test_a_cancelled_owner_can_still_close(make: Make) -> None:
    engine = make()

    async def own() -> None:
        async with engine:
            await engine.complete(long_answer())

    task = asyncio.create_task(own())
    await until(lambda: engine.in_flight == 1)
    pid = pid_of(engine)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert pid is not None
    await until(lambda: not is_running(pid))


async def start_owner(gguf: Path) -> tuple[asyncio.subprocess.Process, int]:
    """A program with an engine, and the pid of its child."""
    owner = await asyncio.create_subprocess_exec(
        sys.executable, str(OWNER), str(gguf), stdout=asyncio.subprocess.PIPE, process_group=0
    )
    assert owner.stdout is not None
    word, pid = (await owner.stdout.readline()).split()
    assert word == b"child"
    return owner, int(pid)


async def read_line(owner: asyncio.subprocess.Process) -> bytes:
    assert owner.stdout is not None
    return await owner.stdout.readline()


@pytest.mark.parametrize("when", ["loading", "answering"])
async def test_no_orphan_outlives_an_owner_that_was_killed(gguf: Path, when: str) -> None:
    owner, child = await start_owner(gguf)
    if when == "answering":
        assert await read_line(owner) == b"token\n"
    owner.kill()
    await owner.wait()
    await until(lambda: not is_running(child))


async def test_ctrl_c_reaches_the_owner_only_which_ends_its_child_in_order(gguf: Path) -> None:
    owner, child = await start_owner(gguf)
    assert await read_line(owner) == b"token\n"
    kill(-owner.pid, signal.SIGINT)  # to the whole group, as a terminal does
    lines = [line async for line in owner.stdout or ()]
    assert lines[-1] == b"closed\n"
    assert await owner.wait() == 0
    assert not is_running(child)


async def test_nobody_else_can_use_the_process(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-user")
    engine = make()
    await engine.complete(ask())
    serving = engine._models[MODEL].server
    assert serving is not None
    assert serving.base_url.startswith("http://127.0.0.1:")
    async with aiohttp.ClientSession(headers={"Origin": "http://evil.example"}) as browser:
        async with browser.post(f"{serving.base_url}/chat/completions", json={}) as refused:
            assert refused.status == 401
        async with browser.get(serving.base_url.removesuffix("v1") + "health") as health:
            assert not health.headers.get("Access-Control-Allow-Origin")
    proc = Path(f"/proc/{pid_of(engine)}")
    if proc.exists():
        visible = (proc / "environ").read_bytes() + (proc / "cmdline").read_bytes()
        assert serving.settings.api_key.encode() not in visible
        assert b"sk-of-the-user" not in visible


async def test_health_starts_nothing_unless_it_probes(make: Make) -> None:
    engine = make()
    before = await engine.health(MODEL)
    assert (before.reachable.ok, before.listed.ok, before.loaded.ok) == (True, True, False)
    assert (before.probed.ok, pid_of(engine)) == (None, None)
    probed = await engine.health(MODEL, probe=True)
    assert (probed.loaded.ok, probed.probed.ok) == (True, True)
    after = await engine.health(MODEL)
    assert (after.reachable.ok, after.loaded.ok) == (True, True)


async def test_models_are_listed_with_the_context_they_are_loaded_with(make: Make) -> None:
    engine = make(context_tokens=2048)
    assert await engine.list_models() == [ModelInfo(id=MODEL, context_tokens=2048, is_loaded=False)]
    await engine.complete(ask())
    assert (await engine.list_models())[0].is_loaded


async def test_the_last_words_of_a_crash_are_in_the_error(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    child = tmp_path / "child.py"
    child.write_text(
        "import os, sys\n"
        "sys.stdin.readline()\n"
        "print('x' * 100_000, file=sys.stderr)\n"
        "print('0.00.1 E ggml: failed to allocate buffer', file=sys.stderr, flush=True)\n"
        "os.abort()\n"
    )
    monkeypatch.setattr(embedded_process, "_CHILD", child)
    error: EngineError = await failure_of(make().complete(ask()))
    assert (error.kind, "SIGABRT" in error.message) == ("unreachable", True)
    assert "failed to allocate buffer" in error.message
    assert len(error.message) < 600
