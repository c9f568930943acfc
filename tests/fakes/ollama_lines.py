"""The lines of JSON in which Ollama answers; the last one, with `done`, has all the figures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from tests.fakes.formats import Call, words
from tests.fakes.replies import Reply


def line(**fields: Any) -> bytes:
    """One line of a stream."""
    return json.dumps(fields).encode() + b"\n"


class OllamaFormat:
    """`POST /api/chat`."""

    content_type = "application/x-ndjson"
    streams_by_default = True
    ping = b""
    end = b""

    def events(self, reply: Reply, call: Call) -> Iterable[bytes]:
        parts: list[dict[str, Any]] = [
            {"content": "", "thinking": word} for word in words(reply.reasoning)
        ]
        parts += [{"content": word} for word in words(reply.text or "")]
        parts += [{"content": "", "tool_calls": [_call(raw)]} for raw in reply.tool_calls]
        lines = [_line(part, reply, call) for part in parts]
        return [*lines, _last({"content": ""}, reply, call)] if reply.has_end_marker else lines

    def whole(self, reply: Reply, call: Call) -> dict[str, Any]:
        message: dict[str, Any] = {"content": reply.text or ""}
        if reply.reasoning:
            message["thinking"] = reply.reasoning
        if reply.tool_calls:
            message["tool_calls"] = [_call(raw) for raw in reply.tool_calls]
        return json.loads(_last(message, reply, call))

    def error(self, error: Any) -> bytes:
        return line(error=error)


def _call(raw: Mapping[str, Any]) -> dict[str, Any]:
    function = dict(raw["function"])
    if isinstance(function["arguments"], str):
        function["arguments"] = json.loads(function["arguments"])
    return {"id": raw["id"], "function": function} if raw.get("id") else {"function": function}


def _line(message: Mapping[str, Any], reply: Reply, call: Call, **fields: Any) -> bytes:
    head = {"model": reply.model or call.body["model"], "created_at": "2026-11-21T10:00:00Z"}
    return line(**{**head, "message": {"role": "assistant", **message}, "done": False, **fields})


def _last(message: Mapping[str, Any], reply: Reply, call: Call) -> bytes:
    usage = reply.usage or {}
    counts = {
        "prompt_eval_count": usage.get("prompt_tokens"),
        "eval_count": usage.get("completion_tokens"),
    }
    reason = "stop" if reply.finish_reason == "tool_calls" else reply.finish_reason
    fields = {"done_reason": reason, **counts, **reply.extra}
    told = {name: value for name, value in fields.items() if value is not None}
    return _line(message, reply, call, done=True, **told)
