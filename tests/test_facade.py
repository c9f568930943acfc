"""The facade: ask, stream, validate, health; what every door shares."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from rung import Message, Rung
from rung.config.settings import LearningSettings, ModelSettings
from rung.errors import EngineError, SchemaError, UsageError
from rung.escalation.task import Task
from rung.validation.verdict import Candidate
from tests.fakes.replies import answer
from tests.fakes.server import failure
from tests.ladder import BIG, SMALL, ladder, project

SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}


async def test_ask_answers_and_is_on_record(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=["four"]) as it:
        completion = await it.rung.ask("two and two?", temperature=0.5, max_tokens=9)
        assert (completion.text, completion.engine) == ("four", "small")
        sent = it.small.chats[0].body
        assert (sent["temperature"], sent["stream"]) == (0.5, True)
        [call] = await it.rung.ledger.calls()
        assert (call.status, call.tool, call.cost_usd) == ("ok", "openai", 0.0)
        assert call.result_json["response"] == {"text": "four", "length": 4}


async def test_ask_takes_a_conversation(tmp_path: Path) -> None:
    turns = [Message(role="system", content="be brief"), Message(role="user", content="hi")]
    async with ladder(tmp_path) as it:
        await it.rung.ask(turns)
        assert [m["role"] for m in it.small.chats[0].body["messages"]] == ["system", "user"]


async def test_ask_with_a_schema_gives_a_valid_object(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=['{"n": 4}']) as it:
        assert (await it.rung.ask("n?", schema=SCHEMA)).parsed == {"n": 4}
        with pytest.raises(SchemaError):
            await it.rung.ask("n?", schema={"type": "strin"})


async def test_ask_with_a_schema_never_returns_an_invalid_object(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=['{"n": "four"}']) as it:
        with pytest.raises(EngineError) as error:
            await it.rung.ask("n?", schema=SCHEMA, model=SMALL)
        assert error.value.kind == "bad_output"
        assert len(it.small.chats) == 2


async def test_an_object_can_be_watched_as_it_grows(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=['{"n": "four"}', '{"n": 4}']) as it:
        async with aclosing(it.rung.stream("n?", schema=SCHEMA, model=SMALL)) as chunks:
            *views, last = [chunk async for chunk in chunks]
        assert any(isinstance(view.partial, dict) for view in views)
        assert all(not view.text and (view.partial is None) == bool(view.step) for view in views)
        assert [view.step for view in views if view.step] == ["repair_turn"]
        assert last.completion is not None
        assert (last.completion.parsed, last.completion.repairs) == ({"n": 4}, ("repair_turn",))
        assert len(await it.rung.ledger.calls()) == 2


async def test_an_object_that_was_watched_can_still_come_from_the_next_model(
    tmp_path: Path,
) -> None:
    broken = answer('{"n": 1, "m": "two three four', drop_after=6)
    async with ladder(tmp_path, small=['{"n": 4}'], big=[broken], price=0.0) as it:
        completion = await it.rung.ask("x", schema=SCHEMA)
        assert completion.parsed == {"n": 4}
        assert completion.repairs[0].startswith(f"fell_back_from:{BIG}")


async def test_a_model_may_refuse_where_it_is_allowed_to(tmp_path: Path) -> None:
    refusal = '{"cannot_answer": {"reason": "nobody knows"}}'
    async with ladder(tmp_path, small=[refusal]) as it:
        with pytest.raises(EngineError, match="nobody knows") as error:
            await it.rung.ask("n?", schema=SCHEMA, model=SMALL, may_refuse=True)
        assert error.value.kind == "refused"
        [call] = await it.rung.ledger.calls()
        assert call.status == "ok"
        with pytest.raises(UsageError, match="schema"):
            await it.rung.ask("n?", may_refuse=True)


async def test_a_named_model_answers_or_fails_and_is_never_replaced(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=[failure(500, "x")], price=0.0) as it:
        with pytest.raises(EngineError) as error:
            await it.rung.ask("x", model=SMALL)
        assert error.value.kind == "server_error"
        assert it.big.chats == []


async def test_without_a_name_the_next_one_is_asked_and_it_is_said(tmp_path: Path) -> None:
    async with ladder(
        tmp_path, small=["from the small one"], big=[failure(500, "x")], price=0.0
    ) as it:
        completion = await it.rung.ask("x")
        assert completion.engine == "small"
        assert completion.repairs == (f"fell_back_from:{BIG}:server_error",)


async def test_what_has_begun_is_not_begun_again_elsewhere(tmp_path: Path) -> None:
    broken = answer("one two three four", drop_after=3)
    async with ladder(tmp_path, big=[broken], price=0.0) as it:
        seen = ""
        with pytest.raises(EngineError):
            async with aclosing(it.rung.stream("x")) as chunks:
                async for chunk in chunks:
                    seen += chunk.text
        assert seen
        assert it.small.chats == []


async def test_a_prompt_goes_to_the_next_model_whose_window_holds_it(tmp_path: Path) -> None:
    windows = {
        SMALL: ModelSettings(tier="local_fast", context_tokens=16_384),
        BIG: ModelSettings(tier="haiku", context_tokens=512, usd_per_mtok_in=0, usd_per_mtok_out=0),
    }
    async with ladder(tmp_path, small=["read it all"], models=windows) as it:
        completion = await it.rung.ask("word " * 2_000, max_tokens=64)
        assert completion.repairs == (f"fell_back_from:{BIG}:context_overflow",)
        assert it.big.chats == []
        with pytest.raises(EngineError, match="shorten the prompt") as error:
            await it.rung.ask("word " * 2_000, model=BIG)
        assert (error.value.kind, it.big.chats) == ("context_overflow", [])


@pytest.mark.parametrize("schema", [None, SCHEMA])
async def test_who_names_no_model_does_not_wait_for_a_busy_one(
    tmp_path: Path, schema: dict[str, object] | None
) -> None:
    busy = failure(429, {"error": "slow down"}, headers={"Retry-After": "25"})
    async with ladder(tmp_path, small=['{"n": 4}'], big=[busy], price=0.0) as it:
        async with asyncio.timeout(10):
            completion = await it.rung.ask("x", schema=schema)
        assert completion.repairs[0] == f"fell_back_from:{BIG}:rate_limited"
        assert len(it.big.chats) == 1
        with pytest.raises(EngineError, match="would come after"):
            await it.rung.ask("x", model=BIG, timeout_s=5)


async def test_an_answer_to_a_part_of_the_prompt_is_flagged(tmp_path: Path) -> None:
    cut = answer("x", usage={"prompt_tokens": 4096, "completion_tokens": 1})
    async with ladder(tmp_path, small=[cut]) as it:
        completion = await it.rung.ask("x" * 1_000_000, model=SMALL)
        assert completion.flags == ("prompt_truncated",)
        [call] = await it.rung.ledger.calls()
        assert call.result_json["flags"] == ["prompt_truncated"]


async def test_every_failed_try_is_on_record(tmp_path: Path) -> None:
    busy = failure(503, {"error": "server busy"}, headers={"Retry-After": "0.01"})
    async with ladder(tmp_path, small=[busy, "hi"]) as it:
        completion = await it.rung.ask("x", model=SMALL)
        assert completion.repairs == ("retried:overloaded",)
        [call] = await it.rung.ledger.calls()
        assert [item["kind"] for item in call.result_json["tries"]] == ["overloaded"]
        assert (call.status, call.queue_ms is not None) == ("ok", True)


async def test_closing_a_stream_stops_the_model(tmp_path: Path) -> None:
    slow = answer("word " * 500, between_s=0.01)
    async with ladder(tmp_path, small=[slow]) as it:
        async with aclosing(it.rung.stream("x")) as chunks:
            async for _ in chunks:
                break
        async with asyncio.timeout(5):
            await it.small.chats[0].is_over.wait()
        [call] = await it.rung.ledger.calls()
        assert call.error_kind == "cancelled"


@pytest.mark.parametrize("prompt", ["", "  \n", []])
async def test_an_empty_prompt_is_a_usage_error(tmp_path: Path, prompt: str) -> None:
    async with ladder(tmp_path) as it:
        with pytest.raises(UsageError, match="empty"):
            await it.rung.ask(prompt)


async def test_validate_checks_an_answer_from_elsewhere(tmp_path: Path) -> None:
    root = tmp_path / "p"
    root.mkdir()
    async with ladder(tmp_path) as it:
        good = Candidate(text="", files={"a.py": "x = 1\n"})
        bad = Candidate(text="", files={"a.py": "x = \n"})
        checks = ["syntax", "cmd:test -f a.py"]
        assert [v.result for v in await it.rung.validate(good, checks, root)] == ["pass", "pass"]
        assert [v.result for v in await it.rung.validate(bad, checks, root)] == ["fail"]
    assert list(root.iterdir()) == []


async def test_classify_says_type_and_reasons(tmp_path: Path) -> None:
    async with ladder(tmp_path) as it:
        assert (await it.rung.classify("Fix the typo")).type == "quick_edit"


async def test_classify_says_what_a_task_with_these_files_would_get(tmp_path: Path) -> None:
    root = project(tmp_path)
    (root / "sums.py").write_text("x = 1\n" * 900)
    for name in "abcdef":
        (root / f"{name}.py").write_text("import sums\n")
    learning = LearningSettings(complexity={"standard": 1.0})
    async with ladder(tmp_path, learning=learning) as it:
        text = "Make add faster."
        found = await it.rung.classify(text, ["sums.py"], root)
        task = Task(text, files=["sums.py"], root=root)
        outcome = await it.rung.execute(task)
        assert found.complexity == outcome.complexity
        assert "complexity +1 by learning.complexity" in found.reasons
        assert found.complexity > (await it.rung.classify(text, ["sums.py"], tmp_path)).complexity


async def test_the_list_of_models_has_unknown_prices_as_unknown(tmp_path: Path) -> None:
    async with ladder(tmp_path, price=None) as it:
        rows = {row.model: row for row in await it.rung.list_models()}
        assert rows[SMALL].usd_per_mtok_in == 0.0
        assert rows[BIG].usd_per_mtok_in is None
        assert rows["embedded/smollm2-135m"].state == "pullable"


async def test_health_of_models_says_ready_off_or_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rung.routing.router.HEALTH_FRESH_S", 0.0)
    async with ladder(tmp_path) as it:
        assert (await it.rung.health("lm"))["mode"] == "lm_ready"
        await it.small.stop()
        await it.big.stop()
        async with asyncio.timeout(20):
            while (report := await it.rung.health("lm"))["ok"]:
                await asyncio.sleep(0.01)
        assert (report["ok"], report["mode"]) == (False, "error")
        assert report["details"]["small"]["reachable"]["error"]
    async with Rung(it.rung.settings.replaced(engines={})) as alone:
        assert (await alone.health("lm"))["mode"] == "lm_off"


async def test_a_configured_model_that_is_not_listed_is_not_ready(tmp_path: Path) -> None:
    async with ladder(tmp_path) as it:
        engine = it.small.settings(locality="local", model="absent")
        settings = it.rung.settings.replaced(engines={"small": engine})
        async with Rung(settings) as alone:
            report = await alone.health("lm")
            assert report["ok"] is False
            assert report["details"]["small"]["listed"]["ok"] is False
