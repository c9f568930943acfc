"""What may reach the embedded model. llama.cpp crashes on JSON nested thousands deep and takes as
much memory as a prompt asks for, so both are refused before they get there.
"""

from __future__ import annotations

import re

from rung.chat import ChatRequest
from rung.engines.failure import Origin
from rung.engines.fields import as_list, as_object

MAX_BODY_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 64
# No tokenizer in use has a longer token, so a prompt of more bytes cannot fit the context.
MAX_TOKEN_BYTES = 128

_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)


def check_request(request: ChatRequest, context_tokens: int, origin: Origin) -> None:
    """Raises `EngineError`: `context_overflow` for what is too long, `bad_request` for too deep."""
    size = request_bytes(request)
    limit = min(MAX_BODY_BYTES, context_tokens * MAX_TOKEN_BYTES)
    if size > limit:
        raise origin.error(
            "context_overflow",
            f"the request has {size} bytes, and a context window of {context_tokens} tokens "
            f"cannot hold more than {limit}; shorten the prompt, raise embedded.context_tokens, "
            "or choose a model with a larger context window",
        )
    documents: list[object] = [request.schema, *(tool.parameters for tool in request.tools)]
    calls = [call.arguments for message in request.messages for call in message.tool_calls]
    if any(is_deep(document) for document in documents) or any(map(is_deep_text, calls)):
        raise origin.error(
            "bad_request", f"a schema or tool call is nested more than {MAX_DEPTH} levels deep"
        )


def request_bytes(request: ChatRequest) -> int:
    """The size in UTF-8 of everything in the request that a caller can make long."""
    texts = [message.content for message in request.messages]
    texts += [image for message in request.messages for image in message.images]
    texts += [call.arguments for message in request.messages for call in message.tool_calls]
    texts += [tool.description for tool in request.tools]
    return sum(len(text.encode("utf-8", "replace")) for text in texts)


def is_deep(document: object, limit: int = MAX_DEPTH) -> bool:
    """Whether a JSON value is nested more than `limit` levels deep."""
    level: list[object] = [document]
    for _ in range(limit + 1):
        if not any(isinstance(value, dict | list) for value in level):
            return False
        level = [
            child for value in level for child in (*as_object(value).values(), *as_list(value))
        ]
    return True


def is_deep_text(text: str, limit: int = MAX_DEPTH) -> bool:
    """Whether JSON text is nested more than `limit` levels deep, without parsing it."""
    depth = 0
    for found in _STRING_OR_BRACKET.finditer(text):
        if found[0] in ("[", "{"):
            depth += 1
            if depth > limit:
                return True
        elif found[0] in ("]", "}"):
            depth -= 1
    return False
