from __future__ import annotations

from typing import Any

import pytest

from rung.chat import Completion, Tool, ToolCall
from rung.engines.enforcement import flagged, unmet_demands
from tests.engines.calls import ask

SCHEMA = {"type": "object"}
TOOLS = (Tool(name="look"), Tool(name="listen"))
CALL = ToolCall(id="1", name="look", arguments="{}")


def completion(text: str = "", **parts: Any) -> Completion:
    return Completion(text=text, engine="e", model="m", **{"finish_reason": "stop", **parts})


@pytest.mark.parametrize(
    "text", ['{"a":1}', " [1]\n", '"text"', "12", "-1.5", "true", "null", '{"wrong":"shape"}']
)
def test_json_may_have_been_enforced(text: str) -> None:
    assert unmet_demands(completion(text), ask(schema=SCHEMA)) == ()


@pytest.mark.parametrize(
    "text", ["Sure! Here is it.", '```json\n{"a":1}\n```', '{"a":1} Done.', '{"a":1', "\ud800"]
)
def test_what_no_grammar_lets_through_was_not_enforced(text: str) -> None:
    assert unmet_demands(completion(text), ask(schema=SCHEMA)) == ("schema_not_enforced",)
    assert unmet_demands(completion(text), ask()) == ()


def test_an_answer_that_was_cut_off_is_judged_by_its_beginning() -> None:
    cut_off = completion('{"a": "b', finish_reason="length")
    prose = completion("Once upon a", finish_reason="length")
    assert unmet_demands(cut_off, ask(schema=SCHEMA)) == ()
    assert unmet_demands(prose, ask(schema=SCHEMA)) == ("schema_not_enforced",)


def test_a_call_in_place_of_the_object_is_no_breach_of_the_schema() -> None:
    called = completion(tool_calls=(CALL,))
    assert unmet_demands(called, ask(schema=SCHEMA, tools=TOOLS)) == ()


@pytest.mark.parametrize(
    ("choice", "calls", "is_met"),
    [
        (None, (), True),
        ("auto", (), True),
        ("none", (), True),
        ("required", (), False),
        ("required", (CALL,), True),
        ("look", (CALL,), True),
        ("listen", (CALL,), False),
        ("listen", (), False),
    ],
)
def test_a_demanded_call_that_did_not_come_is_flagged(
    choice: str | None, calls: tuple[ToolCall, ...], is_met: bool
) -> None:
    request = ask(tools=TOOLS, tool_choice=choice)
    flags = unmet_demands(completion("text", tool_calls=calls), request)
    assert flags == (() if is_met else ("tool_choice_not_enforced",))


def test_thinking_in_spite_of_the_switch_is_flagged() -> None:
    thought = completion("4", reasoning="two and two")
    assert unmet_demands(thought, ask(think=False)) == ("thinking_not_switched",)
    assert unmet_demands(thought, ask(think=True)) == unmet_demands(thought, ask()) == ()
    misplaced = completion("", reasoning='{"a":1}')
    assert unmet_demands(misplaced, ask(think=False, schema=SCHEMA)) == ()


def test_a_flag_is_raised_once() -> None:
    warned = completion("prose", flags=("schema_not_enforced", "prompt_truncated"))
    assert flagged(warned, ask(schema=SCHEMA)).flags == warned.flags
    fine = completion("{}")
    assert flagged(fine, ask(schema=SCHEMA)) is fine
