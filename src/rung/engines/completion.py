"""The end of an answer: a `Completion`, or the reason why what came is not one."""

from __future__ import annotations

from rung.chat import ChatRequest, Completion, Flag, Locality, Timings
from rung.engines.answer import Answer
from rung.engines.failure import Origin
from rung.engines.model_names import may_be_same_model
from rung.errors import EngineError


def conclude(
    answer: Answer,
    request: ChatRequest,
    origin: Origin,
    *,
    locality: Locality,
    total_ms: float,
) -> Completion:
    """The answer as a `Completion`. Raises `EngineError` for one that is cut off or empty.

    Reasoning without text is let through where a schema was asked: some engines put the object
    itself there (LM Studio bug 1698), and `structured` can recover it.
    """
    if answer.finish == "error":
        raise origin.error(
            "server_error", "the engine broke off its answer with finish reason error", status=200
        )
    is_empty = not answer.text.strip() and not answer.tool_calls
    if is_empty and not (request.schema is not None and answer.reasoning):
        raise empty_error(answer, origin)
    usage = answer.usage
    return Completion(
        text="" if is_empty else answer.text,
        engine=origin.engine,
        model=request.model,
        served_model=answer.served_model,
        provider=answer.provider,
        locality=locality,
        reasoning=answer.reasoning,
        tool_calls=answer.tool_calls,
        finish_reason=answer.finish,
        usage=usage,
        timings=Timings(
            load_ms=answer.load_ms,
            first_token_ms=answer.first_token_ms,
            total_ms=total_ms,
            tokens_per_s=answer.tokens_per_s
            or measured_speed(usage.tokens_out, answer.first_token_ms, total_ms),
        ),
        repairs=answer.repairs,
        flags=tuple(dict.fromkeys((*answer.flags, *_other_model(answer, request)))),
    )


def _other_model(answer: Answer, request: ChatRequest) -> tuple[Flag, ...]:
    served = answer.served_model
    is_other = served is not None and not may_be_same_model(request.model, served)
    return ("served_other_model",) if is_other else ()


def measured_speed(
    tokens_out: int | None, first_token_ms: float | None, total_ms: float
) -> float | None:
    """Tokens per second after the first one, where both ends were seen."""
    if tokens_out is None or tokens_out < 2 or first_token_ms is None or total_ms <= first_token_ms:
        return None
    return (tokens_out - 1) * 1000 / (total_ms - first_token_ms)


def cut_off_error(origin: Origin) -> EngineError:
    """The stream ended politely, but without an end marker or a finish reason."""
    return origin.error(
        "bad_output",
        "the stream ended without its end marker, so the answer is cut off; "
        "look at the engine's own log for a crash",
        status=200,
    )


def empty_error(answer: Answer, origin: Origin) -> EngineError:
    """Why there is no text and no tool call, and what would bring some."""
    if answer.refusal or answer.finish == "content_filter":
        said = f": {answer.refusal[:200]}" if answer.refusal else " without saying why"
        return origin.error("refused", f"the model or its provider refused{said}", status=200)
    if answer.reasoning and answer.finish == "length":
        cause = (
            "the model spent its whole token budget on reasoning and wrote no answer; "
            "raise max_tokens or switch thinking off"
        )
    elif answer.reasoning:
        cause = (
            "the model reasoned but wrote no answer; switch thinking off, or check how the engine "
            "separates reasoning from content"
        )
    elif answer.finish == "length":
        cause = "max_tokens, or the context window, was used up before the first word"
    else:
        cause = (
            f"the engine answered with empty content (finish reason {answer.finish}); "
            "check the model's chat template"
        )
    return origin.error("bad_output", cause, status=200)
