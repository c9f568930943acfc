"""Weights that an engine downloads itself, into its own store: Ollama, LM Studio, llama-server."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from rung.chat import DownloadProgress
from rung.engines.base import Engine
from rung.errors import ModelError
from rung.models.progress import Reporter


def no_engine(name: str) -> Engine:
    """Where no engines are at hand. Raises ModelError."""
    raise ModelError(f"{name}'s own downloads are not to be had here")


def check_can_download(engine: Engine) -> None:
    """Raises ModelError for a kind of engine that downloads nothing by itself."""
    if not engine.can_download:
        raise ModelError(
            f"{engine.name} ({engine.kind}) downloads no models by itself; fetch a gguf with "
            "`rung models pull hf:ORG/REPO:Q4_K_M`, or use the engine's own tools"
        )


async def fetch_by_engine(engine: Engine, model: str, reporter: Reporter) -> None:
    """Have `engine` download `model`, to its end. Cancelled, the engine is told to stop.

    Not every engine can: what LM Studio has begun, it finishes. Raises EngineError.
    """
    steps: AsyncGenerator[DownloadProgress, None] = engine.download(model)
    async with aclosing(steps):
        async for step in steps:
            reporter.report("downloading", step.done_bytes, step.total_bytes or 0)
