"""The stream of `POST /messages`, or a whole message, as OpenAI chunks.

https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

from rung.chat import JsonObject
from rung.engines.body import AnswerBody
from rung.engines.failure import Origin, excerpt
from rung.engines.fields import as_list, as_object, as_text, first_count

_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "length",  # a turn that is not at its end must not look like one that is
}


class MessagesBody(AnswerBody):
    """The Messages stream, or a whole message, as OpenAI chunks.

    Every event but a ping is a sign of life, also one with nothing to show: while a model thinks
    without showing it, there are no others.
    """

    def __init__(self, origin: Origin) -> None:
        super().__init__(origin)
        self._used: JsonObject = {}
        self._has_text = False
        self._is_apart = False  # another block stands between this text and the last

    def is_end(self, event_type: str, data: bytes) -> bool:
        return event_type == "message_stop"

    def translate(self, event_type: str, fields: JsonObject) -> list[JsonObject]:
        index = first_count(fields.get("index")) or 0
        match as_text(fields.get("type")) or event_type:
            case "ping":
                return []
            case "message_start":
                return [self._start(as_object(fields.get("message")))]
            case "content_block_start":
                return [self._block(as_object(fields.get("content_block")), index)]
            case "content_block_delta":
                return [self._delta(as_object(fields.get("delta")), index)]
            case "message_delta":
                return [self._end(as_object(fields.get("delta")), fields)]
            case _:
                return [{}]

    def translate_whole(self, fields: JsonObject) -> list[JsonObject] | None:
        if fields.get("type") != "message":
            return None
        blocks = enumerate(map(as_object, as_list(fields.get("content"))))
        events = [self._start(fields), *(self._block(block, index) for index, block in blocks)]
        return [*events, self._end(fields, fields)]

    def _start(self, message: JsonObject) -> JsonObject:
        return {"model": message.get("model"), "usage": self._usage(message)}

    def _block(self, block: JsonObject, index: int) -> JsonObject:
        kind = block.get("type")
        self._is_apart = kind != "text" or self._is_apart
        match kind:
            case "text":
                return self._text(as_text(block.get("text")))
            case "thinking":
                return _chunk({"reasoning_content": block.get("thinking")})
            case "tool_use":
                function = {"name": block.get("name"), "arguments": block.get("input") or ""}
                call = {"index": index, "id": block.get("id"), "function": function}
                return _chunk({"tool_calls": [call]})
            case _:
                return {}

    def _delta(self, delta: JsonObject, index: int) -> JsonObject:
        match delta.get("type"):
            case "text_delta":
                return self._text(as_text(delta.get("text")))
            case "thinking_delta":
                return _chunk({"reasoning_content": delta.get("thinking")})
            case "input_json_delta":
                function = {"arguments": delta.get("partial_json")}
                return _chunk({"tool_calls": [{"index": index, "function": function}]})
            case _:
                return {}

    def _text(self, text: str) -> JsonObject:
        if text and self._is_apart and self._has_text:
            text = f"\n\n{text}"
        if text:
            self._has_text, self._is_apart = True, False
        return _chunk({"content": text})

    def _end(self, delta: JsonObject, event: JsonObject) -> JsonObject:
        reason = as_text(delta.get("stop_reason"))
        if reason == "refusal":
            details = as_object(delta.get("stop_details"))
            category = as_text(details.get("category")) or "not told"
            said = as_text(details.get("explanation"))
            told = f": {excerpt(said)}" if said else ""
            raise self._origin.error(
                "refused", f"the model refused (category {category}){told}", status=200
            )
        usage = self._usage(event)
        if not reason:
            return {"usage": usage}
        return {**_chunk({}, _FINISH.get(reason, reason)), "usage": usage}

    def _usage(self, event: JsonObject) -> JsonObject:
        """All counts so far in OpenAI's terms, whose prompt includes what was cached."""
        known = {name: n for name, n in as_object(event.get("usage")).items() if n is not None}
        self._used |= known
        used = self._used
        fresh = first_count(used.get("input_tokens"))
        read = first_count(used.get("cache_read_input_tokens"), 0) or 0
        written = first_count(used.get("cache_creation_input_tokens"), 0) or 0
        lasting = as_object(used.get("cache_creation")).get("ephemeral_1h_input_tokens")
        thought = as_object(used.get("output_tokens_details")).get("thinking_tokens")
        return {
            "prompt_tokens": None if fresh is None else fresh + read + written,
            "prompt_tokens_details": {
                "cached_tokens": read,
                "cache_write_tokens": written,
                "cache_write_1h_tokens": lasting,
            },
            "completion_tokens": used.get("output_tokens"),
            "completion_tokens_details": {"reasoning_tokens": thought},
        }


def _chunk(delta: JsonObject, finish: str | None = None) -> JsonObject:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
