"""Ask for an object and get a valid one: instructions, the call, the reading, one repair turn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from msgspec.structs import replace

from rung.chat import ChatRequest, Completion, Message, Timings, Usage
from rung.errors import EngineError, UsageError
from rung.structured.answer import BadOutputError, read_object
from rung.structured.instructions import instructions
from rung.structured.prompts import prompt

_Amount = TypeVar("_Amount", int, float)
Call = Callable[[ChatRequest], Awaitable[Completion]]

# How much of a wrong answer the model is shown again.
_SHOWN_CHARACTERS = 4_000


async def complete_object(call: Call, request: ChatRequest) -> Completion:
    """The answer to `request`, with `parsed` valid under `request.schema`.

    An answer that is not valid is sent back once, with what is wrong with it; `repairs` then has
    "repair_turn", and usage and timings are those of both calls. Raises `BadOutputError` if the
    second answer is no better, `SchemaError` for a bad schema, and lets all other errors pass.
    """
    schema = request.schema
    if schema is None:
        raise UsageError("an object was asked for without a schema")
    asked = with_instructions(request)
    try:
        first = await call(asked)
        return read_object(first, schema)
    except EngineError as error:
        if error.kind != "bad_output":
            raise
        failure = error
    second = await call(_repair_request(asked, failure))
    both = replace(second, repairs=("repair_turn", *second.repairs))
    if isinstance(failure, BadOutputError):
        both = _with_costs_of(failure.completion, both)
    return read_object(both, schema)


def with_instructions(request: ChatRequest) -> ChatRequest:
    """The request with the form of the answer at the end of its system message.

    There it stays in front of what varies between calls, so that the engine's prompt cache holds.
    """
    if request.schema is None:
        return request
    form = instructions(request.schema)
    first, *rest = request.messages or (Message(role="system"),)
    if first.role != "system":
        return replace(request, messages=(Message(role="system", content=form), first, *rest))
    content = f"{first.content}\n\n{form}" if first.content else form
    return replace(request, messages=(replace(first, content=content), *rest))


def _repair_request(request: ChatRequest, failure: EngineError) -> ChatRequest:
    """The request that shows the model its answer and what is wrong with it."""
    said, problems = "", [failure.message]
    if isinstance(failure, BadOutputError):
        said, problems = failure.completion.text[:_SHOWN_CHARACTERS], list(failure.problems)
        if failure.completion.finish_reason == "length":
            problems.append("it was cut off at the token limit: be shorter")
    text = prompt("repair").replace("{problems}", "\n".join(f"- {p}" for p in problems))
    *before, last = request.messages
    if said.strip():
        turns = [last, Message(role="assistant", content=said), Message(role="user", content=text)]
    elif last.role == "user":
        # Not a turn of its own: many chat templates refuse two user turns in a row.
        turns = [replace(last, content=f"{last.content}\n\n{text}")]
    else:
        turns = [last, Message(role="user", content=text)]
    return replace(request, messages=(*before, *turns))


def _with_costs_of(first: Completion, second: Completion) -> Completion:
    """The second completion with what both took; unknown if either is unknown."""
    one, two = first.usage, second.usage
    usage = Usage(
        tokens_in=_sum(one.tokens_in, two.tokens_in),
        tokens_cached=_sum(one.tokens_cached, two.tokens_cached),
        tokens_cache_write=_sum(one.tokens_cache_write, two.tokens_cache_write),
        tokens_cache_write_1h=_sum(one.tokens_cache_write_1h, two.tokens_cache_write_1h),
        tokens_out=_sum(one.tokens_out, two.tokens_out),
        tokens_reasoning=_sum(one.tokens_reasoning, two.tokens_reasoning),
        cost_usd=_sum(one.cost_usd, two.cost_usd),
    )
    timings = Timings(
        queue_ms=_sum(first.timings.queue_ms, second.timings.queue_ms),
        load_ms=_sum(first.timings.load_ms, second.timings.load_ms),
        first_token_ms=first.timings.first_token_ms,
        total_ms=first.timings.total_ms + second.timings.total_ms,
        tokens_per_s=second.timings.tokens_per_s,
    )
    return replace(second, usage=usage, timings=timings)


def _sum(one: _Amount | None, two: _Amount | None) -> _Amount | None:
    return None if one is None or two is None else one + two
