"""The adapter for each kind of engine."""

from __future__ import annotations

from collections.abc import Mapping

from rung.config.settings import EngineKind, EngineSettings
from rung.engines.anthropic.engine import AnthropicEngine
from rung.engines.http_engine import HttpEngine
from rung.engines.llamacpp.engine import LlamaServerEngine
from rung.engines.lmstudio.engine import LMStudioEngine
from rung.engines.ollama.engine import OllamaEngine
from rung.engines.openai import OpenAIEngine
from rung.engines.openai_compatible import OpenAICompatibleEngine
from rung.engines.openrouter import OpenRouterEngine
from rung.engines.profiles import is_openai_itself
from rung.engines.vllm import VllmEngine

_ADAPTERS: Mapping[EngineKind, type[HttpEngine]] = {
    "lmstudio": LMStudioEngine,
    "ollama": OllamaEngine,
    "vllm": VllmEngine,
    "llamacpp": LlamaServerEngine,
    "openrouter": OpenRouterEngine,
    "anthropic": AnthropicEngine,
    "openai": OpenAICompatibleEngine,
}


def build_engine(name: str, settings: EngineSettings) -> HttpEngine:
    """The engine that the user calls `name`. Nothing is contacted yet."""
    if is_openai_itself(settings.kind, settings.base_url):
        return OpenAIEngine(name, settings)
    return _ADAPTERS[settings.kind](name, settings)
