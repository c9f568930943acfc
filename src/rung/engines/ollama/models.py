"""What Ollama tells of its models: their names, `POST /api/show`, `GET /api/ps`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from msgspec.structs import replace

from rung.chat import JsonObject, LoadedModel, ModelInfo
from rung.engines.fields import as_list, as_object, as_text, first_count

_NUM_CTX = re.compile(r"^num_ctx\s+(\d+)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What `/api/show` says of one model; `None` where it does not.

    `context_tokens` is the window that its maker gave it (`PARAMETER num_ctx` of a Modelfile).
    """

    is_remote: bool = False
    context_tokens: int | None = None
    max_context_tokens: int | None = None
    capabilities: frozenset[str] | None = None

    def window(self, wanted: int | None) -> int | None:
        """The window to ask for: never more than the model was trained on, as Ollama has it."""
        window = wanted or self.context_tokens
        if window is None or self.max_context_tokens is None:
            return window
        return min(window, self.max_context_tokens)

    @property
    def only_embeds(self) -> bool:
        return self.capabilities is not None and "completion" not in self.capabilities

    def think(self, wanted: bool | None) -> bool | None:
        """What to send: nothing to a model that does not think, for Ollama refuses it."""
        can_think = self.capabilities is None or "thinking" in self.capabilities
        return wanted if can_think else None


def canonical(name: str) -> str:
    """One name for all that mean the same: with its tag, and without Ollama's own registry.

    In lower case, for Ollama finds a model however its name is written.
    """
    name = name.strip().lower().removeprefix("registry.ollama.ai/").removeprefix("library/")
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def is_cloud_name(name: str) -> bool:
    """Whether the tag says so: `giant:cloud`, `giant:480b-cloud`. Ollama sends those elsewhere."""
    tag = name.strip().rpartition("/")[2].partition(":")[2].lower()
    return tag == "cloud" or tag.endswith("-cloud")


def is_remote(fields: JsonObject) -> bool:
    """Whether a model or an answer is one of Ollama's cloud, behind the local port."""
    return bool(fields.get("remote_host") or fields.get("remote_model"))


def read_facts(shown: JsonObject) -> Facts:
    """The answer of `/api/show`."""
    trained = (
        value
        for key, value in as_object(shown.get("model_info")).items()
        if key.endswith(".context_length")
    )
    own = _NUM_CTX.search(as_text(shown.get("parameters")))
    named = frozenset(map(as_text, as_list(shown.get("capabilities"))))
    return Facts(
        is_remote=is_remote(shown),
        context_tokens=int(own[1]) if own else None,
        max_context_tokens=first_count(*trained) or None,
        capabilities=named or None,
    )


def with_windows(model: ModelInfo, facts: Facts) -> ModelInfo:
    """With what no list tells: the window it would be loaded with, and what it was trained on."""
    return replace(
        model,
        context_tokens=model.context_tokens or facts.window(None),
        max_context_tokens=facts.max_context_tokens,
    )


def read_running(answer: JsonObject) -> dict[str, LoadedModel]:
    """The answer of `/api/ps` by canonical name, without the models of Ollama's cloud."""
    entries = map(as_object, as_list(answer.get("models")))
    running = [_loaded(entry) for entry in entries if not is_remote(entry)]
    return {canonical(loaded.instance): loaded for loaded in running if loaded.instance}


def _loaded(entry: JsonObject) -> LoadedModel:
    name = as_text(entry.get("name")) or as_text(entry.get("model"))
    return LoadedModel(
        model=name,
        instance=name,
        context_tokens=first_count(entry.get("context_length")) or None,
        memory_bytes=first_count(entry.get("size")),
        vram_bytes=first_count(entry.get("size_vram")),
    )
