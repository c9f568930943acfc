"""The adapter for each kind of engine."""

from __future__ import annotations

from collections.abc import Mapping

from rung.config.settings import EngineKind, EngineSettings
from rung.engines.http_engine import HttpEngine
from rung.engines.openai_compatible import OpenAICompatibleEngine

_ADAPTERS: Mapping[EngineKind, type[HttpEngine]] = {
    "lmstudio": OpenAICompatibleEngine,
    "ollama": OpenAICompatibleEngine,
    "vllm": OpenAICompatibleEngine,
    "llamacpp": OpenAICompatibleEngine,
    "openrouter": OpenAICompatibleEngine,
    "openai": OpenAICompatibleEngine,
}


def build_engine(name: str, settings: EngineSettings) -> HttpEngine:
    """The engine that the user calls `name`. Nothing is contacted yet."""
    return _ADAPTERS[settings.kind](name, settings)
