"""OpenAI's own API, whose models differ in what they take: https://platform.openai.com/docs"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from rung.chat import ChatRequest
from rung.engines.failure import Origin
from rung.engines.openai_compatible import OpenAICompatibleEngine
from rung.engines.profiles import OPENAI_DIALECT
from rung.engines.request import encode_body
from rung.engines.wire import Encoded


@dataclass(frozen=True, kw_only=True)
class Reasoning:
    """How a model reasons. `off` is its least effort, which is none only where `can_stop`.

    One that reasons takes a temperature only while it does not.
    """

    off: str | None = None
    can_stop: bool = False
    is_default: bool = True


_NEVER = Reasoning()
_STOPPABLE = Reasoning(off="none", can_stop=True)

# From OpenAI's model pages, November 2026. A newer model is taken to be like the newest.
_TABLE: tuple[tuple[re.Pattern[str], Reasoning], ...] = tuple(
    (re.compile(pattern), reasoning)
    for pattern, reasoning in (
        (r"^(ft:)?(gpt-3|gpt-4|chatgpt|gpt-chat)|-chat\b|-search|audio", _NEVER),
        (r"^o\d|^codex-|-codex", Reasoning(off="low")),
        (r"^gpt-\d+(\.\d+)?-pro", Reasoning(off="high")),
        (r"^gpt-5(?!\.)", Reasoning(off="minimal")),
        (r"^gpt-5\.[1-4]", replace(_STOPPABLE, is_default=False)),
        (r"^gpt-", _STOPPABLE),
    )
)


def reasoning_of(model: str) -> Reasoning:
    """How `model` reasons, by its id; a name of no known form is not taken to reason."""
    name = model.lower()
    return next((kind for pattern, kind in _TABLE if pattern.search(name)), _NEVER)


class OpenAIEngine(OpenAICompatibleEngine):
    """`max_completion_tokens`, strict schemas, and effort only for models that reason."""

    def _encode(self, request: ChatRequest, origin: Origin) -> Encoded:
        reasoning = reasoning_of(request.model)
        is_reasoning = _is_reasoning(request.think, reasoning)
        if is_reasoning:
            request = msgspec.structs.replace(request, temperature=None, top_p=None)
        effort: Mapping[str, Any] = {}
        if request.think is False and reasoning.off is not None:
            effort = {"reasoning_effort": reasoning.off}
        elif request.think and reasoning.off is not None:
            effort = {"reasoning_effort": "high" if reasoning.off == "high" else "medium"}
        dialect = replace(OPENAI_DIALECT, think_on=effort, think_off=effort)
        is_obeyed = request.think is None or request.think == is_reasoning
        return Encoded(
            body=encode_body(request, dialect, origin),
            flags=() if is_obeyed else ("thinking_not_switched",),
        )


def _is_reasoning(think: bool | None, reasoning: Reasoning) -> bool:
    if reasoning.off is None:
        return False
    if think is None:
        return reasoning.is_default
    return think or not reasoning.can_stop
