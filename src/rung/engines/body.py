"""The events in the body of a 200, whatever that body turns out to be.

A stream was asked for. What comes may also be one JSON completion, an error in disguise, a web
page, half of anything, or nothing; each becomes events or an `EngineError`.

Events are OpenAI chunks. An engine that speaks otherwise overrides `translate`,
`translate_whole`, `is_end` and, where its stream is not server-sent events, `parser_for`.
"""

from __future__ import annotations

from typing import Protocol

from rung.chat import JsonObject
from rung.engines.failure import Origin, excerpt, not_the_api, reported_error
from rung.engines.fields import as_list, as_object, as_text, decode
from rung.engines.sse import Event, EventParser, EventTooLongError
from rung.errors import EngineError

MAX_BODY_BYTES = 16 * 1024 * 1024
_HEAD_BYTES = 4096
_STATUS = 200


class Parser(Protocol):
    """Bytes to events: server-sent events, or lines of JSON."""

    def feed(self, piece: bytes) -> list[Event]: ...

    def close(self) -> list[Event]: ...


class AnswerBody:
    """Feed it bytes, get decoded events. `is_done`: the end marker, or a whole answer, has come."""

    def __init__(self, origin: Origin, max_bytes: int = MAX_BODY_BYTES) -> None:
        self.is_done = False
        self._origin = origin
        self._max = max_bytes
        self._head = bytearray()
        self._parser: Parser | None = None
        self._whole: bytearray | None = None
        self._has_events = False

    def feed(self, piece: bytes) -> list[JsonObject]:
        """The events that `piece` completes. Raises `EngineError`."""
        self._head += piece[: _HEAD_BYTES - len(self._head)]
        if self._parser is None and self._whole is None:
            piece = piece.lstrip(b"\xef\xbb\xbf \t\r\n")
            if not piece:
                return []
            self._parser = self.parser_for(piece, self._max)
            if self._parser is None:
                self._whole = bytearray()
        if self._parser is not None:
            return self._read(self._parser, piece)
        if self._whole is not None:
            self._grow(self._whole, piece)
        return []

    def close(self) -> list[JsonObject]:
        """The events that were waiting for the end. Raises `EngineError` where there are none."""
        if self._whole is not None:
            return self._read_whole(bytes(self._whole))
        events: list[JsonObject] = []
        if self._parser is not None and not self.is_done:
            events = self._take(self._parser.close())
        if not self._has_events and not self.is_done:
            raise not_the_api(self._origin, bytes(self._head), _STATUS)
        return events

    def parser_for(self, first: bytes, max_bytes: int) -> Parser | None:
        """A parser for a stream that begins so; `None` where it is one whole document."""
        return None if first[:1] in (b"{", b"[", b"<") else EventParser(max_bytes)

    def is_end(self, event_type: str, data: bytes) -> bool:
        """Whether this event is the end marker, which is not read any further."""
        return data == b"[DONE]"

    def translate(self, event_type: str, fields: JsonObject) -> list[JsonObject]:
        """One event as OpenAI chunks, perhaps none. May raise `EngineError`."""
        return [fields]

    def translate_whole(self, fields: JsonObject) -> list[JsonObject] | None:
        """A whole answer, sent though a stream was asked for; `None` where it is not one."""
        return [fields] if as_list(fields.get("choices")) else None

    def _grow(self, whole: bytearray, piece: bytes) -> None:
        whole += piece
        if len(whole) > self._max:
            raise self._too_long()

    def _read(self, parser: Parser, piece: bytes) -> list[JsonObject]:
        try:
            return self._take(parser.feed(piece))
        except EventTooLongError as error:
            raise self._too_long() from error

    def _take(self, events: list[Event]) -> list[JsonObject]:
        taken: list[JsonObject] = []
        for event in events:
            data = event.data.strip()
            if self.is_end(event.type, data):
                self.is_done = True
                break
            if not data:
                continue
            taken += self._event(event.type, data)
            self._has_events = True
        return taken

    def _event(self, event_type: str, data: bytes) -> list[JsonObject]:
        decoded = decode(data)
        fields = as_object(decoded)
        if event_type == "error" or fields.get("error"):
            raise reported_error(
                self._origin,
                fields.get("error") or decoded or excerpt(data),
                status=_STATUS,
                request_id=as_text(fields.get("request_id")),
            )
        if decoded is None:
            raise self._origin.error(
                "bad_output", f"an event of the stream is not JSON: {excerpt(data)}", status=_STATUS
            )
        self._raise_choice_error(fields)
        return self.translate(event_type, fields)

    def _read_whole(self, body: bytes) -> list[JsonObject]:
        fields = as_object(decode(body.removeprefix(b"\xef\xbb\xbf")))
        if fields.get("error"):
            raise reported_error(self._origin, fields["error"], status=_STATUS)
        self._raise_choice_error(fields)
        events = self.translate_whole(fields)
        if events is None:
            raise not_the_api(self._origin, body, _STATUS)
        self.is_done = True
        return events

    def _raise_choice_error(self, event: JsonObject) -> None:
        """OpenRouter puts an upstream's failure into the choice."""
        for choice in as_list(event.get("choices")):
            if error := as_object(choice).get("error"):
                raise reported_error(self._origin, error, status=_STATUS)

    def _too_long(self) -> EngineError:
        return self._origin.error(
            "bad_output",
            f"the answer has an event of more than {self._max} bytes, which no model writes",
            status=_STATUS,
        )
