"""How a model is to be loaded: what the caller wants, then what the user set."""

from __future__ import annotations

from rung.chat import LoadOptions
from rung.config.settings import ModelSettings, Settings
from rung.engines.base import Engine


def declared(settings: Settings, engine: str, model: str) -> ModelSettings:
    """What the user says of the model; all defaults where that is nothing."""
    return settings.models.get(f"{engine}/{model}", ModelSettings())


def resolve(settings: Settings, engine: Engine, model: str, wanted: LoadOptions) -> LoadOptions:
    """`wanted`, completed from the model's settings, then from those of the embedded engine.

    What still is `None` the engine decides.
    """
    mine = declared(settings, engine.name, model)
    context, slots, kv_type = mine.context_tokens, mine.slots, mine.kv_type or None
    if engine.kind == "embedded":
        embedded = settings.embedded
        context = context or embedded.context_tokens
        slots = slots or embedded.slots
        kv_type = kv_type or embedded.kv_type
    return LoadOptions(
        context_tokens=wanted.context_tokens or context,
        slots=wanted.slots or slots,
        kv_type=wanted.kv_type or kv_type,
        gpu_layers=wanted.gpu_layers,
        is_embedding=wanted.is_embedding,
    )


def idle_unload_s(settings: Settings, engine: Engine, model: str) -> int | None:
    """Seconds without use after which the model is unloaded; `None`: never."""
    own = declared(settings, engine.name, model).idle_unload_s
    if own is None and engine.kind == "embedded":
        return settings.embedded.idle_unload_s
    return own
