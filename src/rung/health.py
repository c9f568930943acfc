"""`ok, mode, details` of models, ledger and system, in the shape of RFC-080."""

from __future__ import annotations

import asyncio
import platform
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from rung.chat import Health
from rung.config.settings import Settings
from rung.engines.base import Engine
from rung.ledger.ledger import Ledger
from rung.models.memory import available_memory_bytes
from rung.routing.router import Router
from rung.validation.sandbox import describe


async def models_health(
    settings: Settings, router: Router, *, probe: bool = False
) -> dict[str, Any]:
    """`lm_ready` where an engine can answer, `lm_off` where there is none, else `error`.

    An engine whose configured model it does not list is not ready; and where the user set a
    model for an engine, others cannot make up for that engine.
    """
    reports = await asyncio.gather(
        *(
            router.health(engine, default_model(settings, engine), probe=probe)
            for engine in router.engines
        )
    )
    levels = {engine.name: health for engine, health in zip(router.engines, reports, strict=True)}
    allowed = [engine for engine in router.engines if router.allows(engine, local_only=False)]
    is_ready = {engine.name: _is_ready(levels[engine.name]) for engine in allowed}
    ok = any(is_ready.values()) and all(
        is_ready[name]
        for name, engine in settings.engines.items()
        if engine.model and name in is_ready
    )
    details = {name: _shown(health) for name, health in levels.items()}
    mode = "lm_ready" if ok else "error" if is_ready else "lm_off"
    return {"ok": ok, "mode": mode, "details": details}


def _shown(health: Health) -> Mapping[str, Any]:
    """The levels; that of the tunnel only where there is one."""
    levels: dict[str, Any] = msgspec.to_builtins(health)
    if health.tunnel is None:
        del levels["tunnel"]
    return levels


def _is_ready(health: Health) -> bool:
    levels = (health.reachable, health.listed, health.probed)
    return bool(health.reachable.ok) and all(level.ok is not False for level in levels)


def default_model(settings: Settings, engine: Engine) -> str | None:
    """The model that the user set for an engine, if any."""
    if engine.kind == "embedded":
        return settings.embedded.model
    configured = settings.engines.get(engine.name)
    return configured.model or None if configured else None


async def ledger_health(ledger: Ledger) -> dict[str, Any]:
    """The ledger's own report. `ok` means that rows can be written now; lost rows are counted."""
    report = await ledger.health()
    details: dict[str, Any] = msgspec.to_builtins(report)
    return {"ok": details.pop("ok"), "mode": details.pop("mode"), "details": details}


async def system_health(settings: Settings) -> dict[str, Any]:
    """Sandbox, memory and disk: what decides whether work can be checked and models kept."""
    sandbox = await describe(settings.sandbox.kind)
    free = shutil.disk_usage(_existing(settings.data_dir)).free
    memory = available_memory_bytes()
    return {
        "ok": sandbox.active is not None,
        "mode": f"sandbox {sandbox.active or 'unavailable'}",
        "details": {
            "sandbox": "; ".join(sandbox.reasons),
            "memory": f"{memory / 1e9:.1f} GB available" if memory else "unknown",
            "disk": f"{free / 1e9:.1f} GB free in {settings.data_dir}",
            "python": f"{platform.python_version()} ({sys.executable})",
            "system": f"{platform.system()} {platform.machine()}",
        },
    }


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())
