"""An answer from the first model that gives one: what a question that names no model gets."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import aclosing

from msgspec.structs import replace

from rung.chat import ChatRequest, Chunk, Completion
from rung.errors import EngineError, EngineErrorKind, UsageError
from rung.models.measured import Measurements
from rung.routing.calls import Calls, Label
from rung.routing.capabilities import is_unfit
from rung.routing.models import RoutedModel
from rung.routing.router import Router
from rung.structured.stream import Watch, stream_object

FALLBACK_KINDS: frozenset[EngineErrorKind] = frozenset(
    {
        "unconfigured",
        "unreachable",
        "timeout",
        "unauthorized",
        "rate_limited",
        "overloaded",
        "model_missing",
        "model_not_loaded",
        "out_of_memory",
        "context_overflow",
        "server_error",
    }
)


class Fallback:
    """Asks one model, or several in turn until one answers. A named model is never replaced."""

    def __init__(self, router: Router, calls: Calls, measured: Measurements) -> None:
        self._router = router
        self._calls = calls
        self._measured = measured

    async def stream(
        self, request: ChatRequest, name: str | None, *, local_only: bool
    ) -> AsyncGenerator[Chunk, None]:
        """The answer of the model called `name`, else of the first that has begun one.

        The completion's `repairs` says whom it fell back from. Raises EngineError, UsageError.
        """
        order = await self._order(request, name, local_only)
        skipped: list[str] = []
        for model in order:
            is_last = model is order[-1]
            has_begun = False
            try:
                async with aclosing(self._answer(model, request, has_others=not is_last)) as chunks:
                    async for chunk in chunks:
                        has_begun = has_begun or bool(chunk.text or chunk.reasoning)
                        yield _with_skipped(chunk, skipped)
                return
            except EngineError as error:
                if has_begun or is_last or error.kind not in FALLBACK_KINDS:
                    raise
                skipped.append(f"fell_back_from:{model.name}:{error.kind}")

    async def _order(
        self, request: ChatRequest, name: str | None, local_only: bool
    ) -> Sequence[RoutedModel]:
        if name is not None:
            return [await self._router.find(name, local_only)]

        def is_unfit_for_it(model: RoutedModel) -> bool:
            known = self._measured.of(model.engine.name, model.info.id)
            return is_unfit(request, model.info, known)

        order = await self._router.answer_order(local_only, is_unfit=is_unfit_for_it)
        if not order:
            raise UsageError(
                "no model is available; run `rung models pull smollm2-135m`, start LM Studio or "
                "Ollama, or name one with --model (see `rung engines`)"
            )
        return order

    async def _answer(
        self, model: RoutedModel, request: ChatRequest, *, has_others: bool
    ) -> AsyncGenerator[Chunk, None]:
        asked, label = replace(request, model=model.info.id), Label()
        if asked.schema is not None:

            def work(watch: Watch) -> Awaitable[Completion]:
                return self._calls.complete(
                    model,
                    asked,
                    label,
                    on_text=watch.on_text,
                    on_reasoning=watch.on_reasoning,
                    on_turn=watch.on_turn,
                    has_others=has_others,
                )

            stream = stream_object(work)
        else:
            stream = self._calls.stream(model, asked, label, has_others=has_others)
        async with aclosing(stream) as chunks:
            async for chunk in chunks:
                yield chunk


def _with_skipped(chunk: Chunk, skipped: Sequence[str]) -> Chunk:
    if chunk.completion is None or not skipped:
        return chunk
    repairs = (*skipped, *chunk.completion.repairs)
    return replace(chunk, completion=replace(chunk.completion, repairs=repairs))
