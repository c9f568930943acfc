"""What an engine says of itself: is it there, what does it list, what is loaded, does it talk."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing

from rung.chat import ChatRequest, Health, Level, Message, ModelInfo
from rung.engines.base import Engine
from rung.engines.connection import Connection
from rung.engines.failure import Origin, excerpt, reported_error, response_error
from rung.engines.fields import as_text, decode
from rung.engines.listings import Listing, find_model
from rung.engines.profiles import Profile, Reply, Sign, is_healthy
from rung.errors import EngineError

HEALTH_TIMEOUT_S = 5.0
PROBE_TIMEOUT_S = 60.0
_PROBE_TOKENS = 16


async def fetch_models(
    profile: Profile, connection: Connection, origin: Origin, timeout_s: float = HEALTH_TIMEOUT_S
) -> list[ModelInfo]:
    """The models of the first listing that the engine answers. Raises `EngineError`."""
    failure: EngineError | None = None
    for listing in profile.listings:
        try:
            models = await _read_listing(listing, connection, origin, timeout_s)
        except EngineError as error:
            # A missing route is worth another try; a refused key or a dead host is not.
            if error.kind not in ("bad_request", "model_missing", "server_error"):
                raise
            failure = failure or error
            continue
        if models is not None:
            return models
    raise failure or origin.error("bad_output", f"{profile.title} sends no list of models")


async def fetch_version(
    profile: Profile, connection: Connection, timeout_s: float = HEALTH_TIMEOUT_S
) -> str | None:
    """The engine's version, where its kind has a route that tells."""
    if not profile.version_route:
        return None
    reply = await _ask(connection, profile.version_route, timeout_s)
    if isinstance(reply, EngineError) or reply.status != 200:
        return None
    return as_text(reply.json.get("version")) or as_text(reply.json.get("build_info")) or None


async def _read_listing(
    listing: Listing, connection: Connection, origin: Origin, timeout_s: float
) -> list[ModelInfo] | None:
    first, *others = await asyncio.gather(
        *(_ask(connection, route, timeout_s) for route in listing.routes)
    )
    if isinstance(first, EngineError):
        raise first
    if first.status != 200:
        raise response_error(origin, first.status, {}, first.body)
    if error := first.json.get("error"):
        raise reported_error(origin, error, status=first.status)
    # The other routes only add detail: without them the list is still a list.
    details = [
        decode(reply.body) if isinstance(reply, Reply) and reply.status == 200 else None
        for reply in others
    ]
    return listing.read([decode(first.body), *details])


async def _ask(connection: Connection, route: str, timeout_s: float) -> Reply | EngineError:
    try:
        return await connection.get(route, timeout_s)
    except EngineError as error:
        return error


async def check_liveness(
    signs: tuple[Sign, ...], connection: Connection, timeout_s: float = HEALTH_TIMEOUT_S
) -> Level:
    """Whether every sign holds, in one exchange of requests."""
    started_at = time.perf_counter()
    replies = await asyncio.gather(*(_ask(connection, sign.route, timeout_s) for sign in signs))
    latency_ms = (time.perf_counter() - started_at) * 1000
    for sign, reply in zip(signs, replies, strict=True):
        if isinstance(reply, EngineError):
            return Level(ok=False, latency_ms=latency_ms, error=f"{reply.kind}: {reply.message}")
        if not sign.holds(reply):
            seen = f"{sign.route} answered {reply.status}: {excerpt(reply.body)}"
            return Level(ok=False, latency_ms=latency_ms, error=seen)
    return Level(ok=True, latency_ms=latency_ms)


async def check_health(
    engine: Engine,
    profile: Profile,
    connection: Connection,
    origin: Origin,
    *,
    health_path: str = "",
    probe: bool = False,
) -> Health:
    """All levels of an HTTP engine and of `origin.model`. It raises nothing.

    `health_path` replaces the kind's own liveness routes, and is then the only judge.
    """
    signs = (Sign("/" + health_path.lstrip("/"), is_healthy),) if health_path else profile.liveness
    started_at = time.perf_counter()
    reachable, models = await asyncio.gather(
        check_liveness(signs, connection), _try_models(profile, connection, origin)
    )
    latency_ms = (time.perf_counter() - started_at) * 1000
    if isinstance(models, EngineError):
        listed = Level(ok=False, latency_ms=latency_ms, error=f"{models.kind}: {models.message}")
        loaded = Level()
        if not reachable.ok and not health_path and models.kind == "unauthorized":
            reachable = Level(ok=True, latency_ms=latency_ms)
    else:
        listed, loaded = model_levels(models, origin.model, latency_ms)
        if not reachable.ok and not health_path:
            # A proxy may hide the liveness route; an engine that lists its models is alive.
            reachable = Level(ok=True, latency_ms=latency_ms)
    probed = Level()
    if probe and reachable.ok:
        probed = await check_probe(engine, origin.model)
    return Health(reachable=reachable, listed=listed, loaded=loaded, probed=probed)


async def _try_models(
    profile: Profile, connection: Connection, origin: Origin
) -> list[ModelInfo] | EngineError:
    try:
        return await fetch_models(profile, connection, origin)
    except EngineError as error:
        return error


def model_levels(
    models: list[ModelInfo], name: str | None, latency_ms: float
) -> tuple[Level, Level]:
    """The levels listed and loaded, of one model or, without a name, of any."""
    if name is None:
        states = {model.is_loaded for model in models if model.is_chat}
        is_loaded = True if True in states else None if None in states or not states else False
        return Level(ok=True, latency_ms=latency_ms), Level(ok=is_loaded, latency_ms=latency_ms)
    model = find_model(models, name)
    if model is None:
        missing = f"{name!r} is not among the engine's {len(models)} models"
        return Level(ok=False, latency_ms=latency_ms, error=missing), Level()
    error = "not loaded" if model.is_loaded is False else None
    return (
        Level(ok=True, latency_ms=latency_ms),
        Level(ok=model.is_loaded, latency_ms=latency_ms, error=error),
    )


async def check_probe(engine: Engine, model: str | None) -> Level:
    """Whether a first token comes out of `model`. This may load it."""
    if model is None:
        return Level(error="no model was named to probe")
    request = ChatRequest(
        model=model,
        messages=(Message(role="user", content="Say hello."),),
        max_tokens=_PROBE_TOKENS,
        temperature=0.0,
        timeout_s=PROBE_TIMEOUT_S,
    )
    started_at = time.perf_counter()
    try:
        async with aclosing(engine.stream(request)) as chunks:
            await anext(chunks)
    except EngineError as error:
        latency_ms = (time.perf_counter() - started_at) * 1000
        return Level(ok=False, latency_ms=latency_ms, error=f"{error.kind}: {error.message}")
    return Level(ok=True, latency_ms=(time.perf_counter() - started_at) * 1000)
