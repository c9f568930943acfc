"""Any engine behind HTTP: ask, read the stream, conclude. An adapter says only what differs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import ClassVar

import aiohttp
import msgspec

from rung.chat import ChatRequest, Chunk, Health, JsonObject, ModelInfo
from rung.config.environment import system_proxy
from rung.config.settings import EngineSettings
from rung.engines.answer import Answer, callable_tools
from rung.engines.base import Engine
from rung.engines.completion import conclude, cut_off_error
from rung.engines.connection import Connection, awaited, read_at_most
from rung.engines.deadline import Deadline
from rung.engines.enforcement import flagged
from rung.engines.failure import Origin, response_error
from rung.engines.health import check_health, fetch_models, fetch_version
from rung.engines.locality import locality_of
from rung.engines.profiles import PROFILES, Profile, profile_for
from rung.engines.ssh.tunnel import Tunnel
from rung.engines.ssh.url import SCHEME, parse_ssh_url
from rung.engines.think import without_old_thinking
from rung.engines.wire import Reader, Wire
from rung.errors import ConfigError, EngineError

_MAX_ERROR_BYTES = 64 * 1024
_DRAIN_S = 0.05
_BEGINNING = "the engine had not yet said a word; timeout_s is how long it may take"
_READING = "the engine was silent in the middle of its answer"


class HttpEngine(Engine):
    """One engine of the user's. `settings.base_url` may be empty: then the kind's own is used.

    Answers are always streamed from the engine, because only a stream stops when it is closed.
    `settings.timeout_s` bounds the wait for the first token, `stall_timeout_s` the silence between
    two events after it; comments, which servers send to keep a connection open, are no sign of
    life. How long a whole answer may take is for the caller to say, in `ChatRequest.timeout_s`.
    """

    takes_endpoint: ClassVar[bool] = False  # another chat route than the kind's own

    def __init__(self, name: str, settings: EngineSettings) -> None:
        """Raises `UsageError` for settings that the engine could not obey."""
        if settings.endpoint and not self.takes_endpoint:
            raise ConfigError(
                f"engines.{name}.endpoint: {PROFILES[settings.kind].title} has one chat "
                "route only; leave endpoint out"
            )
        self.name = name
        self.kind = settings.kind
        self.settings = settings
        own_url = self._usual_url = PROFILES[settings.kind].base_url
        base_url = (settings.base_url or own_url).rstrip("/")
        self.profile: Profile = profile_for(settings.kind, base_url)
        self.tool = self.profile.tool
        self.base_url = base_url
        self.locality = settings.locality or locality_of(base_url)
        self._tunnel: Tunnel | None = None
        if base_url.startswith(SCHEME):
            url = parse_ssh_url(settings.base_url, own_url)
            self._tunnel = Tunnel(url, self._origin(), config_file=settings.ssh_config)
        self._connection = Connection(
            self._origin(),
            is_kept=self.profile.keeps_connections,
            key_header=self.profile.key_header,
            headers=self.profile.headers,
            tunnel=self._tunnel,
            proxy=self._proxy(),
        )

    @property
    def opening_s(self) -> float:
        return self._connection.opening_s

    def _proxy(self) -> str | None:
        """The system's proxy; nothing that is near goes through it, whatever the user calls it."""
        is_far = "cloud" == self.locality == locality_of(self.base_url)
        return system_proxy(self.base_url) if is_far else None

    @abstractmethod
    def _wire(self, request: ChatRequest) -> Wire:
        """How this request is sent and its answer read."""

    async def _prepared(
        self, request: ChatRequest, origin: Origin, deadline: Deadline
    ) -> ChatRequest:
        """The request as it will be sent, where the engine must be asked something first."""
        return request

    async def _check_served(self, served: str, origin: Origin, deadline: Deadline) -> None:
        """Raises `EngineError` where `served` is certainly another model than `origin.model`.

        It is asked before any of the answer is shown. A name that only looks different is no
        error: the completion gets a flag.
        """

    def _origin(self, model: str | None = None) -> Origin:
        return Origin(
            engine=self.name,
            base_url=self.base_url,
            model=model,
            secret=self.settings.api_key,
            advice=self.profile.advice,
            usual_url=self._usual_url,
        )

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        origin = self._origin(request.model)
        self._require_key(origin)
        deadline = Deadline(origin, request.timeout_s, request.cancel)
        answer = Answer(callable_tools(request), is_json=request.schema is not None)
        try:
            request = await self._prepared(without_old_thinking(request), origin, deadline)
            wire = self._wire(request)
            encoded = wire.encode(request, origin)
            answer.flags.extend(encoded.flags)
            async with aclosing(
                self._receive(wire, encoded.body, answer, origin, deadline)
            ) as chunks:
                async for chunk in chunks:
                    yield chunk
            completion = conclude(
                answer, request, origin, locality=self.locality, total_ms=deadline.elapsed_ms
            )
            yield Chunk(completion=flagged(wire.finish(completion), request))
        finally:
            deadline.close()

    async def _receive(
        self, wire: Wire, body: bytes, answer: Answer, origin: Origin, deadline: Deadline
    ) -> AsyncGenerator[Chunk, None]:
        """Fills `answer` from one request and yields what is new in it. Raises `EngineError`."""
        response = await self._post(wire, body, origin, deadline)
        try:
            reader = wire.reader(origin)
            async with aclosing(self._events(response, reader, answer, origin, deadline)) as events:
                async for event in events:
                    served = answer.served_model
                    chunk = answer.add(event)
                    if answer.served_model not in (served, None, origin.model):
                        await self._check_served(answer.served_model, origin, deadline)
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

    async def _post(
        self, wire: Wire, body: bytes, origin: Origin, deadline: Deadline
    ) -> aiohttp.ClientResponse:
        """The response to one request, whose status is 200. Raises `EngineError`."""
        response = await self._connection.post(
            wire.route, body, deadline, origin, self.settings.timeout_s
        )
        if response.status == 200:
            return response
        try:
            raw = await read_at_most(
                response, _MAX_ERROR_BYTES, origin, deadline, self.settings.stall_timeout_s
            )
            raise response_error(origin, response.status, response.headers, raw)
        finally:
            response.close()

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
            # Before the first token the whole wait counts, for an engine may send signs of life
            # while the request only stands in its queue.
            limit_s, doing, since_ms = self.settings.timeout_s, _BEGINNING, 0.0
            if answer.has_begun:
                limit_s, doing, since_ms = self.settings.stall_timeout_s, _READING, last_event_ms
            deadline.check(doing)
            silent_s = (deadline.elapsed_ms - since_ms) / 1000
            read = response.content.readany()
            piece = await awaited(read, origin, deadline, doing, limit_s, silent_s)
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
        health = await check_health(
            self,
            self.profile,
            self._connection,
            origin,
            health_path=self.settings.health_path,
            probe=probe,
        )
        if self._tunnel is None:
            return health
        return msgspec.structs.replace(health, tunnel=self._tunnel.level)

    async def list_models(self) -> list[ModelInfo]:
        return await fetch_models(self.profile, self._connection, self._origin())

    async def version(self) -> str | None:
        return await fetch_version(self.profile, self._connection)

    async def close(self) -> None:
        await self._connection.close()
