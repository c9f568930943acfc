"""Any server that speaks the OpenAI chat API. What differs between them is data in `profiles`."""

from __future__ import annotations

from rung.chat import ChatRequest
from rung.engines.body import AnswerBody
from rung.engines.failure import Origin
from rung.engines.http_engine import HttpEngine
from rung.engines.request import encode_body
from rung.engines.wire import Encoded, Wire


class OpenAICompatibleEngine(HttpEngine):
    """`POST chat/completions`, in the dialect of the engine's profile."""

    enforces_schema = True
    has_tools = True
    has_images = True

    def _wire(self, request: ChatRequest) -> Wire:
        return Wire(route="chat/completions", encode=self._encode, reader=AnswerBody)

    def _encode(self, request: ChatRequest, origin: Origin) -> Encoded:
        return Encoded(body=encode_body(request, self.profile.dialect, origin))
