"""What a model can really do, found by asking it: seven or eight tiny requests, on the record."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from rung.chat import ChatRequest, Chunk, Completion, Message, Tool
from rung.errors import EngineError, EngineErrorKind
from rung.models.measured import Measurements
from rung.routing.capabilities import TOOLS_FROM_TEXT
from rung.routing.models import RoutedModel
from rung.structured.answer import BadOutputError, require_object

TIMEOUT_S = 120.0
# Colours that no model answers by itself: only an engine that enforces the schema gets them.
_COLOURS = {
    "type": "object",
    "properties": {"colour": {"enum": ["zorvex", "quimby"]}},
    "required": ["colour"],
    "additionalProperties": False,
}
_TOOL = Tool(
    name="get_weather",
    description="The weather in a city.",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
)
# The model is there and talks, although it had no room for an answer.
_ALIVE: frozenset[EngineErrorKind] = frozenset({"bad_output"})

Ask = Callable[[ChatRequest], AsyncGenerator[Chunk, None]]


class Probed(msgspec.Struct, frozen=True, kw_only=True):
    """What a probe found. `None` means that it could not be told.

    `ok`: a token came out; `None` where it was not probed, and `error` says why. `thinking`:
    `switch` (it can be switched off), `always`, or `none`. Of `parallel_slots` 2 means 2 or more.
    """

    model: str
    ok: bool | None
    error: str | None = None
    enforces_schema: bool | None = None
    tools: Literal["native", "text", "none"] | None = None
    thinking: Literal["switch", "always", "none"] | None = None
    parallel_slots: int | None = None
    first_token_ms: float | None = None
    tokens_per_s: float | None = None
    context_tokens: int | None = None
    at: datetime


def unprobed(name: str, why: str) -> Probed:
    """The result for what was left out, and why."""
    return Probed(model=name, ok=None, error=f"not probed: {why}", at=datetime.now(UTC))


@dataclass(kw_only=True)
class _Heard:
    """One answer, or what there was of it."""

    completion: Completion | None = None
    error: EngineError | None = None
    has_reasoned: bool = False
    began_at: float | None = None
    ended_at: float = 0.0

    @property
    def is_alive(self) -> bool:
        return self.error is None or self.error.kind in _ALIVE


async def probe(
    model: RoutedModel,
    ask: Ask,
    measured: Measurements,
    on_step: Callable[[str], None] = lambda _: None,
) -> Probed:
    """Ask `model` all there is to ask, and remember what it can do. Raises nothing of an engine.

    What was learned before is forgotten first: an engine may have been updated.
    """
    engine, model_id = model.engine.name, model.info.id
    forgotten = dict.fromkeys(("enforces_schema", "calls_tools", "tools_as_text", "truncates"))
    measured.learn(engine, model_id, **forgotten)
    found: dict[str, Any] = {"context_tokens": model.info.context_tokens, "at": datetime.now(UTC)}
    on_step("is it there")
    first = await _hear(ask, _request(model, "Say hello.", max_tokens=1))
    if not first.is_alive:
        return Probed(model=model.name, ok=False, error=str(first.error), **found)
    on_step("speed")
    counted = await _hear(ask, _counting(model, 32))
    if counted.completion is not None:
        timings = counted.completion.timings
        found |= {
            "first_token_ms": timings.first_token_ms,
            "tokens_per_s": timings.tokens_per_s,
        }
    on_step("schema")
    found["enforces_schema"] = await _enforces_schema(model, ask)
    on_step("tools")
    found["tools"] = await _tools(model, ask)
    on_step("thinking")
    found["thinking"] = await _thinking(model, ask)
    on_step("slots")
    found["parallel_slots"] = await _slots(model, ask)
    probed = Probed(model=model.name, ok=True, **found)
    measured.learn(engine, model_id, **_facts(probed))
    return probed


def _facts(probed: Probed) -> dict[str, Any]:
    """What was found, as fields of `Measured`."""
    return {
        "enforces_schema": probed.enforces_schema,
        "calls_tools": None if probed.tools is None else probed.tools != "none",
        "tools_as_text": None if probed.tools is None else probed.tools == "text",
        "thinks": None if probed.thinking is None else probed.thinking != "none",
        "switches_thinking": None if probed.thinking is None else probed.thinking == "switch",
        "parallel_slots": probed.parallel_slots,
        "probed_at": probed.at,
    }


async def _enforces_schema(model: RoutedModel, ask: Ask) -> bool | None:
    """Whether only the allowed words come out, which the prompt does not give away."""
    request = _request(
        model, "What colour is a ripe banana?", max_tokens=64, schema=_COLOURS, think=False
    )
    heard = await _hear(ask, request)
    if heard.completion is None:
        return False if heard.error is not None and heard.error.kind == "bad_request" else None
    try:
        require_object(heard.completion, _COLOURS)
    except BadOutputError:
        return None if heard.completion.finish_reason == "length" else False
    return True


async def _tools(model: RoutedModel, ask: Ask) -> Literal["native", "text", "none"] | None:
    prompt = "What is the weather in Paris? Use the tool."
    heard = await _hear(ask, _request(model, prompt, max_tokens=128, tools=(_TOOL,)))
    if heard.completion is None:
        return "none" if heard.error is not None and heard.error.kind == "bad_request" else None
    if not heard.completion.tool_calls:
        return "none"
    return "text" if TOOLS_FROM_TEXT in heard.completion.repairs else "native"


async def _thinking(model: RoutedModel, ask: Ask) -> Literal["switch", "always", "none"] | None:
    async def thinks(think: bool) -> bool | None:
        request = _request(model, "How much is 17 times 23?", max_tokens=48, think=think)
        heard = await _hear(ask, request)
        if heard.error is not None and heard.error.kind == "bad_request":
            return False  # the engine says that the model cannot think
        return heard.has_reasoned if heard.is_alive else None

    when_on = await thinks(True)
    if not when_on:
        return None if when_on is None else "none"
    when_off = await thinks(False)
    return None if when_off is None else "always" if when_off else "switch"


async def _slots(model: RoutedModel, ask: Ask) -> int | None:
    """2 where one of two answers begins before the other has ended, else 1."""
    both = await asyncio.gather(*(_hear(ask, _counting(model, 24)) for _ in range(2)))
    begins = [heard.began_at for heard in both]
    if None in begins or any(heard.error for heard in both):
        return None
    last_begin = max(at for at in begins if at is not None)
    return 2 if last_begin < min(heard.ended_at for heard in both) else 1


async def _hear(ask: Ask, request: ChatRequest) -> _Heard:
    heard = _Heard()
    try:
        async with aclosing(ask(request)) as chunks:
            async for chunk in chunks:
                if heard.began_at is None and (chunk.text or chunk.reasoning):
                    heard.began_at = time.perf_counter()
                heard.has_reasoned = heard.has_reasoned or bool(chunk.reasoning.strip())
                heard.completion = chunk.completion or heard.completion
    except EngineError as error:
        heard.error = error
    heard.ended_at = time.perf_counter()
    return heard


def _counting(model: RoutedModel, max_tokens: int) -> ChatRequest:
    return _request(model, "Count from one to fifty in words.", max_tokens=max_tokens)


def _request(model: RoutedModel, prompt: str, *, max_tokens: int, **parts: Any) -> ChatRequest:
    return ChatRequest(
        model=model.info.id,
        messages=(Message(role="user", content=prompt),),
        max_tokens=max_tokens,
        temperature=0.0,
        timeout_s=TIMEOUT_S,
        **parts,
    )
