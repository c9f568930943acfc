"""A completion put together from the pieces that an OpenAI-compatible server sends.

Streamed deltas and a whole message are read by the same code. Reasoning is kept apart from text
wherever the engine puts it, and tool calls are joined from their fragments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from rung.chat import ChatRequest, Chunk, FinishReason, Flag, JsonObject, Tool, ToolCall, Usage
from rung.engines.fields import (
    as_list,
    as_number,
    as_object,
    as_text,
    first_count,
)
from rung.engines.think import Split, ThinkSplitter
from rung.engines.tools.gate import ToolGate

_FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "eosFound": "stop",
    "stopStringFound": "stop",
    "length": "length",
    "max_tokens": "length",
    "maxPredictedTokensReached": "length",
    "contextLengthReached": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "toolCalls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "error": "error",
    "abort": "error",
}

# Newer names first; a server that sends two of them sends the same text twice.
_REASONING_FIELDS = ("reasoning_content", "reasoning", "thinking")
_SALVAGED = "tool_calls_taken_out_of_text"


def finish_reason(raw: object) -> FinishReason:
    """An engine's finish reason as ours; `unknown` where it is absent or new."""
    return _FINISH.get(as_text(raw), "unknown")


@dataclass
class _Call:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list[str])


class Answer:
    """The answer so far. `add` takes one decoded event and returns what is new in it to show.

    `tools` are those that the model may call. Calls that it printed as text become real ones in
    `close`; until then, text that looks like one is not shown. `tool_calls` is there after `close`.
    With `is_json` an answer that is plain JSON is what was asked for, and no call.
    It has no clock: who reads the stream sets `first_token_ms`.
    """

    def __init__(self, tools: Sequence[Tool] = (), *, is_json: bool = False) -> None:
        self.finish: FinishReason = "unknown"
        self.is_ended = False
        self.first_token_ms: float | None = None
        self.served_model: str | None = None
        self.provider: str | None = None
        self.refusal = ""
        self.flags: list[Flag] = []
        self.tokens_per_s: float | None = None
        self.load_ms: float | None = None
        self.tool_calls: tuple[ToolCall, ...] = ()
        self._tools = tools
        self._is_json = is_json
        self._gate = ToolGate() if tools else None
        self._mends: list[str] = []
        self._usage: JsonObject = {}
        self._timings: JsonObject = {}
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: list[_Call] = []
        self._call_at: dict[int, _Call] = {}
        self._splitter = ThinkSplitter()

    @property
    def text(self) -> str:
        return "".join(self._text)

    @property
    def reasoning(self) -> str:
        return "".join(self._reasoning).strip()

    @property
    def repairs(self) -> tuple[str, ...]:
        found = ("reasoning_taken_out_of_text",) if self._splitter.found else ()
        return (*found, *dict.fromkeys(self._mends))

    @property
    def usage(self) -> Usage:
        return read_usage(self._usage, self._timings)

    @property
    def has_begun(self) -> bool:
        """Whether the model has said anything at all: text, reasoning or a tool call."""
        return bool(self._text or self._reasoning or self._calls)

    def add(self, event: JsonObject) -> Chunk | None:
        """Takes in one event and returns its text and reasoning, or `None` where it has none."""
        self.served_model = as_text(event.get("model")) or self.served_model
        self.provider = as_text(event.get("provider")) or self.provider
        self._usage = as_object(event.get("usage")) or self._usage
        self._timings = as_object(event.get("timings")) or self._timings
        self.tokens_per_s = _speed(event) or self.tokens_per_s
        self.load_ms = _load_ms(event) or self.load_ms
        choices = as_list(event.get("choices"))
        if not choices:
            return None
        choice = as_object(choices[0])
        piece = as_object(choice.get("delta")) or as_object(choice.get("message"))
        chunk = self._add_piece(piece)
        if choice.get("finish_reason") is not None:
            self.finish = finish_reason(choice["finish_reason"])
            self.is_ended = True
        return chunk

    def close(self) -> Chunk | None:
        """What was held back as a possible tag or call, once the stream has ended."""
        chunk = self._keep(self._splitter.finish(), reasoning="") or Chunk()
        text = chunk.text
        if self._tools or self._calls:
            self._finish_calls()
        if self._gate is not None and _SALVAGED not in self._mends:
            text += self._gate.finish()
        if self.tool_calls and self.finish in ("stop", "unknown"):
            self.finish = "tool_calls"
        return Chunk(text=text, reasoning=chunk.reasoning) if text or chunk.reasoning else None

    def _finish_calls(self) -> None:
        """The calls, joined and mended; those in the text if the engine saw none."""
        # Imported here: only an answer with tools pays for the schema validator.
        from rung.engines.tools.salvage import mended_call, salvage_tool_calls

        for number, call in enumerate(self._calls):
            native = ToolCall(
                id=call.id or f"call_{number}",
                name=call.name,
                arguments="".join(call.arguments) or "{}",
            )
            mended, mends = mended_call(native, self._tools)
            self.tool_calls += (mended,)
            self._mends += mends
        # An answer that was cut off may have been cut off within a call.
        if self._tools and not self._calls and self.finish != "length":
            calls, text = salvage_tool_calls(self.text, self._tools, is_json=self._is_json)
            if calls:
                self.tool_calls, self._text = calls, [text]
                self._mends.append(_SALVAGED)

    def _add_piece(self, piece: JsonObject) -> Chunk | None:
        text, reasoning = _content(piece.get("content"))
        self.refusal += as_text(piece.get("refusal"))
        reasoning += _reasoning(piece)
        for position, raw in enumerate(as_list(piece.get("tool_calls"))):
            self._add_call(as_object(raw), position)
        split = self._splitter.feed(text) if text else Split()
        return self._keep(split, reasoning)

    def _keep(self, split: Split, reasoning: str) -> Chunk | None:
        if split.recant:
            self._reasoning.append("".join(self._text))
            self._text.clear()
            if self._gate is not None:
                self._gate = ToolGate()
        reasoning += split.reasoning
        if reasoning:
            self._reasoning.append(reasoning)
        if split.text:
            self._text.append(split.text)
        shown = split.text if self._gate is None else self._gate.feed(split.text)
        return Chunk(text=shown, reasoning=reasoning) if shown or reasoning else None

    def _add_call(self, raw: JsonObject, position: int) -> None:
        index = first_count(raw.get("index"), position) or 0
        function = as_object(raw.get("function"))
        new_id, name = as_text(raw.get("id")), as_text(function.get("name"))
        call = self._call_at.get(index)
        # Some servers give every call of an answer the index 0, told apart by their ids.
        if call is None or (new_id and name and call.id and new_id != call.id):
            call = self._call_at[index] = _Call()
            self._calls.append(call)
        call.id = call.id or new_id
        call.name = call.name or name
        arguments = function.get("arguments")
        if isinstance(arguments, str):
            call.arguments.append(arguments)
        elif arguments is not None:
            call.arguments.append(msgspec.json.encode(arguments).decode())


def callable_tools(request: ChatRequest) -> tuple[Tool, ...]:
    """The tools that an answer to `request` may call."""
    if request.tool_choice == "none":
        return ()
    if request.tool_choice in (None, "auto", "required"):
        return request.tools
    return tuple(tool for tool in request.tools if tool.name == request.tool_choice)


def read_usage(usage: JsonObject, timings: JsonObject) -> Usage:
    """Tokens and cost from an OpenAI `usage` object, completed from llama.cpp's `timings`."""
    details_in = as_object(usage.get("prompt_tokens_details"))
    details_out = as_object(usage.get("completion_tokens_details"))
    cached = first_count(details_in.get("cached_tokens"), timings.get("cache_n"))
    counted, reused = first_count(timings.get("prompt_n")), first_count(timings.get("cache_n"))
    from_timings = None if counted is None else counted + (reused or 0)
    return Usage(
        tokens_in=first_count(usage.get("prompt_tokens"), usage.get("input_tokens"), from_timings),
        tokens_cached=cached,
        tokens_cache_write=first_count(details_in.get("cache_write_tokens")),
        tokens_cache_write_1h=first_count(details_in.get("cache_write_1h_tokens")),
        tokens_out=first_count(
            usage.get("completion_tokens"), usage.get("output_tokens"), timings.get("predicted_n")
        ),
        tokens_reasoning=first_count(details_out.get("reasoning_tokens")),
        cost_usd=_cost_usd(usage),
    )


def _cost_usd(usage: JsonObject) -> float | None:
    """OpenRouter's figure, with what the user's own key at a provider is billed besides it."""
    cost = as_number(usage.get("cost"))
    if cost is None or usage.get("is_byok") is not True:
        return cost
    upstream = as_number(as_object(usage.get("cost_details")).get("upstream_inference_cost"))
    return None if upstream is None else cost + upstream


def _speed(event: JsonObject) -> float | None:
    """Tokens per second as the server measured them: llama.cpp, LM Studio, vLLM."""
    for place, name in (
        ("timings", "predicted_per_second"),
        ("stats", "tokens_per_second"),
        ("metrics", "tokens_per_second"),
    ):
        speed = as_number(as_object(event.get(place)).get(name))
        if speed:
            return speed
    return None


def _load_ms(event: JsonObject) -> float | None:
    """How long the model took to load for this call, where the server says it (LM Studio)."""
    seconds = as_number(as_object(event.get("stats")).get("model_load_time_seconds"))
    return None if seconds is None else seconds * 1000


def _content(value: object) -> tuple[str, str]:
    """Text and reasoning of a message's `content`: a string, or a list of typed parts."""
    if isinstance(value, str):
        return value, ""
    texts: list[str] = []
    thoughts: list[str] = []
    for raw in as_list(value):
        part = as_object(raw)
        if part.get("type") in ("thinking", "reasoning"):
            thoughts.append(_nested_text(part.get("thinking")) or _nested_text(part.get("text")))
        elif part:
            texts.append(as_text(part.get("text")))
        else:
            texts.append(as_text(raw))
    return "".join(texts), "".join(thoughts)


def _reasoning(piece: JsonObject) -> str:
    for name in _REASONING_FIELDS:
        if found := _nested_text(piece.get(name)):
            return found
    details = (as_object(raw) for raw in as_list(piece.get("reasoning_details")))
    return "".join(
        as_text(detail.get("text")) or as_text(detail.get("summary")) for detail in details
    )


def _nested_text(value: object) -> str:
    """Text that may be wrapped in a list of parts or in an object, as thinking blocks are."""
    if parts := as_list(value):
        return "".join(_nested_text(part) for part in parts)
    if fields := as_object(value):
        return as_text(fields.get("text")) or as_text(fields.get("content"))
    return as_text(value)
