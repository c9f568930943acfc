"""Every engine at a glance: is it there, how far, what version, what it has, what it can do."""

from __future__ import annotations

import asyncio

import msgspec

from rung.chat import Health, Locality
from rung.engines.base import Engine
from rung.routing.look import patience_s
from rung.routing.router import Router

_CAN = {
    "enforces_schema": "schema",
    "has_tools": "tools",
    "has_images": "images",
    "can_embed": "embed",
    "can_load": "load",
    "can_download": "download",
    "can_count": "count",
}


class EngineRow(msgspec.Struct, frozen=True, kw_only=True):
    """One engine, as every door prints it.

    `can` is what its kind can do; what one of its models really does, a probe tells. `error` says
    why it cannot be used now; `tunnel` is the state of its SSH connection, where it has one.
    """

    engine: str
    kind: str
    locality: Locality
    version: str | None
    models: int
    loaded: int
    can: tuple[str, ...]
    latency_ms: float | None
    error: str | None
    tunnel: str | None


async def engine_rows(router: Router) -> list[EngineRow]:
    """All engines, asked at the same time and each for at most two seconds.

    One that `local_only` keeps out is not contacted.
    """
    return list(await asyncio.gather(*(_row(router, engine) for engine in router.engines)))


async def _row(router: Router, engine: Engine) -> EngineRow:
    is_allowed = router.allows(engine, local_only=False)
    health, listing, version = await asyncio.gather(
        router.health(engine, None),
        router.listing(engine) if is_allowed else _nothing(),
        _version(engine) if is_allowed else _nothing(),
    )
    models = listing.models if listing else ()
    return EngineRow(
        engine=engine.name,
        kind=engine.kind,
        locality=engine.locality,
        version=version,
        models=len(models),
        loaded=sum(model.info.is_loaded is True for model in models),
        can=tuple(word for flag, word in _CAN.items() if getattr(engine, flag)),
        latency_ms=health.reachable.latency_ms,
        error=_trouble(health) or (listing.error if listing else None),
        tunnel=_tunnel(health),
    )


def _trouble(health: Health) -> str | None:
    """Why the engine cannot be used; its model that is not loaded is no trouble."""
    for level in (health.reachable, health.listed):
        if level.ok is not True:
            return level.error
    return None


def _tunnel(health: Health) -> str | None:
    if health.tunnel is None:
        return None
    return "open" if health.tunnel.ok else health.tunnel.error or "closed"


async def _nothing() -> None:
    return None


async def _version(engine: Engine) -> str | None:
    try:
        async with asyncio.timeout(patience_s(engine)):
            return await engine.version()
    except TimeoutError:
        return None
