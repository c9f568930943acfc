"""LM Studio's own chat route, `POST /api/v1/chat`: one turn, with reasoning switched by request.

It knows no tools of the caller's, no schema, no earlier turns, no seed and no stop words, and it
refuses fields that it does not know. https://lmstudio.ai/docs/developer/rest/chat
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from rung.chat import ChatRequest, JsonObject
from rung.engines.body import AnswerBody
from rung.engines.failure import Origin
from rung.engines.fields import as_list, as_object, as_text, first_count
from rung.engines.wire import Encoded, encoding

ROUTE = "/api/v1/chat"


def can_carry(request: ChatRequest) -> bool:
    """Whether this route can be asked for `request` and all that is in it."""
    *before, last = request.messages or (None,)
    return (
        last is not None
        and last.role == "user"
        and all(message.role == "system" for message in before if message)
        and len(last.images) <= 1
        and not (request.tools or request.schema or request.stop or request.seed is not None)
    )


def encode(request: ChatRequest, origin: Origin, reasoning: str | None) -> Encoded:
    """The body of a request that this route can carry. Raises `EngineError`, `bad_request`."""
    *before, last = request.messages
    options = {
        "system_prompt": "\n\n".join(message.content for message in before) or None,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "max_output_tokens": request.max_tokens,
        "context_length": request.context_tokens,
        "reasoning": reasoning,
    }
    body: JsonObject = {
        "model": request.model,
        "input": last.content,
        "stream": True,
        "store": False,  # else LM Studio keeps the conversation
        **{name: value for name, value in options.items() if value is not None},
    }
    if last.images:
        # The type is `text`, though the documentation has said `message` (lmstudio-ai/docs#253).
        text = [{"type": "text", "content": last.content}] if last.content else []
        body["input"] = [*text, {"type": "image", "data_url": last.images[0]}]
    with encoding(origin):
        return Encoded(body=msgspec.json.encode(body))


def reasoning_option(think: bool | None, allowed: Sequence[str]) -> str | None:
    """The `reasoning` to ask for; `None` leaves it out, for a model refuses what it has not got."""
    if think is None:
        return None
    wanted = ("on", "medium", "high", "low") if think else ("off",)
    return next((option for option in wanted if option in allowed), None)


class ChatBody(AnswerBody):
    """The events of the route as OpenAI chunks. The last one is always `chat.end`.

    `max_tokens` tells why an answer ended: the route itself does not.
    """

    def __init__(self, origin: Origin, max_tokens: int | None = None) -> None:
        super().__init__(origin)
        self._max_tokens = max_tokens
        self._has_content = False

    def is_end(self, event_type: str, data: bytes) -> bool:
        return False

    def translate(self, event_type: str, fields: JsonObject) -> list[JsonObject]:
        match as_text(fields.get("type")) or event_type:
            case "chat.start":
                return [{"model": fields.get("model_instance_id")}]
            case "message.delta":
                return self._delta("content", fields)
            case "reasoning.delta":
                return self._delta("reasoning_content", fields)
            case "chat.end":
                self.is_done = True
                return self._result(as_object(fields.get("result")))
            case _:  # the progress of loading and of reading the prompt, and what is yet to come
                return []

    def translate_whole(self, fields: JsonObject) -> list[JsonObject] | None:
        return self._result(fields) if isinstance(fields.get("output"), list) else None

    def _delta(self, name: str, fields: JsonObject) -> list[JsonObject]:
        self._has_content = True
        return [{"choices": [{"delta": {name: as_text(fields.get("content"))}}]}]

    def _result(self, result: JsonObject) -> list[JsonObject]:
        stats = as_object(result.get("stats"))
        tokens_out = first_count(stats.get("total_output_tokens"))
        is_full = self._max_tokens is not None and (tokens_out or 0) >= self._max_tokens
        choice: JsonObject = {
            # The version before named the reason, and a later one may do so again.
            "finish_reason": stats.get("stop_reason") or ("length" if is_full else "stop"),
            "delta": {} if self._has_content else _joined(result),
        }
        usage = {
            "prompt_tokens": stats.get("input_tokens"),
            "completion_tokens": tokens_out,
            "completion_tokens_details": {"reasoning_tokens": stats.get("reasoning_output_tokens")},
        }
        model = result.get("model_instance_id")
        return [{"model": model, "choices": [choice], "usage": usage, "stats": stats}]


def _joined(result: JsonObject) -> JsonObject:
    """What the output items say, by the field of a message where it belongs."""
    texts = {"message": "", "reasoning": ""}
    for item in map(as_object, as_list(result.get("output"))):
        kind = as_text(item.get("type"))
        if kind in texts:
            texts[kind] += as_text(item.get("content"))
    return {"content": texts["message"], "reasoning_content": texts["reasoning"]}
