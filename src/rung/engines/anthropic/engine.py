"""Anthropic's Messages API: https://platform.claude.com/docs/en/api/messages."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from urllib.parse import quote

import msgspec

from rung.chat import ChatRequest, Chunk, Health, Level, ModelInfo
from rung.engines.answer import Answer
from rung.engines.anthropic.answer import MessagesBody
from rung.engines.anthropic.request import encode
from rung.engines.cloud_listings import read_anthropic
from rung.engines.deadline import Deadline
from rung.engines.failure import Origin
from rung.engines.fields import as_count, as_object, as_text, decode
from rung.engines.health import HEALTH_TIMEOUT_S
from rung.engines.http_engine import HttpEngine
from rung.engines.think import without_old_thinking
from rung.engines.wire import Wire
from rung.errors import EngineError

COUNT_TIMEOUT_S = 10.0
_PAGES = 20
# "Schema is too complex for compilation", "the compiled grammar is too large", a pattern: how large
# is too large it says only when it is asked.
_REFUSED_SCHEMA = re.compile(r"schema|grammar|output_config", re.IGNORECASE)
_NOT_COUNTED = ("max_tokens", "stream", "stop_sequences", "temperature", "top_p")


class AnthropicEngine(HttpEngine):
    """`POST messages`. What each model takes is data in `models`."""

    enforces_schema = True
    has_tools = True
    has_images = True
    can_count = True

    def _wire(self, request: ChatRequest) -> Wire:
        return Wire(route="messages", encode=encode, reader=MessagesBody)

    async def _receive(
        self, wire: Wire, body: bytes, answer: Answer, origin: Origin, deadline: Deadline
    ) -> AsyncGenerator[Chunk, None]:
        """Unenforced, and with a flag that says so, where the API refuses the schema."""
        try:
            async with aclosing(super()._receive(wire, body, answer, origin, deadline)) as chunks:
                async for chunk in chunks:
                    yield chunk
            return
        except EngineError as error:
            fields = as_object(decode(body))
            is_refused = error.status == 400 and _REFUSED_SCHEMA.search(error.message)
            if not (is_refused and as_object(fields.get("output_config")).pop("format", None)):
                raise
        answer.flags.append("schema_not_enforced")
        body = msgspec.json.encode(fields)
        async with aclosing(super()._receive(wire, body, answer, origin, deadline)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def health(self, model: str | None = None, *, probe: bool = False) -> Health:
        """As any engine's, but that no token is asked for where one would cost money."""
        is_paid = self.locality == "cloud"
        health = await super().health(model, probe=probe and not is_paid)
        if probe and is_paid:
            return msgspec.structs.replace(health, probed=Level(error="not probed: it is paid"))
        return health

    async def count_tokens(self, request: ChatRequest) -> int | None:
        """As Anthropic counts them, tools and schema included; counting costs nothing."""
        origin = self._origin(request.model)
        self._require_key(origin)
        body = as_object(decode(encode(without_old_thinking(request), origin).body))
        asked = {name: value for name, value in body.items() if name not in _NOT_COUNTED}
        answer = await self._connection.ask(
            "POST", "messages/count_tokens", asked, origin, COUNT_TIMEOUT_S, request.cancel
        )
        return as_count(answer.get("input_tokens"))

    async def list_models(self) -> list[ModelInfo]:
        """Every page of the list."""
        models: list[ModelInfo] = []
        origin = self._origin()
        route = self.profile.listings[0].routes[0]
        first = route
        for _ in range(_PAGES):
            answer = await self._connection.ask("GET", route, None, origin, HEALTH_TIMEOUT_S)
            page = read_anthropic([answer])
            if page is None:
                raise origin.error("bad_output", "Anthropic sends no list of models")
            models += page
            last = as_text(answer.get("last_id"))
            if not (answer.get("has_more") is True and last):
                break
            route = f"{first}&after_id={quote(last, safe='')}"
        return models
