"""OpenRouter's list of models, and what it does with `require_parameters`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.fakes.formats import Call
from tests.fakes.profiles import Route
from tests.fakes.replies import Reply, failure

if TYPE_CHECKING:
    from tests.fakes.server import FakeServer

THINKER, TALKER, CHANGING, BY_REQUEST, GIVEN_AWAY = (
    "acme/thinker",
    "acme/talker",
    "acme/auto",
    "acme/searcher",
    "acme/small:free",
)
_NEEDS = {
    "response_format": "structured_outputs",
    **{name: name for name in ("tools", "reasoning", "temperature", "top_p", "seed")},
}


def _model(identifier: str, *takes: str, **pricing: str) -> dict[str, Any]:
    return {
        "id": identifier,
        "context_length": 131_072,
        "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
        "pricing": pricing,
        "supported_parameters": ["max_tokens", *takes],
    }


MODELS = [
    _model(
        THINKER,
        *("tools", "reasoning", "structured_outputs", "temperature", "seed"),
        prompt="0.000004",
        completion="0.00002",
        request="0",
        input_cache_read="0.0000002",
        input_cache_write="0.000005",
    ),
    _model(TALKER, prompt="0.0000001", completion="0.0000002"),
    _model(CHANGING, "tools", prompt="-1", completion="-1"),
    _model(BY_REQUEST, prompt="0.000001", completion="0.000001", request="0.005"),
    _model(GIVEN_AWAY, "tools", prompt="0", completion="0"),
]


def serve_models(server: FakeServer) -> None:
    """Gives `server` these models, of which each is served only with what it takes."""
    server.routes["/v1/models"] = Route(content={"data": MODELS})
    server.chat_rules["/v1/chat/completions"] = _routed


def _routed(call: Call, next_reply: Callable[[Call], Reply]) -> Reply:
    model = next(entry for entry in MODELS if entry["id"] == call.body["model"])
    asked = {needed for field, needed in _NEEDS.items() if field in call.body}
    is_strict = call.body.get("provider", {}).get("require_parameters")
    if is_strict and not asked <= set(model["supported_parameters"]):
        message = "No endpoints found that can handle the requested parameters."
        return failure(404, {"error": {"message": message, "code": 404}})
    return next_reply(call)
