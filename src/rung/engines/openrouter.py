"""OpenRouter: one API before many providers. https://openrouter.ai/docs"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import msgspec

from rung.chat import ChatRequest, Flag, ModelInfo
from rung.engines.cloud_listings import read_openrouter, supported_parameters
from rung.engines.deadline import Deadline
from rung.engines.failure import Origin
from rung.engines.health import HEALTH_TIMEOUT_S
from rung.engines.openai_compatible import OpenAICompatibleEngine
from rung.engines.wire import Encoded
from rung.errors import EngineError

_SAMPLING = ("temperature", "top_p", "seed")


class OpenRouterEngine(OpenAICompatibleEngine):
    """It is told to use only providers that obey every parameter, so that none drops the schema.

    Then a parameter that a model does not know leaves it without any provider: what the list of
    models says that one does not take is not sent.
    """

    _takes: Mapping[str, frozenset[str]] | None = None

    async def list_models(self) -> list[ModelInfo]:
        origin = self._origin()
        listing = await self._connection.ask("GET", "models", None, origin, HEALTH_TIMEOUT_S)
        models = read_openrouter([listing])
        if models is None:
            raise origin.error("bad_output", f"{self.profile.title} sends no list of models")
        self._takes = supported_parameters(listing)
        return models

    async def _prepared(
        self, request: ChatRequest, origin: Origin, deadline: Deadline
    ) -> ChatRequest:
        is_demanding = request.schema is not None or request.tools or request.think is not None
        if self._takes is None and is_demanding:
            try:
                await deadline.wait(self.list_models(), "it was asked for its models")
            except EngineError as error:
                # The request may well be served: only a model that lacks something would refuse it.
                if error.kind == "cancelled":
                    raise
        return await super()._prepared(request, origin, deadline)

    def _encode(self, request: ChatRequest, origin: Origin) -> Encoded:
        takes = (self._takes or {}).get(request.model)
        if takes is None:
            return super()._encode(request, origin)
        flags: list[Flag] = []
        if request.think is not None and "reasoning" not in takes:
            # A model that never thinks has nothing to switch off.
            if request.think:
                flags.append("thinking_not_switched")
            request = msgspec.structs.replace(request, think=None)
        if request.schema is not None and "structured_outputs" not in takes:
            flags.append("schema_not_enforced")
            request = msgspec.structs.replace(request, schema=None)
        refused = {name: None for name in _SAMPLING if name not in takes}
        request = msgspec.structs.replace(request, **refused)
        encoded = super()._encode(request, origin)
        return replace(encoded, flags=(*encoded.flags, *flags))
