"""Fitting a request to its model's window: refused, counted, or sent with less room for its answer.

The decisions are in `context`; here are their inputs: what the engine says of the model, what the
user declares, what earlier answers taught, and, in doubt, the engine's own count of the prompt.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace as changed

from msgspec.structs import replace

from rung.chat import ChatRequest, LoadedModel, LoadOptions
from rung.config.settings import ModelSettings, Settings
from rung.engines.base import Engine
from rung.engines.deadline import Deadline
from rung.errors import EngineError
from rung.models.measured import Measurements
from rung.routing.capabilities import adapted
from rung.routing.context import (
    FIRST_WINDOW_TOKENS,
    LEAST_ANSWER_TOKENS,
    PromptSize,
    Verdict,
    answer_room,
    grown_window,
    judge,
    lowered_max_tokens,
    prompt_size,
    settle,
)
from rung.routing.models import RoutedModel

# These answer a max_tokens beyond the rest of the window with an error; others end at the window.
_REFUSE_LONG_ANSWERS = frozenset({"vllm", "openai", "openrouter", "anthropic"})
# Its requests choose the window that the model is served with.
_WINDOW_IN_REQUEST = "ollama"


@dataclass(frozen=True, kw_only=True)
class FittedRequest:
    """A request as it is sent. `exact` is the engine's own count of it, where one was needed.

    `window` is `None` where nobody knows it: the engine then has the last word.
    """

    request: ChatRequest
    size: PromptSize
    window: int | None
    options: LoadOptions
    repairs: tuple[str, ...]
    exact: int | None = None

    @property
    def verdict(self) -> Verdict:
        """Whether it fits, as far as that can be told without a count."""
        if self.window is None:
            return "fits"
        return judge(self.size, self.window, self.request.max_tokens)


class PromptFit:
    """Fits requests. It remembers the window of each model whose requests choose one."""

    def __init__(self, settings: Settings, measured: Measurements) -> None:
        self._settings = settings
        self._measured = measured
        self._windows: dict[str, int] = {}

    def prepare(self, model: RoutedModel, request: ChatRequest) -> FittedRequest:
        """What can be decided before the model is loaded.

        Raises EngineError of kind `context_overflow` for a prompt that surely does not fit, or
        that seems not to on an engine which cannot count it.
        """
        engine = model.engine
        known = self._measured.of(engine.name, model.info.id)
        declared = self._settings.models.get(model.name) or ModelSettings()
        request, repairs = adapted(request, engine.kind, known)
        size = prompt_size(request, known.bytes_per_token)
        window = model.info.context_tokens
        chosen = None if declared.context_tokens is None else window
        if engine.kind == _WINDOW_IN_REQUEST:
            chosen = chosen or self._chosen_window(model, size, request)
            window = chosen or window
            request = replace(request, context_tokens=chosen)
        fitted = FittedRequest(
            request=request,
            size=size,
            window=window,
            options=LoadOptions(
                context_tokens=chosen if engine.can_load else None,
                slots=declared.slots,
                kv_type=declared.kv_type or None,
            ),
            repairs=repairs,
        )
        if fitted.verdict == "too_long" or (fitted.verdict == "doubt" and not engine.can_count):
            self._require_fit(model, fitted)
        return fitted

    async def finish(
        self,
        model: RoutedModel,
        fitted: FittedRequest,
        loaded: LoadedModel | None,
        deadline: Deadline,
    ) -> FittedRequest:
        """The request, fitted to the window that the model is `loaded` with. Raises EngineError."""
        window = loaded.context_tokens if loaded is not None else None
        if window:
            request = fitted.request
            if model.engine.kind == _WINDOW_IN_REQUEST:
                request = replace(request, context_tokens=window)
            fitted = changed(fitted, window=window, request=request)
        if fitted.verdict == "fits" or fitted.window is None:
            return fitted
        exact = await _count(model.engine, fitted.request, deadline)
        fitted = changed(fitted, exact=exact)
        self._require_fit(model, fitted)
        if model.engine.kind not in _REFUSE_LONG_ANSWERS or fitted.window is None:
            return fitted
        request = fitted.request
        lowered = lowered_max_tokens(fitted.size, exact, fitted.window, request.max_tokens)
        if lowered == request.max_tokens:
            return fitted
        return changed(
            fitted,
            request=replace(request, max_tokens=lowered),
            repairs=(*fitted.repairs, "max_tokens_lowered"),
        )

    def _chosen_window(
        self, model: RoutedModel, size: PromptSize, request: ChatRequest
    ) -> int | None:
        """The window that a long prompt needs; `None`: as it is loaded, or as the engine likes.

        It is remembered, for a listing that is a few seconds old would shrink it again.
        """
        listed = model.info.context_tokens or 0
        needed = size.high + (request.max_tokens or LEAST_ANSWER_TOKENS)
        if needed <= min(listed or FIRST_WINDOW_TOKENS, FIRST_WINDOW_TOKENS):
            return None
        current = max(self._windows.get(model.name, 0), listed)
        window = grown_window(current or None, needed, model.info.max_context_tokens)
        self._windows[model.name] = window
        return window

    def _require_fit(self, model: RoutedModel, fitted: FittedRequest) -> None:
        """Raise `context_overflow`, with the numbers, where the prompt does not fit."""
        size, window, exact = fitted.size, fitted.window, fitted.exact
        max_tokens = fitted.request.max_tokens
        truncates = bool(self._measured.of(model.engine.name, model.info.id).truncates)
        if window is None or settle(size, exact, window, max_tokens, truncates=truncates):
            return
        tokens = f"{exact:,}" if exact is not None else f"about {size.estimate:,}"
        advice = "shorten the prompt, or choose a model with a larger context window"
        if model.engine.can_load and model.engine.obeys_options:
            advice += f' (or set context_tokens under [models."{model.name}"])'
        raise EngineError(
            "context_overflow",
            f"the prompt has {tokens} tokens, and the context window of {window:,} must also hold "
            f"{answer_room(max_tokens):,} of the answer; {advice}",
            engine=model.engine.name,
            model=model.info.id,
        )


async def _count(engine: Engine, request: ChatRequest, deadline: Deadline) -> int | None:
    if not engine.can_count:
        return None
    try:
        return await deadline.wait(engine.count_tokens(request), "the prompt was counted")
    except EngineError as error:
        if error.kind == "cancelled":
            raise
        # The estimate decides; what is wrong with the engine, the call itself will say.
        return None
