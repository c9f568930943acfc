"""Weights that an engine downloads itself, into its own store: Ollama, LM Studio, llama-server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from rung.chat import DownloadProgress
from rung.engines.base import Engine
from rung.errors import EngineError, ModelError
from rung.models.progress import Reporter
from rung.models.transfer import Patience


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


async def fetch_by_engine(
    engine: Engine, model: str, reporter: Reporter, patience: Patience
) -> None:
    """Have `engine` download `model`, to its end. Cancelled, the engine is told to stop.

    Not every engine can: what LM Studio has begun, it finishes. Raises EngineError, of kind
    `timeout` where nothing moves any more.
    """
    steps: AsyncGenerator[DownloadProgress, None] = engine.download(model)
    seen: DownloadProgress | None = None
    try:
        async with aclosing(steps), asyncio.timeout(patience.engine_stall_s) as limit:
            async for step in steps:
                reporter.report("downloading", step.done_bytes, step.total_bytes or 0)
                if step != seen:
                    limit.reschedule(asyncio.get_running_loop().time() + _limit_s(step, patience))
                seen = step
    except TimeoutError:
        raise EngineError(
            "timeout",
            f"{engine.name}'s download of {model} stands still; look at the engine itself, and "
            "pull again to go on",
            engine=engine.name,
            model=model,
        ) from None


def _limit_s(step: DownloadProgress, patience: Patience) -> float:
    has_all = step.total_bytes is not None and step.done_bytes >= step.total_bytes > 0
    return patience.engine_check_s if has_all else patience.engine_stall_s
