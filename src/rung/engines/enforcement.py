"""What an engine was asked to enforce and did not: flags, for an answer that looks like a success.

llama.cpp answers 200 with free text when its grammar fails to compile (llguidance), vLLM ignores
fields that it no longer knows, and a chat template without tools ignores `tool_choice`.
"""

from __future__ import annotations

import msgspec

from rung.chat import ChatRequest, Completion, Flag
from rung.engines.fields import decode

_BEGINS_JSON = '{["-0123456789tfn'


def flagged(completion: Completion, request: ChatRequest) -> Completion:
    """The completion with a flag for whatever `request` demanded and the engine did not enforce."""
    unmet = unmet_demands(completion, request)
    if not unmet:
        return completion
    return msgspec.structs.replace(
        completion, flags=tuple(dict.fromkeys((*completion.flags, *unmet)))
    )


def unmet_demands(completion: Completion, request: ChatRequest) -> tuple[Flag, ...]:
    """What of schema, tool choice and `think=False` the answer shows to have been ignored."""
    flags: list[Flag] = []
    if request.schema is not None and not _may_be_constrained(completion):
        flags.append("schema_not_enforced")
    if request.tools and not _has_demanded_call(completion, request.tool_choice):
        flags.append("tool_choice_not_enforced")
    # Without any text the reasoning may be the answer itself, in the wrong field.
    has_answer = completion.text or completion.tool_calls
    if request.think is False and completion.reasoning and has_answer:
        flags.append("thinking_not_switched")
    return tuple(flags)


def _may_be_constrained(completion: Completion) -> bool:
    """Whether a grammar can have made this text: JSON, or as far as it got before it was cut off.

    Whether it obeys the schema is for the validation to say.
    """
    text = completion.text.strip()
    if not text:
        return True
    if completion.finish_reason == "length":
        return text[0] in _BEGINS_JSON
    return text == "null" or decode(text.encode("utf-8", "replace")) is not None


def _has_demanded_call(completion: Completion, tool_choice: str | None) -> bool:
    names = {call.name for call in completion.tool_calls}
    match tool_choice:
        case None | "auto" | "none":
            return True
        case "required":
            return bool(names)
        case name:
            return name in names
