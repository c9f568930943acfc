"""What a failed answer leads to: each step by itself, then all of them in their order."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rung.chat import ChatRequest, Message
from rung.errors import EngineError, SchemaError
from rung.structured import BadOutputError, RefusedError, complete_object, violations
from tests.structured.test_complete import ASK, Script, completion

ITEM = {
    "type": "object",
    "properties": {"id": {"enum": [1, 2, 3]}, "name": {"type": "string"}},
    "required": ["id", "name"],
    "additionalProperties": False,
}
LIST = {
    "type": "object",
    "properties": {"items": {"type": "array", "items": ITEM, "minItems": 2}},
    "required": ["items"],
    "additionalProperties": False,
}
TEXT = {"type": "object", "properties": {"t": {"type": "string"}}, "required": ["t"]}
CUT = "length"


def ask(schema: Any, **more: Any) -> ChatRequest:
    user = Message(role="user", content="Go.")
    return ChatRequest(**{"model": "m", "messages": (user,), "schema": schema, **more})


def item(number: int) -> dict[str, Any]:
    return {"id": number, "name": f"n{number}"}


def listed(*items: Any) -> str:
    return json.dumps({"items": items})


def cut(text: str, **more: Any) -> Any:
    return completion(text, finish_reason=CUT, **more)


async def test_a_cut_off_answer_is_continued_where_the_engine_can() -> None:
    script = Script(cut('{"t": "one tw'), 'o three"}')
    answer = await complete_object(script, ask(TEXT, think=True), can_continue=True)
    assert answer.parsed == {"t": "one two three"}
    assert answer.text == '{"t": "one two three"}'
    assert answer.repairs == ("continued",)
    assert answer.usage.tokens_out == 10
    *before, last = script.asked[1].messages
    assert tuple(before) == script.asked[0].messages
    assert (last.role, last.content) == ("assistant", '{"t": "one tw')
    assert script.asked[1].schema == TEXT
    assert script.asked[1].think is False


async def test_an_answer_is_continued_twice_and_no_more() -> None:
    script = Script(cut('{"t": "a'), cut("b"), cut("c"), '{"t": "short"}')
    answer = await complete_object(script, ask(TEXT), can_continue=True)
    assert answer.repairs == ("continued", "continued", "asked_shorter")
    assert script.asked[2].messages[-1].content == '{"t": "ab'


@pytest.mark.parametrize("text", ["well, let me see", '{"t": "whole"} {"t"', "{'t': 'x"])
async def test_what_is_no_beginning_of_json_is_not_continued(text: str) -> None:
    answer = await complete_object(Script(cut(text), '{"t": "x"}'), ask(TEXT), can_continue=True)
    assert answer.repairs == ("asked_shorter",)


async def test_an_engine_that_will_not_continue_is_asked_for_less() -> None:
    refusal = EngineError("bad_request", "prefill is not supported", engine="e")
    script = Script(cut('{"t": "a'), refusal, '{"t": "b"}')
    answer = await complete_object(script, ask(TEXT), can_continue=True)
    assert answer.parsed == {"t": "b"}
    assert answer.repairs == ("continued", "asked_shorter")
    assert answer.usage.tokens_out == 10


async def test_less_is_asked_for_in_words_and_by_bounds() -> None:
    script = Script(cut('{"t": "' + "x" * 90), '{"t": "b"}')
    await complete_object(script, ask(TEXT, max_tokens=100))
    first, second = script.asked
    assert "cut off at the limit of 100 tokens" in second.messages[-1].content
    assert second.max_tokens == first.max_tokens
    assert second.schema is not None
    assert violations({"t": "x" * 60}, second.schema)
    assert not violations({"t": "x"}, second.schema)


async def test_a_dictionary_that_ran_away_is_asked_for_empty() -> None:
    name, free = {"type": "string"}, {"type": "object"}
    both = {"type": "object", "properties": {"n": name, "d": free}, "required": ["n", "d"]}
    script = Script(cut('{"n": "x", "d": {"a": {"a": {"a": '), '{"n": "x", "d": {}}')
    answer = await complete_object(script, ask(both, max_tokens=100))
    assert answer.parsed == {"n": "x", "d": {}}
    schema = script.asked[1].schema
    assert schema is not None
    assert violations({"n": "x", "d": {"a": 1}}, schema)
    # Of an answer that is one itself, that would leave nothing.
    script = Script(cut('{"a": {"a": '), '{"a": 1}')
    answer = await complete_object(script, ask(free, max_tokens=800))
    assert answer.parsed == {"a": 1}
    schema = script.asked[1].schema
    assert schema is not None
    assert not violations({"a": 1}, schema)


async def test_right_items_are_kept_and_the_others_asked_for_alone() -> None:
    script = Script(listed(item(1), {"id": 103, "name": "made up"}), json.dumps([item(2)]))
    answer = await complete_object(script, ask(LIST))
    assert answer.parsed == {"items": [item(1), item(2)]}
    assert json.loads(answer.text) == answer.parsed
    assert answer.repairs == ("items_asked_again", "items_kept:1")
    assert answer.usage.tokens_out == 10
    second = script.asked[1]
    assert second.messages[: len(script.asked[0].messages)] == script.asked[0].messages
    assert json.loads(second.messages[-2].content) == {"items": [item(1)]}
    assert "Give 1 more" in second.messages[-1].content
    assert second.schema is not None
    assert not violations([item(2)], second.schema)
    assert violations({"items": [item(2)]}, second.schema)


async def test_items_that_only_need_a_mend_are_kept() -> None:
    noted = {**ITEM, "properties": {**ITEM["properties"], "note": {"type": "string"}}}
    schema = {**LIST, "properties": {"items": {"type": "array", "items": noted}}}
    kept, wrong = {**item(1), "note": None}, {**item(2), "id": 103, "note": None}
    answer = await complete_object(Script(listed(kept, wrong), json.dumps([item(2)])), ask(schema))
    assert answer.parsed == {"items": [item(1), item(2)]}
    assert answer.repairs == ("items_asked_again", "items_kept:1", "dropped_nulls")
    script = Script(cut(listed(kept, kept)[:-20]), json.dumps([item(2)]))
    assert (await complete_object(script, ask(schema))).parsed == answer.parsed


async def test_items_that_stay_wrong_are_dropped_where_the_schema_allows_it() -> None:
    lax = {**LIST, "properties": {"items": {"type": "array", "items": ITEM}}}
    script = Script(listed(item(1), {"id": 9}), '[{"id": 9}]')
    answer = await complete_object(script, ask(lax))
    assert answer.parsed == {"items": [item(1)]}
    assert answer.repairs == ("items_asked_again", "items_kept:1", "items_dropped:1")


async def test_items_that_stay_wrong_lead_to_the_repair_turn_where_it_does_not() -> None:
    script = Script(listed(item(1), {"id": 9}), "[]", listed(item(1), item(2)))
    answer = await complete_object(script, ask(LIST))
    assert answer.parsed == {"items": [item(1), item(2)]}
    assert answer.repairs == ("items_asked_again", "repair_turn")
    assert "/items/1" in script.asked[2].messages[-1].content


async def test_a_list_that_is_cut_off_is_filled_up() -> None:
    script = Script(cut(listed(item(1), item(2))[:-12]), json.dumps([item(2)]))
    answer = await complete_object(script, ask(LIST))
    assert answer.parsed == {"items": [item(1), item(2)]}
    assert answer.repairs == ("items_asked_again", "items_kept:1")


async def test_thinking_that_took_all_tokens_is_turned_off() -> None:
    script = Script(cut("", reasoning="hm, " * 50), '{"t": "x"}')
    answer = await complete_object(script, ask(TEXT))
    assert answer.repairs == ("thinking_turned_off",)
    assert script.asked[1].think is False
    assert script.asked[1].messages == script.asked[0].messages


async def test_thinking_that_was_off_already_leads_to_the_repair_turn() -> None:
    script = Script(cut("", reasoning="hm"), '{"t": "x"}')
    answer = await complete_object(script, ask(TEXT, think=False))
    assert answer.repairs == ("repair_turn",)


async def test_a_call_that_does_not_fit_the_window_leaves_the_first_error() -> None:
    overflow = EngineError("context_overflow", "too long", engine="e")
    with pytest.raises(BadOutputError, match="it is not JSON"):
        await complete_object(Script("?", overflow), ASK)


async def test_items_that_do_not_fit_the_tokens_lead_to_the_repair_turn() -> None:
    too_much = SchemaError("the required parts of the schema cannot fit 9 tokens")
    script = Script(listed(item(1), {"id": 9}), too_much, listed(item(1), item(2)))
    answer = await complete_object(script, ask(LIST))
    assert answer.parsed == {"items": [item(1), item(2)]}


async def test_the_first_call_that_does_not_fit_is_the_callers_error() -> None:
    overflow = EngineError("context_overflow", "too long", engine="e")
    with pytest.raises(EngineError) as caught:
        await complete_object(Script(overflow), ASK)
    assert caught.value is overflow


async def test_each_further_call_is_announced_by_its_name() -> None:
    turns: list[str] = []
    await complete_object(
        Script(cut('{"t": "a'), "?", '{"t": ""}'), ask(TEXT), on_turn=turns.append
    )
    assert turns == ["asked_shorter", "repair_turn"]


async def test_further_calls_have_the_time_that_is_left_and_none_is_made_after_it() -> None:
    script = Script("?", '{"t": "x"}')
    await complete_object(script, ask(TEXT, timeout_s=60.0))
    left_s = script.asked[1].timeout_s
    assert left_s is not None
    assert left_s < 60.0
    late = Script("?", '{"t": "x"}')
    with pytest.raises(BadOutputError):
        await complete_object(late, ask(TEXT, timeout_s=0.0))
    assert len(late.asked) == 1


async def test_what_an_answer_without_a_completion_took_is_unknown() -> None:
    script = Script(EngineError("bad_output", "empty content", engine="e"), '{"n": 1}')
    assert (await complete_object(script, ASK)).usage.tokens_out is None


async def test_a_model_that_may_refuse_is_told_so_and_believed() -> None:
    script = Script('{"cannot_answer": {"reason": "nobody knows"}}')
    with pytest.raises(RefusedError, match="nobody knows"):
        await complete_object(script, ask(TEXT, may_refuse=True))
    [asked] = script.asked
    assert "cannot_answer" in asked.messages[0].content
    assert asked.schema is not None
    assert not violations({"cannot_answer": {"reason": "x"}}, asked.schema)
    assert not violations({"t": "x"}, asked.schema)


async def test_a_model_that_may_refuse_and_does_not_is_judged_by_the_original() -> None:
    script = Script('{"cannot": 1}', '{"t": "x"}')
    answer = await complete_object(script, ask(TEXT, may_refuse=True))
    assert answer.parsed == {"t": "x"}
    assert '"t" is a required property' in script.asked[1].messages[-1].content


async def test_a_list_that_is_cut_off_is_never_taken_for_whole_on_a_wrong_answer() -> None:
    lax = {**LIST, "properties": {"items": {"type": "array", "items": ITEM}}}
    for wrong in ("I have no more.", '[{"id": 9}]', json.dumps([item(2), {"id": 9}])):
        script = Script(cut(listed(item(1), item(2))[:-12]), wrong, listed(item(3)))
        answer = await complete_object(script, ask(lax))
        assert answer.parsed == {"items": [item(3)]}
        assert answer.repairs == ("items_asked_again", "asked_shorter")


async def test_a_list_that_is_cut_off_is_whole_when_the_model_says_so() -> None:
    lax = {**LIST, "properties": {"items": {"type": "array", "items": ITEM}}}
    answer = await complete_object(Script(cut(listed(item(1), item(2))[:-12]), "[]"), ask(lax))
    assert answer.parsed == {"items": [item(1)]}
    assert answer.repairs == ("items_asked_again", "items_kept:1")


async def test_what_a_provider_stopped_is_a_refusal_and_not_asked_for_again() -> None:
    for text in ("", '{"t": "how to'):
        script = Script(completion(text, finish_reason="content_filter", reasoning="hm"))
        with pytest.raises(EngineError, match="refused") as caught:
            await complete_object(script, ask(TEXT))
        assert (caught.value.kind, len(script.asked)) == ("refused", 1)


async def test_no_order_of_failures_costs_more_than_five_calls() -> None:
    thought = cut("", reasoning="hm, " * 50)
    lists = cut(listed(item(1), item(2))[:-12])
    for first in (thought, lists):
        script = Script(first, lists, cut(""), cut(""), *[cut('{"items": [')] * 9)
        with pytest.raises(BadOutputError) as caught:
            await complete_object(script, ask(LIST), can_continue=True)
        assert len(script.asked) <= 5
        assert caught.value.completion.repairs[-1] == "repair_turn"


async def test_the_worst_of_models_costs_five_calls_and_a_typed_error() -> None:
    script = Script(cut('{"t": "a'), cut("b"), cut("c"), cut('{"t": "d'), cut('{"t": "e'))
    with pytest.raises(BadOutputError) as caught:
        await complete_object(script, ask(TEXT), can_continue=True)
    assert caught.value.completion.repairs == (
        "continued",
        "continued",
        "asked_shorter",
        "repair_turn",
    )
    assert caught.value.completion.usage.tokens_out == 25


async def test_a_decimal_out_of_its_bounds_is_asked_for_as_a_whole_number_within_them() -> None:
    degrees = {"type": "number", "minimum": -90, "exclusiveMaximum": 90}
    half = {"type": "number", "minimum": 0.2, "maximum": 0.8}
    schema = {
        "type": "object",
        "properties": {"latitude": degrees, "half": half},
        "required": ["latitude", "half"],
    }
    script = Script('{"latitude": -123.4, "half": 0.5}', '{"latitude": -12, "half": 0.5}')
    answer = await complete_object(script, ask(schema, max_tokens=100))
    assert answer.parsed == {"latitude": -12, "half": 0.5}
    asked = script.asked[1].schema
    assert asked["properties"]["latitude"] == {"type": "integer", "minimum": -90, "maximum": 89}
    assert 0.5 in asked["properties"]["half"]["enum"]


async def test_a_key_that_was_given_twice_is_asked_for_once() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "string"}}
    script = Script('{"a": "x", "b": "y", "a": "z"}', '{"a": "x", "b": "y"}')
    answer = await complete_object(script, ask(schema, max_tokens=100))
    assert answer.parsed == {"a": "x", "b": "y"}
    asked = script.asked[1].schema
    assert list(asked["properties"]) == ["a", "b"]
    assert asked["additionalProperties"] is False
