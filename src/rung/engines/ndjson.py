"""Bodies of one JSON object per line, as Ollama sends them, in whatever pieces they come."""

from __future__ import annotations

from rung.engines.body import AnswerBody, Parser
from rung.engines.sse import MAX_EVENT_BYTES, Event, EventTooLongError


class LineParser:
    """Feed it bytes, get the lines that are complete, as events without a type."""

    def __init__(self, max_line_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max = max_line_bytes
        self._rest = bytearray()

    def feed(self, piece: bytes) -> list[Event]:
        """The lines that `piece` completes. Raises `EventTooLongError`."""
        seen = len(self._rest)
        self._rest += piece
        if piece.find(b"\n") < 0:
            self._check(len(self._rest))
            return []
        end = self._rest.rindex(b"\n", seen)
        lines = bytes(self._rest[:end]).split(b"\n")
        del self._rest[: end + 1]
        self._check(max(len(self._rest), *map(len, lines)))
        return [Event("", line) for line in lines if line.strip()]

    def close(self) -> list[Event]:
        """The last line, which needs no end."""
        return self.feed(b"\n") if self._rest else []

    def _check(self, length: int) -> None:
        if length > self._max:
            raise EventTooLongError(f"a line of more than {self._max} bytes")


class LineBody(AnswerBody):
    """An answer in lines of JSON; anything that begins otherwise is no such answer."""

    def parser_for(self, first: bytes, max_bytes: int) -> Parser | None:
        return None if first[:1] in (b"[", b"<") else LineParser(max_bytes)
