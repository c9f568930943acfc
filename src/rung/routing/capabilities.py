"""What an answer teaches about its model, and what is asked differently because of it."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from rung.chat import ChatRequest, Completion, ModelInfo
from rung.models.measured import Measured
from rung.structured.parse import NotJsonError, parse

THINK_OMITTED = "think_omitted"
TOOLS_FROM_TEXT = "tool_calls_taken_out_of_text"
_TELLING_TOKENS = 8  # fewer come too fast for their speed to be measured


def adapted(
    request: ChatRequest, kind: str, known: Measured
) -> tuple[ChatRequest, tuple[str, ...]]:
    """The request as this model can serve it, and the repairs that this took.

    Ollama drops `format` for some models where thinking is switched off (its issues 14645 and
    15260): a model that was caught at it is asked without the switch.
    """
    is_dropped = kind == "ollama" and request.schema is not None and request.think is False
    if is_dropped and known.enforces_schema is False:
        return replace(request, think=None), (THINK_OMITTED,)
    return request, ()


def is_unfit(request: ChatRequest, info: ModelInfo, known: Measured) -> bool:
    """Whether the model is known not to do what the request needs: what it did, then its label."""
    if request.tools and known.calls_tools is False:
        return True
    labels = info.capabilities
    if labels is None:
        return False
    needs_tools = bool(request.tools) and known.calls_tools is None
    has_images = any(message.images for message in request.messages)
    return (needs_tools and "tools" not in labels) or (has_images and "vision" not in labels)


def lessons(request: ChatRequest, completion: Completion) -> dict[str, Any]:
    """The facts in an answer, as fields of `Measured`.

    That a schema is enforced is never learned here: a model may write valid JSON by itself. Only a
    probe can tell.
    """
    facts: dict[str, Any] = {}
    if request.schema is not None and not _may_be_enforced(completion):
        facts["enforces_schema"] = False
    if completion.tool_calls:
        facts["calls_tools"] = True
        facts["tools_as_text"] = TOOLS_FROM_TEXT in completion.repairs
    if "prompt_truncated" in completion.flags:
        facts["truncates"] = True
    return facts


def speeds(completion: Completion) -> dict[str, float]:
    """The speeds in an answer, as fields of `Measured`; not those that a load has slowed."""
    timings, usage = completion.timings, completion.usage
    found: dict[str, float] = {}
    if timings.tokens_per_s and (usage.tokens_out or 0) >= _TELLING_TOKENS:
        found["tokens_per_s"] = timings.tokens_per_s
    if timings.first_token_ms is not None and timings.load_ms is None:
        found["first_token_ms"] = timings.first_token_ms
    return found


def _may_be_enforced(completion: Completion) -> bool:
    """Whether the answer is JSON, or was stopped before it could be."""
    if "schema_not_enforced" in completion.flags:
        return False
    if completion.finish_reason != "stop" or completion.tool_calls:
        return True
    try:
        # Some engines put the object where the reasoning belongs (LM Studio bug 1698).
        parse(completion.text or completion.reasoning)
    except NotJsonError:
        return False
    return True
