"""Questions to an Ollama server that are not chat, and what is remembered of their answers."""

from __future__ import annotations

import time
from collections.abc import Callable

from rung.chat import Cancellation, JsonObject, LoadedModel
from rung.engines.connection import Connection
from rung.engines.failure import Origin
from rung.engines.fields import as_text
from rung.engines.health import HEALTH_TIMEOUT_S
from rung.engines.ollama.models import Facts, canonical, read_facts, read_running

# A name may be given to another model, so what was learned of it is not kept for good.
_FACTS_TTL_S = 300.0


class OllamaApi:
    """The server behind `connection`. `origin_of` makes the origin of an error for a model."""

    def __init__(self, connection: Connection, origin_of: Callable[[str | None], Origin]) -> None:
        self._connection = connection
        self._origin_of = origin_of
        self._facts: dict[str, tuple[float, Facts]] = {}
        self.known_version = ""

    async def ask(
        self,
        method: str,
        route: str,
        body: JsonObject | None = None,
        *,
        model: str | None = None,
        timeout_s: float | None = HEALTH_TIMEOUT_S,
        cancel: Cancellation | None = None,
    ) -> JsonObject:
        """As `Connection.ask`."""
        origin = self._origin_of(model)
        return await self._connection.ask(method, route, body, origin, timeout_s, cancel)

    async def running(
        self, timeout_s: float = HEALTH_TIMEOUT_S, cancel: Cancellation | None = None
    ) -> dict[str, LoadedModel]:
        """What is in memory, by name. Raises `EngineError`."""
        return read_running(await self.ask("GET", "/api/ps", timeout_s=timeout_s, cancel=cancel))

    async def facts(
        self, model: str, timeout_s: float, cancel: Cancellation | None = None
    ) -> Facts:
        """What the server knows of `model`. Raises `EngineError`."""
        known = self.known_facts(model)
        if known is None:
            body: JsonObject = {"model": model}
            shown = await self.ask(
                "POST", "/api/show", body, model=model, timeout_s=timeout_s, cancel=cancel
            )
            known = read_facts(shown)
            self._facts[canonical(model)] = (time.monotonic() + _FACTS_TTL_S, known)
        return known

    def known_facts(self, model: str) -> Facts | None:
        """What was learned of `model` a short while ago, without asking."""
        expires_at, facts = self._facts.get(canonical(model), (0.0, None))
        return facts if time.monotonic() < expires_at else None

    def forget(self, model: str) -> None:
        """The name may mean another model from now on."""
        self._facts.pop(canonical(model), None)

    async def version(self, timeout_s: float, cancel: Cancellation | None = None) -> str:
        """Such as `0.33.0`; asked once. Raises `EngineError`."""
        if not self.known_version:
            said = await self.ask("GET", "/api/version", timeout_s=timeout_s, cancel=cancel)
            self.known_version = as_text(said.get("version"))
        return self.known_version
