from __future__ import annotations

from typing import Any

import pytest

from rung.chat import ChatRequest, Completion, Message, Timings, Usage
from rung.errors import EngineError, SchemaError, UsageError
from rung.structured import BadOutputError, complete_object, instructions, with_instructions

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
ASK = ChatRequest(
    model="m",
    messages=(
        Message(role="system", content="Be kind."),
        Message(role="user", content="A number?"),
    ),
    schema=SCHEMA,
    max_tokens=64,
)


class Script:
    """An engine that gives prepared answers, or raises them, and keeps what it was asked."""

    def __init__(self, *answers: str | Completion | Exception) -> None:
        self.asked: list[ChatRequest] = []
        self._answers = list(answers)

    async def __call__(self, request: ChatRequest) -> Completion:
        self.asked.append(request)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return completion(answer) if isinstance(answer, str) else answer


def completion(text: str, **more: Any) -> Completion:
    usage = Usage(tokens_in=10, tokens_out=5, cost_usd=0.25)
    timings = Timings(first_token_ms=3.0, total_ms=7.0)
    fields = {"finish_reason": "stop", "usage": usage, "timings": timings, **more}
    return Completion(text=text, engine="e", model="m", **fields)


async def test_a_valid_answer_takes_one_call() -> None:
    script = Script('{"n": 1}')
    answer = await complete_object(script, ASK)
    assert (answer.parsed, answer.repairs, len(script.asked)) == ({"n": 1}, (), 1)


async def test_the_form_of_the_answer_stands_in_the_system_message() -> None:
    script = Script('{"n": 1}')
    await complete_object(script, ASK)
    system, user = script.asked[0].messages
    assert system.content == f"Be kind.\n\n{instructions(SCHEMA)}"
    assert user == ASK.messages[1]
    assert script.asked[0].schema == SCHEMA


def test_without_a_system_message_the_form_becomes_one() -> None:
    bare = ChatRequest(model="m", messages=ASK.messages[1:], schema=SCHEMA)
    system, user = with_instructions(bare).messages
    assert (system.role, user) == ("system", ASK.messages[1])
    assert with_instructions(ChatRequest(model="m", messages=())).messages == ()


async def test_a_wrong_answer_is_sent_back_once_with_what_is_wrong() -> None:
    script = Script('{"n": "one"}', '{"n": 1}')
    answer = await complete_object(script, ASK)
    assert answer.parsed == {"n": 1}
    assert answer.repairs == ("repair_turn",)
    *before, said, complaint = script.asked[1].messages
    assert tuple(before) == script.asked[0].messages
    assert (said.role, said.content) == ("assistant", '{"n": "one"}')
    assert complaint.role == "user"
    assert '/n: "one" is not of type "integer"' in complaint.content


async def test_usage_and_time_are_those_of_both_calls() -> None:
    answer = await complete_object(Script("?", '{"n": 1}'), ASK)
    assert answer.usage == Usage(tokens_in=20, tokens_out=10, cost_usd=0.5)
    assert (answer.timings.total_ms, answer.timings.first_token_ms) == (14.0, 3.0)


async def test_a_cost_that_is_unknown_once_is_unknown() -> None:
    free = completion('{"n": 1}', usage=Usage(tokens_in=1))
    answer = await complete_object(Script("?", free), ASK)
    assert (answer.usage.tokens_in, answer.usage.cost_usd) == (11, None)


async def test_two_wrong_answers_are_an_error_that_carries_both_costs() -> None:
    script = Script("?", '{"n": null}')
    with pytest.raises(BadOutputError) as caught:
        await complete_object(script, ASK)
    assert len(script.asked) == 2
    assert caught.value.completion.usage.tokens_out == 10
    assert caught.value.completion.repairs == ("repair_turn",)


async def test_an_empty_answer_is_asked_for_again_without_an_empty_turn() -> None:
    script = Script("", '{"n": 1}')
    await complete_object(script, ASK)
    _, user = script.asked[1].messages
    assert user.content.startswith("A number?\n\n")
    assert "it is empty" in user.content


async def test_a_long_wrong_answer_is_shown_cut() -> None:
    script = Script("x" * 9000, '{"n": 1}')
    await complete_object(script, ASK)
    assert len(script.asked[1].messages[-2].content) == 4000


async def test_a_cut_off_answer_is_asked_to_be_shorter() -> None:
    script = Script(completion('{"n": ', finish_reason="length"), '{"n": 1}')
    await complete_object(script, ASK)
    assert "much shorter" in script.asked[1].messages[-1].content


async def test_an_engine_that_has_no_answer_at_all_gets_the_repair_turn_too() -> None:
    script = Script(EngineError("bad_output", "empty content", engine="e"), '{"n": 1}')
    answer = await complete_object(script, ASK)
    assert answer.repairs == ("repair_turn",)
    assert "empty content" in script.asked[1].messages[-1].content


@pytest.mark.parametrize("kind", ["timeout", "rate_limited", "cancelled", "refused"])
async def test_other_errors_pass_untouched(kind: Any) -> None:
    first, second = (EngineError(kind, "no", engine="e") for _ in range(2))
    for script, error, calls in ((Script(first), first, 1), (Script("?", second), second, 2)):
        with pytest.raises(EngineError) as caught:
            await complete_object(script, ASK)
        assert caught.value is error
        assert len(script.asked) == calls


async def test_a_bad_or_missing_schema_costs_no_call() -> None:
    script = Script()
    with pytest.raises(UsageError, match="without a schema"):
        await complete_object(script, ChatRequest(model="m", messages=ASK.messages))
    with pytest.raises(SchemaError):
        await complete_object(
            script, ChatRequest(model="m", messages=ASK.messages, schema={"type": "x"})
        )
    assert script.asked == []
