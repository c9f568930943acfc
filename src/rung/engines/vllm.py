"""vLLM: one model for the life of the server, which can be put to sleep and woken.

Only `response_format` asks for a schema: `guided_json` and its kin are accepted and ignored by
newer servers (vllm issue 53975). Sleep needs `--enable-sleep-mode` and VLLM_SERVER_DEV_MODE=1.
https://docs.vllm.ai/en/latest/features/sleep_mode/
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rung.chat import ChatRequest, LoadedModel, LoadOptions, ModelInfo
from rung.engines.deadline import Deadline
from rung.engines.fields import first_count
from rung.engines.health import HEALTH_TIMEOUT_S
from rung.engines.listings import find_model
from rung.engines.metered import MeteredEngine
from rung.engines.polling import until
from rung.engines.request import prompt_fields
from rung.engines.think import without_old_thinking
from rung.errors import EngineError

_WAKE_TIMEOUT_S = 600.0


class VllmEngine(MeteredEngine):
    """Loaded means awake. Window and slots are fixed when the server starts, whatever is asked."""

    can_load = True
    obeys_options = False
    can_count = True

    async def loaded(self) -> Sequence[LoadedModel]:
        return [_loaded(model) for model in await self.list_models() if model.is_loaded]

    async def load(
        self,
        model: str,
        options: LoadOptions,
        on_progress: Callable[[float], None] | None = None,
    ) -> LoadedModel:
        """Wakes the server, which tells no progress."""
        origin = self._origin(model)
        known = find_model(await self.list_models(), model)
        if known is None:
            raise origin.error(
                "model_missing",
                f"this vLLM serves other models; start one with `vllm serve {model}`",
            )
        if known.is_loaded:
            return _loaded(known)
        deadline = Deadline(origin, _WAKE_TIMEOUT_S, None)
        try:
            await self._connection.ask("POST", "/wake_up", None, origin, deadline.remaining_s)
            await until(self._is_awake, deadline, "the server was waking up")
            return _loaded(known, load_ms=deadline.elapsed_ms)
        finally:
            deadline.close()

    async def unload(self, model: str) -> None:
        """Puts the whole server to sleep, its adapters too; the weights stay in RAM (level 1).

        Sleep would abort the requests of others: they are waited for, as long as a call may take.
        """
        origin = self._origin(model)
        if find_model(await self.list_models(), model) is None:
            return
        deadline = Deadline(origin, self.settings.timeout_s, None)
        try:
            if await self._is_asleep():
                return
            await until(self._is_idle, deadline, "others were being answered")
            # Servers that know no mode ignore it.
            route = "/sleep?level=1&mode=wait"
            await self._connection.ask("POST", route, None, origin, deadline.remaining_s)
            await until(self._is_asleep, deadline, "the server was falling asleep")
        except EngineError as error:
            if error.status not in (404, 405):
                raise
            raise origin.error(
                "bad_request",
                "this vLLM cannot be put to sleep; start it with --enable-sleep-mode and "
                "VLLM_SERVER_DEV_MODE=1, on loopback only, for its sleep route asks for no key",
                status=error.status,
            ) from error
        finally:
            deadline.close()

    async def count_tokens(self, request: ChatRequest) -> int | None:
        """Exact, by the server's own template; what an image becomes is not told."""
        if any(message.images for message in request.messages):
            return None
        origin = self._origin(request.model)
        body = prompt_fields(without_old_thinking(request), self.profile.dialect)
        try:
            answer = await self._connection.ask("POST", "/tokenize", body, origin, HEALTH_TIMEOUT_S)
        except EngineError as error:
            # Without the route there is nothing to count with; the API itself is there.
            if error.status in (404, 405):
                return None
            raise
        return first_count(answer.get("count"))

    async def _is_asleep(self) -> bool:
        origin = self._origin()
        answer = await self._connection.ask("GET", "/is_sleeping", None, origin, HEALTH_TIMEOUT_S)
        return answer.get("is_sleeping") is True

    async def _is_awake(self) -> bool:
        return not await self._is_asleep()

    async def _is_idle(self) -> bool:
        metrics = await self.metrics()
        return metrics is None or metrics.is_idle


def _loaded(model: ModelInfo, load_ms: float | None = None) -> LoadedModel:
    return LoadedModel(model=model.id, context_tokens=model.context_tokens, load_ms=load_ms)
