"""How far a pull of Ollama's has come, from its lines, and whether it still moves."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator

import msgspec

from rung.chat import DownloadProgress, JsonObject
from rung.engines.connection import Connection, awaited, read_at_most
from rung.engines.deadline import Deadline
from rung.engines.failure import Origin, response_error
from rung.engines.fields import as_text, first_count
from rung.engines.ndjson import LineBody
from rung.errors import EngineError

ROUTE = "/api/pull"
# Forty gigabytes on a slow disk take minutes to be read once more.
CHECK_TIMEOUT_S = 1800.0
_DONE = "success"
_CHECKING = ("verifying", "writing", "removing")
_MAX_ERROR_BYTES = 64 * 1024
_STILL = "the download stood still; ask again to go on from where it is"


class PullBody(LineBody):
    """The lines of a pull. `is_done`: it has said `success`, and only then is the model there."""

    def translate(self, event_type: str, fields: JsonObject) -> list[JsonObject]:
        self.is_done = fields.get("status") == _DONE
        return [fields]


class PullProgress:
    """The sum over all layers, which come one after the other or mixed.

    It never goes back, though Ollama's own figures do when a part is fetched again. The total grows
    while layers are announced.
    """

    def __init__(self) -> None:
        self._done: dict[str, int] = {}
        self._total: dict[str, int] = {}
        self._status = ""
        self._seen: tuple[int, int, str] | None = None

    def take(self, line: JsonObject) -> DownloadProgress | None:
        """The progress after one line, or `None` where nothing has moved.

        A line alone is no sign of life: Ollama repeats its figures many times a second.
        """
        self._status, digest = as_text(line.get("status")), as_text(line.get("digest"))
        if digest:
            done = max(self._done.get(digest, 0), first_count(line.get("completed")) or 0)
            total = max(self._total.get(digest, 0), first_count(line.get("total")) or 0, done)
            self._done[digest], self._total[digest] = done, total
        done_bytes, total_bytes = sum(self._done.values()), sum(self._total.values())
        # Layers that take turns and stand still differ in their names alone.
        seen = (done_bytes, total_bytes, "" if digest else self._status)
        if seen == self._seen:
            return None
        self._seen = seen
        return DownloadProgress(
            done_bytes=done_bytes, total_bytes=total_bytes or None, status=self._status
        )

    @property
    def is_checking(self) -> bool:
        """Whether all bytes are there and Ollama reads them once more, saying nothing meanwhile."""
        return self._status.startswith(_CHECKING)


async def pull(
    connection: Connection, model: str, origin: Origin, stall_timeout_s: float
) -> AsyncGenerator[DownloadProgress, None]:
    """Ollama's pull of `model`, up to its `success`. Closing it ends the connection, and the pull.

    Raises `EngineError`; kind `timeout` where nothing has moved for `stall_timeout_s`.
    """
    body = msgspec.json.encode({"model": model, "stream": True})
    asking, deadline = Deadline(origin, stall_timeout_s, None), Deadline(origin, None, None)
    response = await connection.post(ROUTE, body, asking, origin)
    try:
        if response.status != 200:
            raw = await read_at_most(response, _MAX_ERROR_BYTES, origin, asking)
            raise response_error(origin, response.status, response.headers, raw)
        reader, progress, moved_at = PullBody(origin), PullProgress(), time.monotonic()
        while not reader.is_done:
            limit_s = CHECK_TIMEOUT_S if progress.is_checking else stall_timeout_s
            silent_s = time.monotonic() - moved_at
            read = response.content.readany()
            piece = await awaited(read, origin, deadline, _STILL, limit_s, since_s=silent_s)
            for line in reader.feed(piece) if piece else reader.close():
                if (step := progress.take(line)) is not None:
                    moved_at = time.monotonic()
                    yield step
            if not piece and not reader.is_done:
                raise _broken_off(origin)
    finally:
        response.close()


def _broken_off(origin: Origin) -> EngineError:
    return origin.error(
        "unreachable",
        "Ollama ended the download before it was complete; ask again to go on from where it is, "
        "and look at Ollama's own log if it happens again",
        status=200,
    )
