"""A server that tells how busy it is: `GET /metrics`."""

from __future__ import annotations

from msgspec.structs import replace

from rung.chat import Health
from rung.engines.failure import response_error
from rung.engines.health import HEALTH_TIMEOUT_S
from rung.engines.metrics import EngineMetrics, read_metrics
from rung.engines.openai_compatible import OpenAICompatibleEngine
from rung.errors import EngineError
from rung.wording import counted


class MeteredEngine(OpenAICompatibleEngine):
    """Its first level of health says how many requests are waiting, where there are any."""

    async def metrics(self) -> EngineMetrics | None:
        """How busy the server says it is; `None` where it has no metrics. Raises `EngineError`."""
        reply = await self._connection.get("/metrics", HEALTH_TIMEOUT_S)
        if reply.status in (401, 403):
            raise response_error(self._origin(), reply.status, reply.headers, reply.body)
        return read_metrics(reply.body.decode("utf-8", "replace")) if reply.status == 200 else None

    async def health(self, model: str | None = None, *, probe: bool = False) -> Health:
        health = await super().health(model, probe=probe)
        waiting = await self._waiting() if health.reachable.ok else None
        if not waiting:
            return health
        busy = f"busy: {counted(waiting, 'request')} waiting"
        return replace(health, reachable=replace(health.reachable, error=busy))

    async def _waiting(self) -> int | None:
        try:
            metrics = await self.metrics()
        except EngineError:
            # It has just answered: how busy it is only adds to that.
            return None
        return metrics.requests_waiting if metrics else None
