"""Any engine behind HTTP: ask, read the stream, conclude. An adapter says only what differs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

import aiohttp

from rung.chat import ChatRequest, Chunk, Health, JsonObject, ModelInfo
from rung.config.settings import EngineSettings
from rung.engines.answer import Answer
from rung.engines.base import Engine
from rung.engines.completion import conclude, cut_off_error
from rung.engines.connection import Connection, awaited, read_at_most
from rung.engines.deadline import Deadline
from rung.engines.failure import Origin, response_error
from rung.engines.health import check_health, fetch_models
from rung.engines.locality import locality_of
from rung.engines.profiles import Profile, profile_for
from rung.engines.wire import Reader, Wire
from rung.errors import EngineError

_MAX_ERROR_BYTES = 64 * 1024
_DRAIN_S = 0.05
_READING = "the engine was answering"


class HttpEngine(Engine):
    """One engine of the user's. `settings.base_url` may be empty: then the kind's own is used.

    Answers are always streamed from the engine, because only a stream stops when it is closed.
    `settings.stall_timeout_s` bounds the silence between two events once the first has come;
    comments, which servers send to keep a connection open, do not count as a sign of life.
    """

    def __init__(self, name: str, settings: EngineSettings) -> None:
        self.name = name
        self.kind = settings.kind
        self.settings = settings
        base_url = (settings.base_url or profile_for(settings.kind, "").base_url).rstrip("/")
        self.profile: Profile = profile_for(settings.kind, base_url)
        self.tool = self.profile.tool
        self.base_url = base_url
        self.locality = settings.locality or locality_of(base_url)
        self._connection = Connection(
            self._origin(),
            is_kept=self.profile.keeps_connections,
            key_header=self.profile.key_header,
            headers=self.profile.headers,
        )

    @abstractmethod
    def _wire(self, request: ChatRequest) -> Wire:
        """How this request is sent and its answer read."""

    def _origin(self, model: str | None = None) -> Origin:
        return Origin(
            engine=self.name,
            base_url=self.base_url,
            model=model,
            secret=self.settings.api_key,
            advice=self.profile.advice,
        )

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        origin = self._origin(request.model)
        self._require_key(origin)
        timeout_s = self.settings.timeout_s if request.timeout_s is None else request.timeout_s
        deadline = Deadline(origin, timeout_s, request.cancel)
        answer = Answer()
        try:
            wire = self._wire(request)
            encoded = wire.encode(request, origin)
            answer.flags.extend(encoded.flags)
            async with aclosing(
                self._receive(wire, encoded.body, answer, origin, deadline)
            ) as chunks:
                async for chunk in chunks:
                    yield chunk
            yield Chunk(
                completion=conclude(
                    answer, request, origin, locality=self.locality, total_ms=deadline.elapsed_ms
                )
            )
        finally:
            deadline.close()

    async def _receive(
        self, wire: Wire, body: bytes, answer: Answer, origin: Origin, deadline: Deadline
    ) -> AsyncGenerator[Chunk, None]:
        """Fills `answer` from one request and yields what is new in it. Raises `EngineError`."""
        response = await self._connection.post(wire.route, body, deadline, origin)
        try:
            if response.status != 200:
                raw = await read_at_most(response, _MAX_ERROR_BYTES, origin, deadline)
                raise response_error(origin, response.status, response.headers, raw)
            reader = wire.reader(origin)
            async with aclosing(self._events(response, reader, answer, origin, deadline)) as events:
                async for event in events:
                    chunk = answer.add(event)
                    if answer.first_token_ms is None and answer.has_begun:
                        answer.first_token_ms = deadline.elapsed_ms
                    if chunk is not None:
                        yield chunk
        finally:
            # Ends the connection unless its body was read to the end; the engine then stops.
            response.close()
        chunk = answer.close()
        if chunk is not None:
            yield chunk

    async def _events(
        self,
        response: aiohttp.ClientResponse,
        reader: Reader,
        answer: Answer,
        origin: Origin,
        deadline: Deadline,
    ) -> AsyncGenerator[JsonObject, None]:
        last_event_ms = deadline.elapsed_ms
        while not reader.is_done:
            limit_s = None
            if answer.has_begun:
                silent_s = (deadline.elapsed_ms - last_event_ms) / 1000
                limit_s = max(0.0, self.settings.stall_timeout_s - silent_s)
            deadline.check(_READING)
            read = response.content.readany()
            piece = await awaited(read, origin, deadline, _READING, limit_s)
            events = reader.feed(piece) if piece else reader.close()
            for event in events:
                last_event_ms = deadline.elapsed_ms
                yield event
            if not piece:
                if not (reader.is_done or answer.is_ended):
                    raise cut_off_error(origin)
                return
        if self.profile.keeps_connections:
            # The bytes after the end marker must be read for the connection to be used again.
            with suppress(EngineError):
                await awaited(response.content.readany(), origin, deadline, _READING, _DRAIN_S)

    def _require_key(self, origin: Origin) -> None:
        if self.profile.needs_key and not self.settings.api_key:
            raise origin.error(
                "unconfigured",
                f"{self.profile.title} needs a key; set api_key or api_key_env of engine "
                f"{self.name!r} in rung.toml",
            )

    async def health(self, model: str | None = None, *, probe: bool = False) -> Health:
        origin = self._origin(model or self.settings.model or None)
        return await check_health(
            self,
            self.profile,
            self._connection,
            origin,
            health_path=self.settings.health_path,
            probe=probe,
        )

    async def list_models(self) -> list[ModelInfo]:
        return await fetch_models(self.profile, self._connection, self._origin())

    async def close(self) -> None:
        await self._connection.close()
