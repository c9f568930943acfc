"""The markup in which models print tool calls, read without judging what it says.

Hermes, Qwen and GLM (`<tool_call>`), Qwen-Coder and Llama (`<function=…>`), Mistral
(`[TOOL_CALLS]`), Llama 3 (`<|python_tag|>`), as their chat templates define them, and plain JSON.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple, cast

from rung.chat import JsonObject
from rung.engines.fields import as_list
from rung.engines.tools.gate import FENCE, JSON_FENCES, LANDMARK
from rung.structured.parse import parse

_END_TOKENS = ("</s>", "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<|endoftext|>")
_SPACE = re.compile(r"\s*")
_SEPARATOR = re.compile(r"[\s;,]*")
_FUNCTION = re.compile(r"<function=(?P<name>[^>\s]+)>\s*")
_FUNCTION_END = re.compile(r"\s*</function>")
_TOOL_CALL_END = re.compile(r"\s*</tool_call>")
_PARAMETER = re.compile(
    r"\s*<parameter=(?P<name>[^>\s]+)>(?P<value>.*?)"
    r"(?:</parameter>|(?=<parameter=)|(?=</function>))",
    re.DOTALL,
)
_GLM_NAME = re.compile(r"(?P<name>[\w.-]+)\s*")
_GLM_PAIR = re.compile(
    r"<arg_key>(?P<name>[^<]+)</arg_key>\s*<arg_value>(?P<value>.*?)</arg_value>\s*", re.DOTALL
)
_MISTRAL = re.compile(r"(?P<name>[\w.-]+)(?:\[CALL_ID\]\w+)?(?:\[ARGS\])?\s*(?=\{)")
_ARGUMENTS = {"arguments", "parameters"}
_AROUND = {"id", "type"}
_JSON = json.JSONDecoder()


class PrintedCall(NamedTuple):
    """A call as it was printed. With `are_texts`, every value is a string of unknown type."""

    name: str
    arguments: JsonObject
    are_texts: bool = False


class NotACallError(ValueError):
    """What stands here is not a call."""


def printed_calls(text: str, *, needs_markup: bool) -> tuple[list[PrintedCall], str]:
    """The calls printed in `text`, and the text before them; no calls, and all of it, otherwise."""
    for read in (_after_markup,) if needs_markup else (_whole_answer, _after_markup):
        try:
            return read(text)
        except (ValueError, RecursionError):  # JSON that is broken, or nested without end
            continue
    return [], text


def _whole_answer(text: str) -> tuple[list[PrintedCall], str]:
    """One JSON value, bare or in one code block."""
    body = _trimmed(text)
    head, _, fenced = body.partition("\n")
    if head.rstrip() in JSON_FENCES and fenced.endswith(FENCE):
        body = fenced.removesuffix(FENCE).strip()
    if body[:1] not in ("{", "["):
        raise NotACallError
    return _calls_in(parse(body), needs_arguments=True), ""


def _after_markup(text: str) -> tuple[list[PrintedCall], str]:
    """Markup at the start of a line outside code blocks, and calls from there to the end."""
    is_in_code = False
    for landmark in LANDMARK.finditer(text):
        if landmark["fence"]:
            is_in_code = not is_in_code
        elif not is_in_code:
            start = landmark.start()
            return _Reader(_trimmed(text[start:])).calls(), text[:start].rstrip()
    raise NotACallError


def _trimmed(text: str) -> str:
    """The text without white space around it and special tokens that leaked at its end."""
    text = text.strip()
    while text.endswith(_END_TOKENS):
        text = text[: text.rindex("<")].rstrip()
    return text


class _Reader:
    """Reads calls from a text. Every method raises `ValueError`, or `RecursionError`."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def calls(self) -> list[PrintedCall]:
        """All calls to the end of the text, where there is nothing else."""
        found: list[PrintedCall] = []
        while self._at < len(self._text):
            found += self._block()
            self._skip(_SEPARATOR)
        return found

    def _block(self) -> list[PrintedCall]:
        if self._sees("<function=") or self._takes("<tool_call>"):
            self._skip(_SPACE)
            if self._sees(("{", "[")):
                calls = self._values()
            else:
                calls = [self._function() if self._sees("<function=") else self._glm()]
            self._skip(_TOOL_CALL_END)  # Qwen-Coder often forgets the first of the two tags
            return calls
        if self._takes("<|python_tag|>"):
            return self._values()
        if self._takes("[TOOL_CALLS]"):
            self._skip(_SPACE)
            return self._values() if self._sees(("[", "{")) else [self._mistral()]
        raise NotACallError

    def _values(self) -> list[PrintedCall]:
        """Calls as JSON: one value, or several with white space or `;` between them."""
        calls = _calls_in(self._value())
        self._skip(_SEPARATOR)
        while self._sees("{"):
            calls += _calls_in(self._value())
            self._skip(_SEPARATOR)
        return calls

    def _function(self) -> PrintedCall:
        name = self._match(_FUNCTION)["name"]
        if self._sees("{"):
            call = PrintedCall(name, _object(self._value()))
            self._skip(_FUNCTION_END)
            return call
        values: JsonObject = {}
        while parameter := _PARAMETER.match(self._text, self._at):
            if parameter["name"] in values:
                raise NotACallError
            values[parameter["name"]] = parameter["value"]
            self._at = parameter.end()
        is_closed = self._skip(_FUNCTION_END)
        if not (values or is_closed):
            raise NotACallError  # cut off after its name
        return PrintedCall(name, values, are_texts=True)

    def _glm(self) -> PrintedCall:
        name = self._match(_GLM_NAME)["name"]
        values: JsonObject = {}
        while pair := _GLM_PAIR.match(self._text, self._at):
            values[pair["name"]] = pair["value"]
            self._at = pair.end()
        if not (values or self._sees("</tool_call>")):
            raise NotACallError
        return PrintedCall(name, values, are_texts=True)

    def _mistral(self) -> PrintedCall:
        return PrintedCall(self._match(_MISTRAL)["name"], _object(self._value()))

    def _value(self) -> object:
        start = self._at
        _, self._at = _JSON.raw_decode(self._text, start)
        return parse(self._text[start : self._at])

    def _sees(self, what: str | tuple[str, ...]) -> bool:
        return self._text.startswith(what, self._at)

    def _takes(self, what: str) -> bool:
        is_there = self._sees(what)
        self._at += len(what) if is_there else 0
        return is_there

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str]:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise NotACallError
        self._at = found.end()
        return found

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        found = pattern.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return found is not None


def _calls_in(value: object, *, needs_arguments: bool = False) -> list[PrintedCall]:
    """The calls of a JSON value: one, a list of them, or an object with such a list."""
    if isinstance(value, dict) and value.keys() == {"tool_calls"}:
        value = cast(JsonObject, value)["tool_calls"]
    items: list[object] = as_list(cast(object, value)) if isinstance(value, list) else [value]
    if not items:
        raise NotACallError
    return [_call_in(item, needs_arguments=needs_arguments) for item in items]


def _call_in(value: object, *, needs_arguments: bool) -> PrintedCall:
    """`{"name", "arguments"}` in one of its spellings, with nothing else in it.

    What has more in it, such as a description, is the definition of a tool or another object.
    """
    fields = _object(value)
    if isinstance(inner := fields.get("function"), dict):
        if fields.keys() - _AROUND - {"function"}:
            raise NotACallError
        fields = cast(JsonObject, inner)
    names = fields.keys() & {"name", "function"}
    given = fields.keys() & _ARGUMENTS
    others = fields.keys() - names - given - _AROUND
    if others or len(names) != 1 or len(given) > 1 or (needs_arguments and not given):
        raise NotACallError
    name = fields[names.pop()]
    if not isinstance(name, str):
        raise NotACallError
    return PrintedCall(name, _arguments(fields[given.pop()]) if given else {})


def _arguments(value: object) -> JsonObject:
    """An object, or the text of one: some models encode their arguments twice."""
    if value is None:
        return {}
    return _object(parse(value) if isinstance(value, str) else value)


def _object(value: object) -> JsonObject:
    if not isinstance(value, dict):
        raise NotACallError
    return cast(JsonObject, value)
