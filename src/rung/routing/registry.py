"""The engines of this machine: embedded, configured, and found on their default ports."""

from __future__ import annotations

import msgspec

from rung.chat import ModelInfo
from rung.config.settings import EngineKind, Settings
from rung.engines.base import Engine
from rung.engines.build import build_engine
from rung.engines.discovery import default_ports, discover
from rung.engines.embedded.engine import EmbeddedEngine
from rung.models.catalogue import catalogue
from rung.models.gguf import GgufMetadata
from rung.models.shapes import Shapes
from rung.models.store import ModelStore

EMBEDDED = "embedded"


async def build_engines(
    settings: Settings, store: ModelStore, shapes: Shapes | None = None
) -> list[Engine]:
    """Every engine that the settings allow. Nothing is started and no model is loaded.

    An engine that the user configured is not looked for as well; one that is switched off is
    neither built nor looked for.
    """
    read = shapes or Shapes(settings.data_dir)
    engines: list[Engine] = []
    if settings.embedded.enabled:
        engines.append(
            EmbeddedEngine(
                settings.embedded,
                model_path=store.path,
                installed=lambda: installed(store, read, settings.embedded.context_tokens),
            )
        )
    for name, engine in settings.engines.items():
        if engine.enabled:
            engines.append(build_engine(name, engine))
    if settings.discover:
        found = await discover(ports_to_search(settings))
        engines += [build_engine(item.name, item.settings) for item in found]
    return engines


def ports_to_search(settings: Settings) -> dict[EngineKind, int]:
    """Where engines are looked for: not those that the user configured or switched off.

    Nor a kind whose name the user gave to another engine, for that name would mean two.
    """
    configured = {engine.kind for engine in settings.engines.values()}
    return {
        kind: port
        for kind, port in default_ports().items()
        if kind not in configured and kind not in settings.engines
    }


def installed(store: ModelStore, shapes: Shapes, context_tokens: int) -> list[ModelInfo]:
    """The models of the store as the embedded engine offers them, with the window it gives them.

    A damaged model is listed too: who asks for it is told how to mend it.
    """
    infos: list[ModelInfo] = []
    for model in store.list():
        shape = None if model.problem else shapes.find(model.path)
        entry = catalogue().get(model.id)
        trained = (shape and shape.context_tokens) or (entry and entry.context_tokens) or None
        base = described(model.id, shape) if shape else ModelInfo(id=model.id)
        infos.append(
            msgspec.structs.replace(
                base,
                size_bytes=base.size_bytes or model.size_bytes or None,
                quantization=(entry and entry.quantization) or base.quantization,
                context_tokens=min(context_tokens, trained or context_tokens),
                max_context_tokens=trained,
            )
        )
    return infos


def described(model_id: str, shape: GgufMetadata) -> ModelInfo:
    """A gguf as an engine would list it."""
    return ModelInfo(
        id=model_id,
        size_bytes=shape.size_bytes,
        parameters=float(shape.parameters),
        quantization=shape.quantization or None,
        context_tokens=shape.context_tokens,
        max_context_tokens=shape.context_tokens,
        is_chat=not shape.is_embedding,
        capabilities=shape.capabilities,
    )
