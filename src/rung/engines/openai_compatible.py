"""Any server that speaks the OpenAI chat API. What differs between them is data in `profiles`."""

from __future__ import annotations

import aiohttp
import msgspec

from rung.chat import ChatRequest, Embeddings, EmbedRequest, Usage
from rung.config.settings import EngineSettings
from rung.engines.body import AnswerBody
from rung.engines.deadline import Deadline
from rung.engines.embeddings import (
    Vector,
    add_usage,
    check_dimensions,
    embedding_bodies,
    read_vectors,
)
from rung.engines.failure import Origin, refuses
from rung.engines.fields import as_object, as_text, decode
from rung.engines.http_engine import HttpEngine
from rung.engines.profiles import Dialect
from rung.engines.request import encode_body
from rung.engines.wire import Encoded, Wire
from rung.errors import EngineError

CHAT_ROUTE = "chat/completions"


class OpenAICompatibleEngine(HttpEngine):
    """`POST chat/completions` and `POST embeddings`, in the dialect of the engine's profile."""

    enforces_schema = True
    has_tools = True
    has_images = True
    can_embed = True
    takes_endpoint = True

    def __init__(self, name: str, settings: EngineSettings) -> None:
        super().__init__(name, settings)
        self._takes_stream_options = True

    def _wire(self, request: ChatRequest) -> Wire:
        route = self.settings.endpoint or CHAT_ROUTE
        return Wire(route=route, encode=self._encode, reader=AnswerBody)

    def _encode(self, request: ChatRequest, origin: Origin) -> Encoded:
        return Encoded(
            body=encode_body(
                request, self._dialect(request), origin, asks_usage=self._takes_stream_options
            )
        )

    def _dialect(self, request: ChatRequest) -> Dialect:
        """How this request is written; what differs between models of one engine shows here."""
        return self.profile.dialect

    async def _post(
        self, wire: Wire, body: bytes, origin: Origin, deadline: Deadline
    ) -> aiohttp.ClientResponse:
        try:
            return await super()._post(wire, body, origin, deadline)
        except EngineError as error:
            fields = as_object(decode(body))
            if not (refuses(error, "stream_options") and fields.pop("stream_options", None)):
                raise
        self._takes_stream_options = False
        return await super()._post(wire, msgspec.json.encode(fields), origin, deadline)

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """The vectors, asked for in batches; without any input nothing is asked."""
        origin = self._origin(request.model)
        self._require_key(origin)
        timeout_s = self.settings.timeout_s if request.timeout_s is None else request.timeout_s
        deadline = Deadline(origin, timeout_s, None)
        vectors: list[Vector] = []
        usage, served = Usage(tokens_in=0), None
        try:
            for body in embedding_bodies(request):
                work = self._connection.ask("POST", "embeddings", body, origin, None)
                answer = await deadline.wait(work, "it was asked for embeddings")
                vectors += read_vectors(answer, len(body["input"]))
                usage = add_usage(usage, answer)
                served = as_text(answer.get("model")) or served
            check_dimensions(vectors)
        except ValueError as error:
            raise origin.error(
                "bad_output", f"the engine's embeddings are unusable: {error}"
            ) from error
        finally:
            deadline.close()
        return Embeddings(
            vectors=tuple(vectors),
            engine=self.name,
            model=request.model,
            served_model=served,
            usage=usage,
            total_ms=deadline.elapsed_ms,
        )
