"""The engines of this machine: embedded, configured, and found on their default ports."""

from __future__ import annotations

from rung.chat import ModelInfo
from rung.config.settings import EngineKind, Settings
from rung.engines.base import Engine
from rung.engines.build import build_engine
from rung.engines.discovery import default_ports, discover
from rung.engines.embedded import EmbeddedEngine
from rung.models.catalogue import catalogue
from rung.models.store import ModelStore


async def build_engines(settings: Settings, store: ModelStore) -> list[Engine]:
    """Every engine that the settings allow. Nothing is started and no model is loaded.

    An engine that the user configured is not looked for as well; one that is switched off is
    neither built nor looked for.
    """
    engines: list[Engine] = []
    if settings.embedded.enabled:
        engines.append(
            EmbeddedEngine(
                settings.embedded,
                model_path=store.path,
                installed=lambda: installed(store, settings.embedded.context_tokens),
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


def installed(store: ModelStore, context_tokens: int) -> list[ModelInfo]:
    """The models of the store as the embedded engine offers them, with the window it gives them."""
    known = catalogue()
    infos: list[ModelInfo] = []
    for model in store.list():
        entry = known.get(model.id)
        infos.append(
            ModelInfo(
                id=model.id,
                size_bytes=model.size_bytes,
                parameters=float(entry.parameters) if entry else None,
                quantization=entry.quantization if entry else None,
                context_tokens=(
                    min(context_tokens, entry.context_tokens) if entry else context_tokens
                ),
            )
        )
    return infos
