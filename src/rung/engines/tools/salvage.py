"""Tool calls that a model printed as text, because its engine did not know the model's markup.

A model may also talk *about* a tool call, and that must not make one. The rule:

- Markup counts at the start of a line that is in no code block, where nothing but calls follows up
  to the end of the answer. Words may stand before it, none after it.
- JSON without markup, bare or in one code block, counts where it is the whole answer, and where
  no JSON was asked for.
- Every call names one of the request's tools, with arguments that satisfy that tool's schema.

All calls of an answer are taken, or none. What is not taken stays text, as it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace

from rung.chat import JsonObject, Tool, ToolCall
from rung.engines.fields import as_object
from rung.engines.tools.markup import PrintedCall, printed_calls
from rung.errors import SchemaError
from rung.structured.parse import NotJsonError, parse
from rung.structured.validate import is_valid_under, violations

_NOT_IN_A_FOLD = re.compile(r"[\W_]")
_ANY_OBJECT: JsonObject = {"type": "object"}


class Salvaged(NamedTuple):
    """The calls that were in a text, in their order, and what is left of the text."""

    calls: tuple[ToolCall, ...]
    text: str


def tool_named(name: str, tools: Sequence[Tool]) -> Tool | None:
    """The tool that a model means by `name`.

    Exactly, or the only one that differs in nothing but case and punctuation: LM Studio shows
    every tool to the model in snake_case, and models change hyphens into underscores.
    """
    exact = [tool for tool in tools if tool.name == name]
    letters = _fold(name)
    close = exact or [tool for tool in tools if letters and _fold(tool.name) == letters]
    return close[0] if len(close) == 1 else None


def mended_call(call: ToolCall, tools: Sequence[Tool]) -> tuple[ToolCall, list[str]]:
    """A call that the engine did see, with the tool's own name and arguments encoded only once.

    Also the names of the mends that it took.
    """
    mends: list[str] = []
    tool = tool_named(call.name, tools)
    if tool is not None and tool.name != call.name:
        call = replace(call, name=tool.name)
        mends.append("tool_name_restored")
    arguments = _decoded_once(call.arguments)
    if arguments is not None:
        call = replace(call, arguments=arguments)
        mends.append("tool_arguments_decoded")
    return call, mends


def salvage_tool_calls(text: str, tools: Sequence[Tool], *, is_json: bool = False) -> Salvaged:
    """The calls that are printed in `text`, by the rule above. It raises nothing.

    `is_json`: the answer was to be JSON.
    """
    printed, rest = printed_calls(text, needs_markup=is_json)
    calls: list[ToolCall] = []
    for one in printed:
        tool = tool_named(one.name, tools)
        arguments = _arguments(one, tool) if tool is not None else None
        if tool is None or arguments is None:
            return Salvaged((), text)
        calls.append(ToolCall(id=f"call_{len(calls)}", name=tool.name, arguments=arguments))
    return Salvaged(tuple(calls), rest)


def _fold(name: str) -> str:
    return _NOT_IN_A_FOLD.sub("", name.lower())


def _decoded_once(arguments: str) -> str | None:
    """The object in JSON arguments that were encoded twice; `None` where they were not."""
    if not arguments.lstrip().startswith('"'):
        return None
    try:
        inner: object = parse(arguments)
        return inner if isinstance(inner, str) and isinstance(parse(inner), dict) else None
    except NotJsonError:
        return None


def _arguments(call: PrintedCall, tool: Tool) -> str | None:
    """The arguments as JSON text, if they satisfy the tool's schema."""
    schema = tool.parameters or _ANY_OBJECT
    arguments = _typed(call.arguments, schema) if call.are_texts else call.arguments
    is_definition = bool(arguments) and arguments == tool.parameters
    try:
        if is_definition or violations(arguments, schema):
            return None
    except SchemaError:
        return None  # arguments that cannot be checked are not let through
    return json.dumps(arguments, ensure_ascii=False)


def _typed(texts: JsonObject, schema: JsonObject) -> JsonObject:
    """Values that were printed as bare text, with the types that the schema wants."""
    properties = as_object(schema.get("properties"))
    return {name: _value(text, properties.get(name, True)) for name, text in texts.items()}


def _value(text: str, schema: object) -> object:
    """The text itself where a string may stand, else the JSON value in it.

    The line breaks just inside the tags belong to the markup, as Qwen-Coder's template writes it.
    """
    text = text.removeprefix("\n").removesuffix("\n")
    if is_valid_under(text, schema):
        return text
    try:
        value: object = parse(text.strip())
    except NotJsonError:
        return text
    return value
