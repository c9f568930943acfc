"""`POST /v1/embeddings`, which any stand-in of an OpenAI-compatible engine may be given."""

from __future__ import annotations

from array import array
from base64 import b64encode
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.fakes.formats import Call

if TYPE_CHECKING:
    from tests.fakes.server import FakeServer

Answer = dict[str, Any]


class Embedder:
    """The vector of a text is its length and its number in the batch.

    `spoil` changes an answer before it is sent.
    """

    def __init__(
        self,
        server: FakeServer,
        *,
        is_base64: bool = False,
        spoil: Callable[[Answer], Answer] = lambda answer: answer,
    ) -> None:
        self.is_base64 = is_base64
        self.spoil = spoil
        self.batches: list[int] = []
        server.handlers["POST", "/v1/embeddings"] = self._embed

    async def _embed(self, _: FakeServer, __: web.Request, call: Call) -> web.Response:
        inputs = call.body["input"]
        self.batches.append(len(inputs))
        data = [
            {
                "object": "embedding",
                "index": n,
                "embedding": self._vector(float(len(text)), float(n)),
            }
            for n, text in enumerate(inputs)
        ]
        usage = {"prompt_tokens": len(inputs), "total_tokens": len(inputs)}
        answer = {"object": "list", "model": call.body["model"], "data": data, "usage": usage}
        return web.json_response(self.spoil(answer))

    def _vector(self, *numbers: float) -> Any:
        return b64encode(array("f", numbers).tobytes()).decode() if self.is_base64 else numbers
