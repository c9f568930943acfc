"""What the stand-in server may answer: a well-formed answer, or one way of misbehaving."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One scripted answer of `POST /v1/chat/completions`.

    Well-formed parts first: `text` is streamed word by word, `reasoning` before it in the field
    that the profile uses, `tool_calls` as OpenAI objects. `None` for `text` sends `content: null`.

    Then the ways to misbehave. With `status` other than 200, or a `body`, that is sent as it is.
    `drop_after`, `stall_after`, `error_after` count events, the role's included.
    """

    text: str | None = ""
    reasoning: str = ""
    reasoning_field: str = ""
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    finish_reason: str | None = "stop"
    model: str | None = None
    usage: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    status: int = 200
    body: bytes | str | Mapping[str, Any] | None = None
    content_type: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    is_streamed: bool = True
    has_end_marker: bool = True
    first_after_s: float = 0.0
    between_s: float = 0.0
    ping_every_s: float = 0.0
    drop_after: int | None = None
    stall_after: int | None = None
    error_after: int | None = None
    error: Any = "the engine lost its mind"
    raw_events: tuple[bytes, ...] = ()


def answer(text: str, **parts: Any) -> Reply:
    """A plain good answer."""
    return Reply(text=text, **parts)


def failure(status: int, body: bytes | str | Mapping[str, Any], **parts: Any) -> Reply:
    """An error status with its body."""
    return Reply(status=status, body=body, **parts)


def html(status: int = 200) -> Reply:
    """A web page where an API was expected."""
    page = (
        "<!DOCTYPE html><html><head><title>Welcome to nginx!</title></head><body>hi</body></html>"
    )
    return Reply(status=status, body=page, content_type="text/html")


def tool_call(name: str, arguments: Any, call_id: str = "call_1") -> dict[str, Any]:
    """A tool call as OpenAI sends it; `arguments` is sent as it is, text or object."""
    function = {"name": name, "arguments": arguments}
    return {"index": 0, "id": call_id, "type": "function", "function": function}
