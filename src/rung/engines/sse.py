"""Server-sent events out of bytes, as https://html.spec.whatwg.org/multipage/server-sent-events.html
defines them, in whatever pieces the network delivers.
"""

from __future__ import annotations

from typing import NamedTuple

MAX_EVENT_BYTES = 16 * 1024 * 1024


class Event(NamedTuple):
    """One event: its type (empty where the server named none) and its data lines, joined."""

    type: str
    data: bytes


class EventTooLongError(ValueError):
    """A line or an event is longer than any honest one."""


class EventParser:
    """Feed it bytes, get the events that are complete. Comments and unknown fields are dropped."""

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max = max_event_bytes
        self._rest = bytearray()
        self._scanned = 0
        self._type = ""
        self._data: list[bytes] = []
        self._data_bytes = 0

    def feed(self, piece: bytes) -> list[Event]:
        """The events that `piece` completes. Raises `EventTooLongError`."""
        self._rest += piece
        events: list[Event] = []
        start = 0
        while (end := self._line_end(max(start, self._scanned))) is not None:
            line = bytes(self._rest[start : end[0]])
            start = end[1]
            event = self._take(line)
            if event is not None:
                events.append(event)
        del self._rest[:start]
        # A final CR may be half of a CRLF: it is looked at again when more has come.
        self._scanned = max(0, len(self._rest) - 1)
        if len(self._rest) > self._max:
            raise EventTooLongError(f"a line of more than {self._max} bytes")
        return events

    def close(self) -> list[Event]:
        """What is left when the server ends without a last empty line, which many forget."""
        events = self.feed(b"\n\n") if self._rest or self._data else []
        self._rest.clear()
        return events

    def _line_end(self, start: int) -> tuple[int, int] | None:
        """Where the next line ends and the one after it begins."""
        newline = self._rest.find(b"\n", start)
        carriage = self._rest.find(b"\r", start, newline if newline >= 0 else len(self._rest))
        if carriage < 0:
            return None if newline < 0 else (newline, newline + 1)
        if carriage + 1 == newline:
            return carriage, newline + 1
        if carriage + 1 == len(self._rest):
            return None
        return carriage, carriage + 1

    def _take(self, line: bytes) -> Event | None:
        if not line:
            return self._dispatch()
        field, _, value = line.removeprefix(b"\xef\xbb\xbf").partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
            self._data_bytes += len(value)
            if self._data_bytes > self._max:
                raise EventTooLongError(f"an event of more than {self._max} bytes")
        elif field == b"event":
            self._type = value.decode("utf-8", "replace")
        return None

    def _dispatch(self) -> Event | None:
        event = Event(self._type, b"\n".join(self._data)) if self._data else None
        self._type, self._data, self._data_bytes = "", [], 0
        return event
