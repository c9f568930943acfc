"""A probe finds what a model really does, costs nothing unasked, and remembers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rung.errors import UsageError
from rung.models.measured import Measurements
from rung.routing.probe import Probed
from tests.fakes.ollama import Ollama
from tests.fakes.server import MODEL, Call, FakeServer, Reply, answer, failure, tool_call
from tests.ladder import BIG, SMALL, ladder


def able(call: Call) -> Reply:
    """A model that does all that it is asked to."""
    body = call.body
    if "response_format" in body:
        return answer('{"colour": "quimby"}')
    if "tools" in body:
        return answer(
            "",
            tool_calls=(tool_call("get_weather", '{"city": "Paris"}'),),
            finish_reason="tool_calls",
        )
    usage = {"prompt_tokens": 12, "completion_tokens": 20}
    return answer("one two three " * 7, between_s=0.002, usage=usage)


def unable(call: Call) -> Reply:
    """A model that talks, whatever it is asked."""
    if "tools" in call.body:
        return failure(400, {"error": {"message": "tiny-1b does not support tools"}})
    return answer("Well, a ripe banana is yellow.", reasoning="let me think")


async def probed(tmp_path: Path, script: Any, **changes: Any) -> tuple[Probed, Measurements]:
    async with ladder(tmp_path, small=script, **changes) as it:
        chosen = await it.rung.prober.choose([SMALL])
        [result] = [item async for item in it.rung.prober.run(chosen.free)]
        calls = await it.rung.ledger.calls()
        assert {row.args_json["purpose"] for row in calls} == {"probe"}
        assert len(calls) <= 8
        assert all(call.body["max_tokens"] <= 128 for call in it.small.chats)
    return result, Measurements(tmp_path / "data")


async def test_an_able_model_is_found_to_be_so_and_it_is_remembered(tmp_path: Path) -> None:
    result, measured = await probed(tmp_path, able)
    assert result.ok is True
    assert (result.enforces_schema, result.tools, result.thinking) == (True, "native", "none")
    assert result.parallel_slots == 2
    assert result.tokens_per_s
    assert result.first_token_ms
    known = measured.of("small", MODEL)
    assert (known.enforces_schema, known.calls_tools, known.tools_as_text) == (True, True, False)
    assert (known.thinks, known.switches_thinking, known.parallel_slots) == (False, False, 2)
    assert known.probed_at == result.at


async def test_an_unable_model_is_found_to_be_so(tmp_path: Path) -> None:
    result, measured = await probed(tmp_path, unable)
    assert result.ok is True
    assert (result.enforces_schema, result.tools, result.thinking) == (False, "none", "always")
    known = measured.of("small", MODEL)
    assert (known.enforces_schema, known.calls_tools) == (False, False)
    assert (known.thinks, known.switches_thinking) == (True, False)


async def test_an_engine_that_answers_one_after_another_has_one_slot(tmp_path: Path) -> None:
    async with FakeServer("openai", able) as server:
        engines = {"one": server.settings(locality="local", slots=1)}
        async with ladder(tmp_path, engines=engines) as it:
            chosen = await it.rung.prober.choose(["one"])
            [result] = [item async for item in it.rung.prober.run(chosen.free)]
        assert (result.parallel_slots, server.most_at_once) == (1, 1)


async def test_a_model_that_does_not_answer_is_asked_nothing_more(tmp_path: Path) -> None:
    async with ladder(tmp_path, small=[failure(401, {"error": "no"})]) as it:
        chosen = await it.rung.prober.choose([SMALL])
        [result] = [item async for item in it.rung.prober.run(chosen.free)]
        assert (result.ok, len(it.small.chats)) == (False, 1)
        assert "unauthorized" in str(result.error)


async def test_an_old_verdict_is_forgotten_when_it_cannot_be_told_any_more(tmp_path: Path) -> None:
    def cut_off(call: Call) -> Reply:
        return answer("a yellow", finish_reason="length")

    data = Measurements(tmp_path / "data")
    data.learn("small", MODEL, enforces_schema=False, tokens_per_s=30.0)
    data.save()
    result, measured = await probed(tmp_path, cut_off)
    assert result.enforces_schema is None
    assert measured.of("small", MODEL).enforces_schema is None


async def test_nothing_that_costs_is_probed_unless_it_is_named_as_paid(tmp_path: Path) -> None:
    async with ladder(tmp_path) as it:
        for names in ((), ("big",), (BIG,)):
            chosen = await it.rung.prober.choose(names)
            assert [model.name for model in chosen.paid] == [BIG]
            assert BIG not in [model.name for model in chosen.free]
        assert it.big.chats == []


async def test_only_what_is_named_or_loaded_is_probed(tmp_path: Path) -> None:
    async with FakeServer("ollama") as server:
        ollama = Ollama(server, loaded={})
        name = f"o/{MODEL}:latest"
        async with ladder(tmp_path, engines={"o": server.settings(locality="local")}) as it:
            for names in ((), ("o",)):
                chosen = await it.rung.prober.choose(names)
                assert (chosen.free, chosen.paid) == ((), ())
                [skipped] = chosen.skipped
                assert (skipped.model, skipped.ok) == (name, None)
                assert "--load" in str(skipped.error)
            for names, loads in (((name,), False), ((), True)):
                chosen = await it.rung.prober.choose(names, loads=loads)
                assert [model.name for model in chosen.free] == [name]
            with pytest.raises(UsageError, match="did you mean"):
                await it.rung.prober.choose([f"o/{MODEL}:lates"])
        assert ollama.loads == 0


async def test_an_engine_that_is_gone_is_a_result_with_its_reason(tmp_path: Path) -> None:
    async with ladder(tmp_path) as it:
        await it.small.stop()
        [skipped] = (await it.rung.prober.choose(["small"])).skipped
        assert (skipped.model, skipped.ok) == ("small", None)
        assert "nothing answers" in str(skipped.error)
