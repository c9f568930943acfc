"""What each kind of engine answers on the routes that are not chat, from its wire contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MODEL = "tiny-1b"

_OPENAI_MODELS = {"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "acme"}]}


@dataclass(frozen=True, kw_only=True)
class Route:
    """A fixed answer: text as it is, anything else as JSON."""

    content: Any
    status: int = 200


@dataclass(frozen=True, kw_only=True)
class FakeProfile:
    """Routes, the field that carries reasoning, and what an unknown path gets."""

    routes: Mapping[str, Route]
    reasoning_field: str = "reasoning_content"
    unknown: Route = field(
        default_factory=lambda: Route(
            content={"error": {"message": "Not Found", "type": "not_found_error", "code": 404}},
            status=404,
        )
    )
    unauthorized: Any = field(
        default_factory=lambda: {
            "error": {"message": "Incorrect API key provided", "type": "invalid_request_error"}
        }
    )


LMSTUDIO_MODEL = {
    "type": "llm",
    "publisher": "acme",
    "key": MODEL,
    "display_name": "Tiny 1B",
    "architecture": "llama",
    "quantization": {"name": "Q4_K_M", "bits_per_weight": 4},
    "size_bytes": 700_000_000,
    "params_string": "1B",
    "loaded_instances": [{"id": MODEL, "config": {"context_length": 8192, "parallel": 4}}],
    "max_context_length": 32768,
    "format": "gguf",
    "capabilities": {"vision": False, "trained_for_tool_use": True},
}

LMSTUDIO_EMBEDDING = {
    **LMSTUDIO_MODEL,
    "type": "embedding",
    "key": "text-embedding-tiny",
    "loaded_instances": [],
}

_CLAUDES = [
    {
        "type": "model",
        "id": identifier,
        "display_name": identifier,
        "created_at": "2026-09-22T00:00:00Z",
        "max_input_tokens": window,
        "max_tokens": 128_000,
        "capabilities": {
            "image_input": {"supported": True},
            "structured_outputs": {"supported": True},
            "thinking": {"supported": True, "types": {"adaptive": {"supported": True}}},
        },
    }
    for identifier, window in (
        (MODEL, 200_000),
        ("claude-opus-5-5", 1_000_000),
        ("claude-haiku-4-5-20251001", 200_000),
    )
]

PROFILES: dict[str, FakeProfile] = {
    "lmstudio": FakeProfile(
        routes={
            "/lmstudio-greeting": Route(content='{"lmstudio":true}'),
            "/api/v1/models": Route(content={"models": [LMSTUDIO_MODEL, LMSTUDIO_EMBEDDING]}),
            "/api/v0/models": Route(
                content={
                    "data": [
                        {
                            "id": MODEL,
                            "object": "model",
                            "type": "llm",
                            "quantization": "Q4_K_M",
                            "state": "loaded",
                            "max_context_length": 32768,
                            "loaded_context_length": 4096,
                        }
                    ],
                    "object": "list",
                }
            ),
            "/v1/models": Route(content=_OPENAI_MODELS),
        },
        unknown=Route(content={"error": "Unexpected endpoint or method. (GET /nowhere)"}),
    ),
    "ollama": FakeProfile(
        routes={
            "/": Route(content="Ollama is running"),
            "/v1/models": Route(content=_OPENAI_MODELS),
        },
        reasoning_field="reasoning",
        unknown=Route(content="404 page not found", status=404),
    ),
    "vllm": FakeProfile(
        routes={
            "/health": Route(content=""),
            "/version": Route(content={"version": "0.33.0"}),
            "/v1/models": Route(
                content={
                    "object": "list",
                    "data": [
                        {
                            "id": MODEL,
                            "object": "model",
                            "owned_by": "vllm",
                            "root": MODEL,
                            "parent": None,
                            "max_model_len": 16384,
                            "permission": [],
                        }
                    ],
                }
            ),
        },
        reasoning_field="reasoning",
        unknown=Route(content={"detail": "Not Found"}, status=404),
        unauthorized={"error": "Unauthorized"},
    ),
    "llamacpp": FakeProfile(
        routes={
            "/health": Route(content={"status": "ok"}),
            "/v1/models": Route(
                content={
                    "object": "list",
                    "data": [
                        {
                            "id": MODEL,
                            "object": "model",
                            "owned_by": "llamacpp",
                            "meta": {
                                "n_ctx_train": 8192,
                                "n_params": 1_000_000_000,
                                "size": 700_000_000,
                            },
                        }
                    ],
                }
            ),
            "/props": Route(
                content={
                    "default_generation_settings": {"n_ctx": 4096, "params": {}},
                    "total_slots": 1,
                    "build_info": "b0-unknown",
                }
            ),
        },
        unknown=Route(
            content={
                "error": {"message": "File Not Found", "type": "not_found_error", "code": 404}
            },
            status=404,
        ),
        unauthorized={
            "error": {"message": "Invalid API Key", "type": "authentication_error", "code": 401}
        },
    ),
    "openrouter": FakeProfile(
        routes={
            "/v1/models": Route(
                content={
                    "data": [
                        {
                            "id": f"acme/{MODEL}",
                            "context_length": 131072,
                            "architecture": {"output_modalities": ["text"]},
                            "pricing": {"prompt": "0.0000001", "completion": "0.0000002"},
                        },
                        {
                            "id": "acme/painter",
                            "context_length": 4096,
                            "architecture": {"output_modalities": ["image"]},
                        },
                    ]
                }
            )
        },
        reasoning_field="reasoning",
        unauthorized={"error": {"message": "No auth credentials found", "code": 401}},
    ),
    "anthropic": FakeProfile(
        routes={"/v1/models": Route(content={"data": _CLAUDES})},
        unauthorized={
            "type": "error",
            "error": {"type": "authentication_error", "message": "invalid x-api-key"},
            "request_id": "req_0",
        },
    ),
    "openai": FakeProfile(routes={"/v1/models": Route(content=_OPENAI_MODELS)}),
}
