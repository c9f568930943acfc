"""The request to a worker, and what of the task it must leave out to fit the model's window."""

from __future__ import annotations

from rung.chat import ChatRequest
from rung.config.settings import Settings
from rung.errors import EngineError
from rung.escalation.answer import answer_schema, form_of
from rung.escalation.brief import Brief, shrunk
from rung.escalation.plan import Plan
from rung.escalation.prompt import worker_messages
from rung.routing.context import LEAST_ANSWER_TOKENS, PromptSize, prompt_size
from rung.routing.models import RoutedModel
from rung.structured.complete import with_instructions

SMALLEST_ANSWER_TOKENS = 64
BYTES_PER_TOKEN = 3  # of ordinary text in any script; the engine has the last word


def worker_request(
    plan: Plan,
    settings: Settings,
    model: RoutedModel,
    brief: Brief,
    *,
    temperature: float,
    n: int = 0,
) -> ChatRequest:
    """What the worker is asked in attempt `n`. A seed of the task's grows with the attempts."""
    task, messages = plan.task, worker_messages(plan.task, brief)
    prompt = "".join(message.content for message in messages)
    return ChatRequest(
        model=model.info.id,
        messages=messages,
        schema=answer_schema(task, form_of(task), brief.whole),
        max_tokens=_room_for_answer(model, prompt, settings.escalation.max_answer_tokens),
        temperature=temperature,
        seed=None if task.seed is None else task.seed + n,
    )


def fitted(plan: Plan, settings: Settings, model: RoutedModel, brief: Brief) -> Brief:
    """The brief, small enough for the model's window by a careful guess; where nobody knows the
    window, half as long.

    Raises EngineError of kind `context_overflow`, with the numbers, where it cannot be.
    """

    def size_of(some: Brief) -> PromptSize:
        request = worker_request(plan, settings, model, some, temperature=0.0)
        return prompt_size(with_instructions(request), None)

    window = model.info.context_tokens or size_of(brief).high // 2
    wanted = settings.escalation.max_answer_tokens
    answer_tokens = min(wanted, max(LEAST_ANSWER_TOKENS, window // 4))
    smaller = shrunk(brief, plan.task, lambda some: size_of(some).high + answer_tokens <= window)
    tokens = size_of(smaller).high
    if tokens + answer_tokens <= window:
        return smaller
    shown = ", ".join(smaller.whole) or "no file"
    raise EngineError(
        "context_overflow",
        f"even compressed, what must be shown has up to {tokens:,} tokens (whole: {shown}), and "
        f"the context window of {window:,} must also hold {answer_tokens:,} of the answer; give "
        "smaller or fewer files, or a chain with a model of a larger window",
        engine=model.engine.name,
        model=model.info.id,
    )


def _room_for_answer(model: RoutedModel, prompt: str, wanted: int) -> int:
    if model.info.context_tokens is None:
        return wanted
    prompt_tokens = len(prompt.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN
    room = model.info.context_tokens - prompt_tokens
    return max(SMALLEST_ANSWER_TOKENS, min(wanted, room))
