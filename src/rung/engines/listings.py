"""The models that an engine lists, read from what each kind of engine answers.

Every reader takes the decoded JSON of its routes, in their order, `None` for one that did not
answer, and returns `None` where the first is not what it knows, so that the next can be tried.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rung.chat import JsonObject, ModelInfo
from rung.engines.fields import as_list, as_number, as_object, as_text, first_count

Reader = Callable[[Sequence[object]], list[ModelInfo] | None]

_SIZE = re.compile(r"(?:(\d+)\s*x\s*)?(\d+(?:\.\d+)?)\s*([KMBT])", re.IGNORECASE)
_UNITS = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
_NOT_CHAT = re.compile(r"embed|whisper|\btts\b|dall-e|moderation|rerank|transcri", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Routes to ask, the first of which must answer, and the reader of their answers.

    A route that begins with `/` belongs to the server's root, any other to its `base_url`.
    """

    routes: tuple[str, ...]
    read: Reader


def parameter_count(text: str) -> float | None:
    """`8.0B` as 8e9; `8x7B` counts all experts."""
    found = _SIZE.search(text)
    if found is None:
        return None
    experts, number, unit = found.groups()
    return int(experts or 1) * float(number) * _UNITS[unit.upper()]


def _objects(answer: object, name: str) -> list[JsonObject] | None:
    if not isinstance(as_object(answer).get(name), list):
        return None
    entries = as_list(as_object(answer)[name])
    return [entry for entry in map(as_object, entries) if entry]


def read_openai(answers: Sequence[object]) -> list[ModelInfo] | None:
    """OpenAI's `data[].id`, with what vLLM, llama-server and OpenRouter add to it."""
    entries = _objects(answers[0], "data")
    if entries is None:
        return None
    props = as_object(answers[1]) if len(answers) > 1 else {}
    n_ctx = as_object(props.get("default_generation_settings")).get("n_ctx")
    return [_openai_model(entry, n_ctx) for entry in entries if as_text(entry.get("id"))]


def _openai_model(entry: JsonObject, n_ctx: object) -> ModelInfo:
    meta = as_object(entry.get("meta"))
    context = (entry.get("max_model_len"), entry.get("context_length"), meta.get("n_ctx"), n_ctx)
    identifier = as_text(entry.get("id"))
    kinds = as_list(as_object(entry.get("architecture")).get("output_modalities"))
    return ModelInfo(
        id=identifier,
        context_tokens=first_count(*context, meta.get("n_ctx_train")),
        size_bytes=first_count(meta.get("size")),
        parameters=as_number(meta.get("n_params")),
        quantization=as_text(meta.get("ftype")) or None,
        is_loaded=_is_loaded(entry, meta),
        is_chat="text" in kinds if kinds else not _NOT_CHAT.search(identifier),
    )


def _is_loaded(entry: JsonObject, meta: JsonObject) -> bool | None:
    """llama-server says it by its router's status, or by `meta`, which is null while loading."""
    status = as_text(as_object(entry.get("status")).get("value"))
    if status:
        return status in ("loaded", "sleeping")
    owner = entry.get("owned_by")
    if owner == "llamacpp":
        return bool(meta)
    return True if owner == "vllm" else None


def read_lmstudio_v1(answers: Sequence[object]) -> list[ModelInfo] | None:
    """`GET /api/v1/models` of LM Studio 0.4."""
    entries = _objects(answers[0], "models")
    if entries is None:
        return None
    models: list[ModelInfo] = []
    for entry in entries:
        instances = [as_object(raw) for raw in as_list(entry.get("loaded_instances"))]
        config = as_object(instances[0].get("config")) if instances else {}
        models.append(
            ModelInfo(
                id=as_text(entry.get("key")),
                context_tokens=first_count(
                    config.get("context_length"), entry.get("max_context_length")
                ),
                size_bytes=first_count(entry.get("size_bytes")),
                parameters=parameter_count(as_text(entry.get("params_string"))),
                quantization=as_text(as_object(entry.get("quantization")).get("name")) or None,
                is_loaded=bool(instances),
                is_chat=entry.get("type") != "embedding",
            )
        )
    return [model for model in models if model.id]


def read_lmstudio_v0(answers: Sequence[object]) -> list[ModelInfo] | None:
    """`GET /api/v0/models` of LM Studio 0.3."""
    entries = _objects(answers[0], "data")
    if entries is None:
        return None
    return [
        ModelInfo(
            id=as_text(entry.get("id")),
            context_tokens=first_count(
                entry.get("loaded_context_length"), entry.get("max_context_length")
            ),
            quantization=as_text(entry.get("quantization")) or None,
            is_loaded=entry.get("state") == "loaded",
            is_chat=entry.get("type") != "embeddings",
        )
        for entry in entries
        if as_text(entry.get("id"))
    ]


def read_ollama(answers: Sequence[object]) -> list[ModelInfo] | None:
    """`GET /api/tags` and `GET /api/ps`.

    A model with a `remote_host` runs in Ollama's cloud behind the local port. It is left out, for
    a task that must stay on the machine would leave it there.
    """
    entries = _objects(answers[0], "models")
    if entries is None:
        return None
    running = {as_text(entry.get("name")): entry for entry in _objects(answers[1], "models") or []}
    knows_running = answers[1] is not None
    models: list[ModelInfo] = []
    for entry in entries:
        name, details = as_text(entry.get("name")), as_object(entry.get("details"))
        if not name or entry.get("remote_host") or entry.get("remote_model"):
            continue
        capabilities = as_list(entry.get("capabilities"))
        models.append(
            ModelInfo(
                id=name,
                context_tokens=first_count(running.get(name, {}).get("context_length")),
                size_bytes=first_count(entry.get("size")),
                parameters=parameter_count(as_text(details.get("parameter_size"))),
                quantization=as_text(details.get("quantization_level")) or None,
                is_loaded=name in running if knows_running else None,
                is_chat="completion" in capabilities if capabilities else "embed" not in name,
            )
        )
    return models
