"""What earlier answers taught changes the next call, through every door."""

from __future__ import annotations

from pathlib import Path

from rung.chat import Tool
from tests.fakes.server import MODEL, Call, FakeServer, Reply, answer, tool_call
from tests.ladder import BIG, ladder

SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}
LOOK = Tool(name="look", parameters={"type": "object", "properties": {}})


def drops_the_schema(call: Call) -> Reply:
    """Ollama with a model whose `format` is ignored where thinking is switched off."""
    return answer("Four, I think." if call.body.get("think") is False else '{"n": 4}')


async def test_a_schema_that_is_dropped_without_thinking_is_asked_for_with_it(
    tmp_path: Path,
) -> None:
    async with FakeServer("ollama", drops_the_schema) as server:
        name = f"o/{MODEL}:latest"
        async with ladder(tmp_path, engines={"o": server.settings(locality="local")}) as it:
            first = await it.rung.ask("two and two?", schema=SCHEMA, think=False, model=name)
            again = await it.rung.ask("two and two?", schema=SCHEMA, think=False, model=name)
        chats = [call.body for call in server.chats if call.body["messages"]]
    assert (first.parsed, first.flags) == ({"n": 4}, ("thinking_not_switched",))
    assert first.repairs == ("repair_turn", "think_omitted")
    assert (again.parsed, again.repairs) == ({"n": 4}, ("think_omitted",))
    assert [body.get("think") for body in chats] == [False, None, None]


async def test_tools_go_to_a_model_that_calls_them(tmp_path: Path) -> None:
    call = answer("", tool_calls=(tool_call("look", "{}"),), finish_reason="tool_calls")
    async with ladder(tmp_path, small=[call], big=["I would rather talk"], price=0.0) as it:
        assert (await it.rung.ask("look!")).engine == "big"
        it.rung.measured.learn("big", MODEL, calls_tools=False)
        completion = await it.rung.ask("look!", tools=[LOOK])
        assert (completion.engine, completion.repairs) == ("small", ())
        assert [item.name for item in completion.tool_calls] == ["look"]
        assert it.rung.measured.of("small", MODEL).calls_tools is True
        named = await it.rung.ask("look!", tools=[LOOK], model=BIG)
        assert named.engine == "big"
