"""The one place through which every model call goes, so that every call is on record."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

import msgspec

from rung.chat import ChatRequest, Chunk, Completion, Usage
from rung.config.settings import Settings
from rung.errors import EngineError
from rung.ledger.content import stored
from rung.ledger.ledger import Ledger
from rung.ledger.rows import CallRow
from rung.routing.delivery import Delivery, Trace
from rung.routing.models import RoutedModel
from rung.routing.retry import UNBILLED
from rung.structured.complete import OnTurn, complete_object


@dataclass(frozen=True, kw_only=True)
class Label:
    """What a call was for, as the ledger keeps it."""

    purpose: str = "ask"
    task_id: str | None = None
    attempt: int | None = None


class Hold(Protocol):
    """What was set aside for one call that was admitted. It is closed once, in one of two ways."""

    async def settle(self, usage: Usage) -> None:
        """Count what the call cost; an empty usage means that nobody knows. Never raises."""
        ...

    async def release(self) -> None:
        """The call ended before anything was generated: it cost nothing. Never raises."""
        ...


class Spending(Protocol):
    """What watches over money and other limits: asked before every call, told after it."""

    async def admit(self, model: RoutedModel, request: ChatRequest, label: Label) -> Hold:
        """Raise EngineError of kind `over_budget` where this call may not be made."""
        ...


class Calls:
    """Makes calls to models and records each of them: answered, failed or cancelled."""

    def __init__(
        self, ledger: Ledger, settings: Settings, delivery: Delivery, spending: Spending
    ) -> None:
        """`spending` watches over the calls that come with no other: those of no task."""
        self._ledger = ledger
        self._settings = settings
        self._delivery = delivery
        self._spending = spending

    async def stream(
        self,
        model: RoutedModel,
        request: ChatRequest,
        label: Label,
        *,
        spending: Spending | None = None,
        has_others: bool = False,
    ) -> AsyncGenerator[Chunk, None]:
        """The model's answer as it comes, delivered by `Delivery`. Raises EngineError.

        One that may not be paid for is refused before anything is sent, and is no call.
        """
        hold = await (spending or self._spending).admit(model, request, label)
        started = time.monotonic()
        trace = Trace()
        completion: Completion | None = None
        failure: EngineError | None = None
        is_billed = False
        text: list[str] = []
        delivered = self._delivery.stream(model, request, trace, has_others=has_others)
        try:
            async with aclosing(delivered) as chunks:
                async for chunk in chunks:
                    text.append(chunk.text)
                    is_billed = is_billed or bool(chunk.text or chunk.reasoning)
                    completion = chunk.completion or completion
                    yield chunk
        except EngineError as error:
            failure = error
            may_be_billed = error.was_sent and error.kind not in UNBILLED
            is_billed = is_billed or (may_be_billed and not model.is_free)
            raise
        except Exception as error:
            is_billed = is_billed or not model.is_free
            failure = EngineError("bad_request", str(error), engine=model.engine.name)
            raise
        except (asyncio.CancelledError, GeneratorExit):
            is_billed = is_billed or not model.is_free
            if completion is None:
                failure = EngineError(
                    "cancelled", "stopped by the caller", engine=model.engine.name
                )
            raise
        finally:
            total_ms = (time.monotonic() - started) * 1000
            row = self._row(model, request, label, "".join(text), failure, total_ms)
            row = _with_trace(row, trace)
            if completion is None and not is_billed:
                row = msgspec.structs.replace(row, cost_usd=0.0)
            self._ledger.record(_with_answer(row, model, completion) if completion else row)
            if completion is not None or is_billed:
                await hold.settle(completion.usage if completion else Usage())
            else:
                await hold.release()

    async def complete(
        self,
        model: RoutedModel,
        request: ChatRequest,
        label: Label,
        *,
        on_text: Callable[[str], None] | None = None,
        on_reasoning: Callable[[str], None] | None = None,
        on_turn: OnTurn | None = None,
        spending: Spending | None = None,
        has_others: bool = False,
    ) -> Completion:
        """A whole answer; with a schema, one that is valid against it. Raises EngineError.

        `on_text` and `on_reasoning` are called with each piece as it comes, `on_turn` before each
        further call that an object takes. `spending` is asked before every call.
        """

        async def call(asked: ChatRequest) -> Completion:
            stream = self.stream(model, asked, label, spending=spending, has_others=has_others)
            async with aclosing(stream) as chunks:
                async for chunk in chunks:
                    if on_text is not None and chunk.text:
                        on_text(chunk.text)
                    if on_reasoning is not None and chunk.reasoning:
                        on_reasoning(chunk.reasoning)
                    if chunk.completion is not None:
                        return chunk.completion
            raise EngineError(
                "bad_output", "the stream ended without an answer", engine=model.engine.name
            )

        if request.schema is None:
            return await call(request)
        return await complete_object(
            call, request, can_continue=model.engine.continues_answers, on_turn=on_turn
        )

    def _row(
        self,
        model: RoutedModel,
        request: ChatRequest,
        label: Label,
        text: str,
        failure: EngineError | None,
        total_ms: float,
    ) -> CallRow:
        policy = self._settings.ledger.store_content
        prompt = "\n".join(message.content for message in request.messages)
        return CallRow(
            tool=model.engine.tool,
            args_json={
                "model": request.model,
                "purpose": label.purpose,
                "prompt_length": len(prompt),
                "temperature": request.temperature,
                "max_tokens": request.max_tokens,
                "has_schema": request.schema is not None,
                "prompt": stored(prompt, policy),
            },
            result_json={
                "response_length": len(text),
                "latency_ms": round(total_ms, 1),
                "response": stored(text, policy),
            },
            violations_json=[_violation(failure)] if failure else [],
            app=self._settings.app,
            task_id=label.task_id,
            attempt=label.attempt,
            engine=model.engine.name,
            model=model.info.id,
            locality=model.locality,
            tier=model.tier,
            status="error" if failure else "ok",
            error_kind=failure.kind if failure else None,
            cost_usd=0.0 if model.is_free else None,
            total_ms=total_ms,
        )


def _with_trace(row: CallRow, trace: Trace) -> CallRow:
    """The row with the ways of the call: its failed tries, and what it waited for."""
    tries = [{"kind": item.kind, "ms": item.ms} for item in trace.tries]
    result = {**row.result_json, "tries": tries, "load_ms": trace.load_ms}
    return msgspec.structs.replace(row, result_json=result, queue_ms=trace.queue_ms)


def _with_answer(row: CallRow, model: RoutedModel, completion: Completion) -> CallRow:
    usage, timings = completion.usage, completion.timings
    result = {
        **row.result_json,
        "finish_reason": completion.finish_reason,
        "tokens_per_second": timings.tokens_per_s,
        "repairs": list(completion.repairs),
        "flags": list(completion.flags),
        "load_ms": timings.load_ms,
    }
    return msgspec.structs.replace(
        row,
        result_json=result,
        served_model=completion.served_model,
        tokens_in=usage.tokens_in,
        tokens_cached=usage.tokens_cached,
        tokens_out=usage.tokens_out,
        cost_usd=model.cost_usd(usage),
        queue_ms=timings.queue_ms,
        first_token_ms=timings.first_token_ms,
        tokens_per_s=timings.tokens_per_s,
    )


def _violation(failure: EngineError) -> dict[str, object]:
    return {"kind": failure.kind, "status": failure.status, "message": failure.message[:500]}
