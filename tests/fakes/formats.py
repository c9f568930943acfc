"""How a scripted reply looks on the wire of each kind of chat route."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.fakes.replies import Reply


@dataclass
class Call:
    """One request as it arrived. `is_dropped` is set when the client hung up before the end."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any] = field(default_factory=dict[str, Any])
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    is_dropped: asyncio.Event = field(default_factory=asyncio.Event)
    is_over: asyncio.Event = field(default_factory=asyncio.Event)


class ChatFormat(Protocol):
    """One chat route's form. `events` are the stream's pieces, `end` its end marker."""

    content_type: str
    streams_by_default: bool
    ping: bytes
    end: bytes

    def events(self, reply: Reply, call: Call) -> Iterable[bytes]: ...

    def whole(self, reply: Reply, call: Call) -> dict[str, Any]: ...

    def error(self, error: Any) -> bytes: ...


class OpenAIFormat:
    """`POST /v1/chat/completions`."""

    content_type = "text/event-stream"
    streams_by_default = False
    ping = b": PROCESSING\n\n"
    end = b"data: [DONE]\n\n"

    def __init__(self, reasoning_field: str = "reasoning_content") -> None:
        self._reasoning_field = reasoning_field

    def events(self, reply: Reply, call: Call) -> Iterable[bytes]:
        return [sse(event) for event in _events(reply, call, self._reasoning_field)]

    def whole(self, reply: Reply, call: Call) -> dict[str, Any]:
        return _whole(reply, call, self._reasoning_field)

    def error(self, error: Any) -> bytes:
        return sse({"error": error})


def sse(event: Mapping[str, Any], event_type: str = "") -> bytes:
    """One server-sent event."""
    head = f"event: {event_type}\n" if event_type else ""
    return f"{head}data: {json.dumps(event)}\n\n".encode()


def _usage(reply: Reply) -> dict[str, Any]:
    words = len((reply.text or "").split())
    default = {"prompt_tokens": 7, "completion_tokens": words, "total_tokens": 7 + words}
    return dict(reply.usage) if reply.usage is not None else default


def _events(reply: Reply, call: Call, reasoning_field: str) -> list[dict[str, Any]]:
    head = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": reply.model or call.body["model"],
    }

    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    events = [chunk({"role": "assistant", "content": None})]
    name = reply.reasoning_field or reasoning_field
    events += [chunk({name: word}) for word in words(reply.reasoning)]
    events += [chunk({"content": word}) for word in words(reply.text or "")]
    events += [chunk({"tool_calls": [call]}) for call in reply.tool_calls]
    if reply.finish_reason is not None:
        events.append(chunk({}, reply.finish_reason))
    events.append({**head, "choices": [], "usage": _usage(reply), **reply.extra})
    return events


def _whole(reply: Reply, call: Call, reasoning_field: str) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text}
    if reply.reasoning:
        message[reply.reasoning_field or reasoning_field] = reply.reasoning
    if reply.tool_calls:
        message["tool_calls"] = list(reply.tool_calls)
    choice = {"index": 0, "message": message, "finish_reason": reply.finish_reason}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": reply.model or call.body["model"],
        "choices": [choice],
        "usage": _usage(reply),
        **reply.extra,
    }


def words(text: str) -> list[str]:
    """The text in pieces that join to it again."""
    words = text.split(" ")
    return [word if number == 0 else f" {word}" for number, word in enumerate(words) if text]
