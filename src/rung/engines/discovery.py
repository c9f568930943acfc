"""Engines found on their default ports, each known for certain before it is used."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from rung.config.settings import EngineKind, EngineSettings
from rung.engines.connection import Connection
from rung.engines.failure import Origin
from rung.engines.health import check_liveness
from rung.engines.profiles import PROFILES, Profile

DISCOVERY_TIMEOUT_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Found:
    """An engine that answers as its kind does. `name` is the kind; the settings make the engine."""

    name: str
    settings: EngineSettings


async def discover(
    ports: Mapping[EngineKind, int] | None = None, timeout_s: float = DISCOVERY_TIMEOUT_S
) -> list[Found]:
    """The engines on this machine, within `timeout_s` seconds altogether.

    `ports` overrides where a kind is looked for. Only 127.0.0.1 is asked, without any key, and a
    server that does not show every sign of a kind is left alone.
    """
    places = ports if ports is not None else default_ports()
    found = await asyncio.gather(
        *(_identify(PROFILES[kind], port, timeout_s) for kind, port in places.items())
    )
    return [engine for engine in found if engine is not None]


def default_ports() -> dict[EngineKind, int]:
    """The port on which each kind listens unless told otherwise."""
    return {
        kind: int(profile.base_url.rsplit(":", 1)[1].partition("/")[0])
        for kind, profile in PROFILES.items()
        if profile.signs
    }


async def _identify(profile: Profile, port: int, timeout_s: float) -> Found | None:
    base_url = f"http://127.0.0.1:{port}/v1"
    connection = Connection(Origin(engine=profile.kind, base_url=base_url))
    try:
        level = await check_liveness(profile.signs, connection, timeout_s)
    finally:
        await connection.close()
    if not level.ok:
        return None
    return Found(name=profile.kind, settings=EngineSettings(kind=profile.kind, base_url=base_url))
