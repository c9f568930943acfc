"""The models that an engine lists, read from what each kind of engine answers.

Every reader takes the decoded JSON of its routes, in their order, `None` for one that did not
answer, and returns `None` where the first is not what it knows, so that the next can be tried.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, get_args

from msgspec.structs import replace

from rung.chat import Capability, JsonObject, LoadedModel, ModelInfo
from rung.engines.fields import as_list, as_number, as_object, as_text, first_count
from rung.engines.lmstudio.models import names_of
from rung.engines.ollama.models import canonical, is_remote, read_running

Reader = Callable[[Sequence[object]], list[ModelInfo] | None]

_SIZE = re.compile(r"(?:(\d+)\s*x\s*)?(\d+(?:\.\d+)?)\s*([KMBT])", re.IGNORECASE)
_CAPABILITIES: tuple[Capability, ...] = get_args(Capability)
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


def _lower(value: object) -> str:
    return as_text(value).lower()


def find_model(models: Sequence[ModelInfo], name: str) -> ModelInfo | None:
    """The listed model that `name` means, if that is certain: its id, else one of its names."""
    named = [model for model in models if model.id == name]
    named = named or [model for model in models if name.lower() in model.names]
    return named[0] if len(named) == 1 else None


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
    return [_openai_model(entry) for entry in entries if as_text(entry.get("id"))]


def read_vllm(answers: Sequence[object]) -> list[ModelInfo] | None:
    """`GET /v1/models` and `GET /is_sleeping`, which only a server in development mode has."""
    models = read_openai(answers[:1])
    if models is None or as_object(answers[1]).get("is_sleeping") is not True:
        return models
    return [replace(model, is_loaded=False) for model in models]


def read_llama_server(answers: Sequence[object]) -> list[ModelInfo] | None:
    """`GET /v1/models` and `GET /props`, which tells the window of one slot, but not a router's."""
    models = read_openai(answers[:1])
    window = read_capacity(as_object(answers[1])).context_tokens
    if models is None or window is None:
        return models
    return [replace(model, context_tokens=window) for model in models]


class Capacity(NamedTuple):
    """How many requests a llama-server answers at a time, and the window of each."""

    slots: int | None
    context_tokens: int | None


def read_capacity(props: JsonObject) -> Capacity:
    """`GET /props`. A router, which answers nothing itself, says 0 or nothing."""
    settings = as_object(props.get("default_generation_settings"))
    return Capacity(
        slots=first_count(props.get("total_slots")) or None,
        context_tokens=first_count(settings.get("n_ctx")) or None,
    )


def _openai_model(entry: JsonObject) -> ModelInfo:
    meta = as_object(entry.get("meta"))
    window = (entry.get("max_model_len"), entry.get("context_length"))
    identifier = as_text(entry.get("id"))
    kinds = as_list(as_object(entry.get("architecture")).get("output_modalities"))
    return ModelInfo(
        id=identifier,
        names=frozenset(filter(None, map(_lower, as_list(entry.get("aliases"))))),
        context_tokens=first_count(*window, meta.get("n_ctx")),
        max_context_tokens=first_count(*window, meta.get("n_ctx_train")),
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
    return [_lmstudio_model(entry) for entry in entries if as_text(entry.get("key"))]


def _lmstudio_model(entry: JsonObject) -> ModelInfo:
    instances = [as_object(raw) for raw in as_list(entry.get("loaded_instances"))]
    windows = [first_count(as_object(one.get("config")).get("context_length")) for one in instances]
    return ModelInfo(
        id=as_text(entry.get("key")),
        names=names_of(entry),
        # Any instance may answer. What a model that is not loaded would get, it does not say.
        context_tokens=min((window for window in windows if window), default=None),
        max_context_tokens=first_count(entry.get("max_context_length")),
        size_bytes=first_count(entry.get("size_bytes")),
        parameters=parameter_count(as_text(entry.get("params_string"))),
        quantization=as_text(as_object(entry.get("quantization")).get("name")) or None,
        is_loaded=bool(instances),
        is_chat=entry.get("type") != "embedding",
        capabilities=_lmstudio_capabilities(entry),
    )


def _lmstudio_capabilities(entry: JsonObject) -> frozenset[Capability] | None:
    if entry.get("type") == "embedding":
        return frozenset({"embedding"})
    if not isinstance(entry.get("capabilities"), dict):
        return None
    said = as_object(entry["capabilities"])
    marks: tuple[tuple[str, Capability], ...] = (
        ("trained_for_tool_use", "tools"),
        ("vision", "vision"),
        ("reasoning", "thinking"),
    )
    return frozenset(capability for mark, capability in marks if said.get(mark))


def read_lmstudio_v0(answers: Sequence[object]) -> list[ModelInfo] | None:
    """`GET /api/v0/models` of LM Studio 0.3."""
    entries = _objects(answers[0], "data")
    if entries is None:
        return None
    return [
        ModelInfo(
            id=as_text(entry.get("id")),
            context_tokens=first_count(entry.get("loaded_context_length")),
            max_context_tokens=first_count(entry.get("max_context_length")),
            quantization=as_text(entry.get("quantization")) or None,
            is_loaded=entry.get("state") == "loaded",
            is_chat=entry.get("type") != "embeddings",
        )
        for entry in entries
        if as_text(entry.get("id"))
    ]


def read_ollama(answers: Sequence[object]) -> list[ModelInfo] | None:
    """`GET /api/tags` and `GET /api/ps`.

    A model of Ollama's cloud, which is behind the local port, is left out: a task that must stay on
    the machine would leave it there.
    """
    entries = _objects(answers[0], "models")
    if entries is None:
        return None
    running = None if answers[1] is None else read_running(as_object(answers[1]))
    return [
        _ollama_model(entry, running)
        for entry in entries
        if as_text(entry.get("name")) and not is_remote(entry)
    ]


def _ollama_model(entry: JsonObject, running: dict[str, LoadedModel] | None) -> ModelInfo:
    name, details = as_text(entry.get("name")), as_object(entry.get("details"))
    loaded = (running or {}).get(canonical(name))
    named = as_list(entry.get("capabilities"))
    return ModelInfo(
        id=name,
        names=frozenset({canonical(name), canonical(name).removesuffix(":latest")}),
        context_tokens=loaded.context_tokens if loaded else None,
        size_bytes=first_count(entry.get("size")),
        memory_bytes=loaded.memory_bytes if loaded else None,
        parameters=parameter_count(as_text(details.get("parameter_size"))),
        quantization=as_text(details.get("quantization_level")) or None,
        is_loaded=None if running is None else loaded is not None,
        is_chat="completion" in named if named else not _NOT_CHAT.search(name),
        capabilities=frozenset(known for known in _CAPABILITIES if known in named)
        if named
        else None,
    )
