"""Ask for an object and get a valid one: instructions, the call, the reading, and what mends it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from rung.chat import ChatRequest, Completion, Message, Timings, Usage
from rung.errors import EngineError, SchemaError, UsageError
from rung.structured.answer import BadOutputError, require_object
from rung.structured.cost import both_timings, both_usages
from rung.structured.instructions import instructions
from rung.structured.prompts import prompt
from rung.structured.refusal import with_refusal
from rung.structured.turns import Asked, Step, first_step, next_step

Call = Callable[[ChatRequest], Awaitable[Completion]]
# Told before each further call what it is for, by its name in `repairs`.
OnTurn = Callable[[str], None]

# Kinds by which an engine, or the window of its model, says that it cannot take a further call.
_UNTAKEN = ("bad_request", "context_overflow")


async def complete_object(
    call: Call,
    request: ChatRequest,
    *,
    can_continue: bool = False,
    on_turn: OnTurn | None = None,
) -> Completion:
    """The answer to `request`, with `parsed` valid under `request.schema`.

    Where it is not valid, more calls follow, each named in `repairs`: an answer that was cut off is
    `continued`, if the engine `can_continue` one; the right items of a list are kept and the others
    asked for (`items_kept:3`, `items_asked_again`); it is asked again with `thinking_turned_off`,
    or `asked_shorter`; in the end it is sent back once with what is wrong with it (`repair_turn`).
    None asks for more than `request.max_tokens`; usage and timings are those of all of them.

    Raises `BadOutputError` if nothing helps; `RefusedError` if the model may refuse and does;
    `SchemaError` for a bad schema. All other errors of engines pass.
    """
    if request.schema is None:
        raise UsageError("an object was asked for without a schema")
    asked = Asked(with_instructions(request), request.schema, can_continue)
    spent: list[tuple[Usage, Timings]] = []
    deadline = None if request.timeout_s is None else time.monotonic() + request.timeout_s
    step: Step | None = first_step(asked)
    taken: tuple[str, ...] = ()
    failure: EngineError | None = None
    while step is not None:
        if failure is not None:
            taken = (*taken, step.name)
            if on_turn is not None:
                on_turn(step.name)
        timed = _in_time(step.request, deadline, failure)
        try:
            answer = await call(timed)
            spent.append((answer.usage, answer.timings))
            whole = _with_costs(step.merged(answer), taken, spent)
            return require_object(whole, asked.schema, may_refuse=request.may_refuse)
        except (EngineError, SchemaError) as error:
            failure = _judged(error, failure)
            if failure is not error:
                asked = asked._replace(can_continue=False)
            elif not isinstance(error, BadOutputError):
                spent.append((Usage(), Timings()))
        step = next_step(asked, failure, taken)
    assert failure is not None  # noqa: S101 (only a failure leads to no further step)
    raise failure


def with_instructions(request: ChatRequest) -> ChatRequest:
    """The request with the form of the answer at the end of its system message.

    There it stays in front of what varies between calls, so that the engine's prompt cache holds.
    Where the model may refuse, form and schema have room for that.
    """
    if request.schema is None:
        return request
    form = instructions(request.schema)
    if request.may_refuse:
        form = f"{form}\n{prompt('refusal')}"
        request = replace(request, schema=with_refusal(request.schema))
    first, *rest = request.messages or (Message(role="system"),)
    if first.role != "system":
        return replace(request, messages=(Message(role="system", content=form), first, *rest))
    content = f"{first.content}\n\n{form}" if first.content else form
    return replace(request, messages=(replace(first, content=content), *rest))


def _in_time(
    request: ChatRequest, deadline: float | None, failure: EngineError | None
) -> ChatRequest:
    """The request with the time that is left; what was wrong is raised if there is none."""
    if deadline is None or failure is None:
        return request
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise failure
    return replace(request, timeout_s=left_s)


def _judged(error: EngineError | SchemaError, before: EngineError | None) -> EngineError:
    """What is wrong now; raises what no further call can mend."""
    if isinstance(error, EngineError) and error.kind == "bad_output":
        return error
    is_untaken = isinstance(error, SchemaError) or error.kind in _UNTAKEN
    if before is not None and is_untaken:
        return before  # it was our call that did not fit, not the caller's
    raise error


def _with_costs(
    answer: Completion, taken: tuple[str, ...], spent: list[tuple[Usage, Timings]]
) -> Completion:
    usage, timings = spent[0]
    for more_usage, more_timings in spent[1:]:
        usage, timings = both_usages(usage, more_usage), both_timings(timings, more_timings)
    return replace(answer, repairs=(*taken, *answer.repairs), usage=usage, timings=timings)
