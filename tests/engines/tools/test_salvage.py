from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.chat import Tool, ToolCall
from rung.engines.tools.gate import ToolGate
from rung.engines.tools.salvage import mended_call, salvage_tool_calls, tool_named
from rung.structured.validate import violations

WEATHER = Tool(
    name="get_weather",
    parameters={
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer"},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["city"],
        "additionalProperties": False,
    },
)
STOP = Tool(
    name="stop-now", parameters={"type": "object", "properties": {"at": {"type": "string"}}}
)
TOOLS = (WEATHER, STOP)

ARGUMENTS = {"city": "Bonn", "days": 3}
CALL = json.dumps({"name": "get_weather", "arguments": ARGUMENTS})
GIVEN = json.dumps(ARGUMENTS)


def salvaged(text: str) -> tuple[list[tuple[str, Any]], str]:
    found = salvage_tool_calls(text, TOOLS)
    return [(call.name, json.loads(call.arguments)) for call in found.calls], found.text


ONE_CALL = {
    "hermes": f"<tool_call>\n{CALL}\n</tool_call>",
    "hermes, never closed": f"<tool_call>{CALL}",
    "hermes, with its end token": f"<tool_call>{CALL}</tool_call><|im_end|>\n",
    "hermes, a list": f"<tool_call>[{CALL}]</tool_call>",
    "hermes, indented a little": f"  <tool_call>{CALL}</tool_call>",
    "mistral": f"[TOOL_CALLS]get_weather[ARGS]{GIVEN}",
    "mistral, with an id": f"[TOOL_CALLS]get_weather[CALL_ID]abc123[ARGS]{GIVEN}",
    "mistral, without ARGS": f"[TOOL_CALLS]get_weather{GIVEN}",
    "mistral, a list": f"[TOOL_CALLS] [{CALL}]</s>",
    "function": f"<function=get_weather>{GIVEN}</function>",
    "function, never closed": f"<function=get_weather>{GIVEN}",
    "qwen coder": "<tool_call>\n<function=get_weather>\n<parameter=city>\nBonn\n</parameter>\n"
    "<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>",
    "qwen coder, half of its tags": "<function=get_weather>\n<parameter=city>Bonn\n"
    "<parameter=days>3</parameter>\n</function>\n</tool_call>",
    "qwen coder, never closed": "<function=get_weather><parameter=city>Bonn</parameter>"
    "<parameter=days>3</parameter>",
    "glm": "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Bonn</arg_value>\n"
    "<arg_key>days</arg_key>\n<arg_value>3</arg_value>\n</tool_call>",
    "llama": f'<|python_tag|>{{"name": "get_weather", "parameters": {GIVEN}}}<|eom_id|>',
    "fence": f"```json\n{CALL}\n```",
    "fence without a language": f"\n```\n{CALL}\n```\n",
    "fence on one line less": f"```json\n{CALL}```",
    "bare": f"\n {CALL} ",
    "bare parameters": f'{{"name": "get_weather", "parameters": {GIVEN}}}',
    "bare, as OpenAI": f'{{"id": "1", "type": "function", "function": {CALL}}}',
    "bare, a message": f'{{"tool_calls": [{{"type": "function", "function": {CALL}}}]}}',
    "bare, with the tool as function": f'{{"function": "get_weather", "arguments": {GIVEN}}}',
    "encoded twice": json.dumps({"name": "get_weather", "arguments": GIVEN}),
    "another case": f'<tool_call>{{"name": "getWeather", "arguments": {GIVEN}}}</tool_call>',
    "hyphens": f'<tool_call>{{"name": "get-weather", "arguments": {GIVEN}}}</tool_call>',
}


@pytest.mark.parametrize("text", ONE_CALL.values(), ids=list(ONE_CALL))
def test_a_call_is_read_in_every_markup(text: str) -> None:
    assert salvaged(text) == ([("get_weather", ARGUMENTS)], "")


MORE_CALLS = {
    "hermes": f"<tool_call>{CALL}</tool_call>\n<tool_call>{CALL}</tool_call>",
    "hermes, in one tag": f"<tool_call>{CALL}\n{CALL}</tool_call>",
    "mistral": f"[TOOL_CALLS]get_weather[ARGS]{GIVEN}[TOOL_CALLS]get_weather[ARGS]{GIVEN}",
    "mistral, a list": f"[TOOL_CALLS][{CALL}, {CALL}]",
    "functions": f"<function=get_weather>{GIVEN}</function>\n" * 2,
    "llama": f"<|python_tag|>{CALL}; {CALL}",
    "bare": f"[{CALL}, {CALL}]",
    "fence": f"```json\n[{CALL},\n{CALL}]\n```",
}


@pytest.mark.parametrize("text", MORE_CALLS.values(), ids=list(MORE_CALLS))
def test_several_calls_keep_their_order_and_get_different_ids(text: str) -> None:
    found = salvage_tool_calls(text, TOOLS)
    assert [json.loads(call.arguments) for call in found.calls] == [ARGUMENTS, ARGUMENTS]
    assert len({call.id for call in found.calls}) == 2


def test_words_before_a_call_stay_and_the_markup_goes() -> None:
    text = f"Let me look.\n\n<tool_call>{CALL}</tool_call>"
    assert salvaged(text) == ([("get_weather", ARGUMENTS)], "Let me look.")


def test_a_call_without_arguments_needs_markup() -> None:
    for text in ('<tool_call>{"name": "stop-now"}</tool_call>', "<function=stop_now></function>"):
        assert salvaged(text) == ([("stop-now", {})], "")
    assert salvaged('{"name": "stop-now"}') == ([], '{"name": "stop-now"}')


NO_CALL = {
    "in a sentence": f"I would write <tool_call>{CALL}</tool_call> to call it.",
    "at the end of a sentence": f"The markup is <tool_call>{CALL}</tool_call>",
    "quoted": f'"<tool_call>{CALL}</tool_call>"',
    "inline code": f"`<tool_call>{CALL}</tool_call>`",
    "a quotation": f"> <tool_call>{CALL}</tool_call>",
    "a code block": f"Write:\n```\n<tool_call>{CALL}</tool_call>\n```",
    "a code block that never ends": f"```xml\n<tool_call>{CALL}</tool_call>",
    "an indented code block": f"Write:\n\n    <tool_call>{CALL}</tool_call>",
    "words after it": f"<tool_call>{CALL}</tool_call>\nThis is how a call looks.",
    "words between two": f"<tool_call>{CALL}</tool_call>\nor\n<tool_call>{CALL}</tool_call>",
    "words before a code block": f"The call is:\n```json\n{CALL}\n```",
    "words after a code block": f"```json\n{CALL}\n```\nThat is the call.",
    "two code blocks": f"```json\n{CALL}\n```\n```json\n{CALL}\n```",
    "words before bare JSON": f"I call {CALL}",
    "words after bare JSON": f"{CALL} is what I call",
    "an unknown tool": '<tool_call>{"name": "get_time", "arguments": {}}</tool_call>',
    "one of two unknown": f'[{CALL}, {{"name": "get_time", "arguments": {{}}}}]',
    "wrong arguments": '<tool_call>{"name": "get_weather", "arguments": {"city": 3}}</tool_call>',
    "missing arguments": '<tool_call>{"name": "get_weather"}</tool_call>',
    "unknown arguments": '<function=get_weather>{"city": "Bonn", "at": 1}</function>',
    "arguments that are a list": '{"name": "get_weather", "arguments": ["Bonn"]}',
    "arguments that are a sentence": '{"name": "get_weather", "arguments": "in Bonn"}',
    "cut off": f"<tool_call>{CALL[:-3]}",
    "cut off after the name": "<function=stop-now>",
    "cut off in a parameter": "<function=get_weather><parameter=city>Bon",
    "cut off in the second": f"<tool_call>{CALL}</tool_call><tool_call>{CALL[:20]}",
    "a parameter twice": "<function=get_weather><parameter=city>a</parameter>"
    "<parameter=city>b</parameter></function>",
    "a key twice": '{"name": "get_weather", "name": "stop-now", "arguments": {"city": "a"}}',
    "an object that only has a name": '{"name": "stop-now", "arguments": {}, "price": 3}',
    "a tool's definition": json.dumps(
        {"name": "stop-now", "description": "Stops.", "parameters": {"type": "object"}}
    ),
    "a tool's schema": json.dumps({"name": "stop-now", "parameters": STOP.parameters}),
    "a code block in another language": f"```python\n{CALL}\n```",
    "nothing": "",
    "an empty list": "[]",
    "only markup": "<tool_call></tool_call>",
    "only tags": "[TOOL_CALLS]",
    "a word": "get_weather",
}


@pytest.mark.parametrize("text", NO_CALL.values(), ids=list(NO_CALL))
def test_what_is_not_certainly_a_call_stays_text(text: str) -> None:
    assert salvaged(text) == ([], text)


def test_a_schema_that_is_none_lets_nothing_through() -> None:
    broken = Tool(name="get_weather", parameters={"type": "nonsense"})
    assert salvage_tool_calls(CALL, [broken]).calls == ()


def test_json_that_was_asked_for_is_the_answer_and_markup_is_still_a_call() -> None:
    assert salvage_tool_calls(CALL, TOOLS, is_json=True) == ((), CALL)
    assert salvage_tool_calls(f"```json\n{CALL}\n```", TOOLS, is_json=True).calls == ()
    assert len(salvage_tool_calls(f"<tool_call>{CALL}", TOOLS, is_json=True).calls) == 1


def test_bare_values_get_the_types_of_the_schema() -> None:
    text = (
        "<function=get_weather><parameter=city>\n12\n</parameter>"
        '<parameter=days>12</parameter><parameter=tags>["a"]</parameter></function>'
    )
    assert salvaged(text)[0] == [("get_weather", {"city": "12", "days": 12, "tags": ["a"]})]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("get_weather", "get_weather"),
        ("GetWeather", "get_weather"),
        ("get-weather", "get_weather"),
        ("stop_now", "stop-now"),
        ("weather", None),
        ("", None),
    ],
)
def test_a_name_is_known_by_its_letters(name: str, found: str | None) -> None:
    tool = tool_named(name, TOOLS)
    assert (tool.name if tool else None) == found


def test_a_name_that_could_mean_two_tools_means_none() -> None:
    twins = (Tool(name="look_up"), Tool(name="lookUp"))
    assert tool_named("lookup", twins) is None
    assert tool_named("lookUp", twins) == twins[1]
    assert tool_named("", [Tool(name="_")]) is None


@pytest.mark.parametrize(
    ("name", "arguments", "mended", "mends"),
    [
        ("get_weather", '{"a": 1}', '{"a": 1}', []),
        ("getWeather", "{}", "{}", ["tool_name_restored"]),
        ("get_weather", json.dumps('{"a": 1}'), '{"a": 1}', ["tool_arguments_decoded"]),
        ("get_weather", '"in Bonn"', '"in Bonn"', []),
        ("get_weather", '"{', '"{', []),
        ("unknown", "", "", []),
    ],
)
def test_a_native_call_is_mended(name: str, arguments: str, mended: str, mends: list[str]) -> None:
    call, names = mended_call(ToolCall(id="1", name=name, arguments=arguments), TOOLS)
    assert (call.id, call.arguments, names) == ("1", mended, mends)
    assert call.name == ("unknown" if name == "unknown" else "get_weather")


# What holds for any text.

_PIECES = st.sampled_from(
    [
        *("<tool_call>", "</tool_call>", "<function=get_weather>", "</function>", "[TOOL_CALLS]"),
        *("get_weather", "[ARGS]", "<|python_tag|>", "```", "```json\n", "\n", " ", ";", "</s>"),
        *(
            "<parameter=city>",
            "</parameter>",
            "<arg_key>city</arg_key>",
            "<arg_value>x</arg_value>",
        ),
        *(CALL, GIVEN, '{"name": "nobody", "arguments": {}}', "{", "}", "[", "]", '"', "a", "🙂"),
    ]
)
_PRINTED = st.tuples(
    st.sampled_from(["", "Let me look.", "```\ncode\n```", "a `b` <c", "\n \n"]),
    st.sampled_from(["", "\n", "\n\n", " "]),
    st.sampled_from([*ONE_CALL.values(), *MORE_CALLS.values()]),
).map("".join)
TEXTS = st.one_of(st.text(max_size=80), st.lists(_PIECES, max_size=8).map("".join), _PRINTED)
VALUES = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)


@given(TEXTS)
def test_no_text_raises_and_no_call_is_invented(text: str) -> None:
    found = salvage_tool_calls(text, TOOLS)
    for call in found.calls:
        tool = next(tool for tool in TOOLS if tool.name == call.name)
        assert violations(json.loads(call.arguments), tool.parameters or {}) == []
        assert "stop" not in call.name or "stop" in text
    assert text.startswith(found.text)
    assert found.calls or found.text == text


@given(TEXTS)
def test_without_tools_there_are_no_calls(text: str) -> None:
    assert salvage_tool_calls(text, ()) == ((), text)


@given(
    st.fixed_dictionaries(
        {"city": VALUES}, optional={"days": st.integers(-(10**9), 10**9), "tags": st.lists(VALUES)}
    ),
    st.sampled_from(
        [
            "<tool_call>{call}</tool_call>",
            "[TOOL_CALLS]get_weather[ARGS]{given}",
            "<function=get_weather>{given}</function>",
            "```json\n{call}\n```",
            "{call}",
        ]
    ),
    st.booleans(),
)
def test_arguments_come_out_as_they_went_in(
    arguments: dict[str, Any], form: str, is_ascii: bool
) -> None:
    given_text = json.dumps(arguments, ensure_ascii=is_ascii)
    call = json.dumps({"name": "get_weather", "arguments": arguments}, ensure_ascii=is_ascii)
    text = form.replace("{call}", call).replace("{given}", given_text)
    assert salvaged(text) == ([("get_weather", arguments)], "")


@pytest.mark.parametrize("opener", ["[", "{", '{"a":', "<tool_call>", "<tool_call>[", " ", "\n```"])
def test_an_endless_text_is_read_in_little_time(opener: str) -> None:
    """Doubling the text must not make it four times as slow: 200,000 characters would never end."""
    assert salvaged(opener * 200_000)[0] == []


def test_brackets_without_end_behind_a_quote_do_no_harm() -> None:
    quote = '<function=get_weather><parameter=city>"</parameter></function>'
    text = f"{quote}<tool_call>{'[' * 100_000}"
    assert salvaged(text) == ([], text)


# While it streams.


def shown(*pieces: str) -> tuple[str, str]:
    """What is let through while a text comes, and what is held back at its end."""
    gate = ToolGate()
    return "".join(map(gate.feed, pieces)), gate.finish()


@pytest.mark.parametrize("text", [*ONE_CALL.values(), *MORE_CALLS.values()])
def test_a_call_is_held_back_from_its_first_character(text: str) -> None:
    assert shown(*text) == ("", text)


def test_words_before_markup_are_shown_at_once() -> None:
    gate = ToolGate()
    assert [gate.feed(piece) for piece in ("Let ", "me\n", "\n<tool", "_call>{", "}")] == [
        *("Let", " me", "", "", "")
    ]
    assert gate.finish() == "\n\n<tool_call>{}"


@pytest.mark.parametrize(
    "text",
    [
        "a plain answer",
        "x < y\n<b>bold</b>",
        "in `<tool_call>` one writes",
        "say <tool_call>{} now",
        "```\n<tool_call>{}</tool_call>\n```\nis how",
        '{"answer": 42}',
        '[1, 2, {"name": "x"}]',
        "```python\nprint()\n```",
        "<tool_box>",
        "[TOOLS]",
        "{",
    ],
)
def test_what_is_no_call_is_shown(text: str) -> None:
    now, later = shown(*text, ".")
    assert (now, later) == (f"{text}.", "")


def test_markup_in_the_middle_of_a_line_is_shown_wherever_the_text_is_cut() -> None:
    assert shown("say", " <tool_call>{}", " now.") == ("say <tool_call>{} now.", "")


@given(TEXTS, st.data())
def test_how_the_network_cuts_a_text_does_not_matter(text: str, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=6).map(sorted))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    now, later = shown(*pieces)
    assert now + later == text
    found = salvage_tool_calls(text, TOOLS)
    if found.calls:
        assert now == found.text, "the markup of a call was shown"
