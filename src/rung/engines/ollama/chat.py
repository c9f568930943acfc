"""Ollama's own `POST /api/chat`: how a request is written, how the lines of its answer are read.

From Ollama's `api/types.go` and `server/routes.go`, versions 0.12 to 0.33.
"""

from __future__ import annotations

from dataclasses import dataclass

from rung.chat import ChatRequest, JsonObject, Message, Tool
from rung.engines.failure import Origin
from rung.engines.fields import as_count, as_list, as_number, as_object, as_text, decode
from rung.engines.ndjson import LineBody
from rung.engines.ollama.models import is_remote
from rung.errors import EngineError

ROUTE = "/api/chat"
_NS_PER_MS = 1e6


def chat_body(
    request: ChatRequest,
    origin: Origin,
    *,
    runner: JsonObject,
    keep_alive: int | None,
    think: bool | None,
    schema_target: str,
) -> JsonObject:
    """The body as JSON-able values. `runner` are the options that a model is loaded with.

    Without `truncate` and `shift` being false Ollama drops old turns, or forgets the beginning
    while it writes, without a word. `shift` is an option of the load too: it must never change.
    Raises `EngineError`, kind `bad_request`, for an image that is not base64.
    """
    body: JsonObject = {
        "model": request.model,
        "messages": _messages(request.messages, origin),
        "stream": True,
        "truncate": False,
        "shift": False,
        "options": {**runner, **_sampling(request)},
    }
    if tools := _offered(request.tools, request.tool_choice):
        body["tools"] = [_tool(tool) for tool in tools]
    if request.schema is not None:
        # Imported here: only a request with a schema pays for the compiler.
        from rung.structured.portable import compile_schema

        compiled = compile_schema(
            request.schema, target=schema_target, max_tokens=request.max_tokens
        )
        body["format"] = compiled.schema
    if think is not None:
        body["think"] = think
    if keep_alive is not None:
        body["keep_alive"] = keep_alive
    return body


def load_body(model: str, runner: JsonObject, keep_alive: int) -> JsonObject:
    """No messages: the model is loaded, or with a `keep_alive` of 0 unloaded, and says nothing."""
    return {
        "model": model,
        "messages": [],
        "stream": False,
        "shift": False,
        "keep_alive": keep_alive,
        "options": runner,
    }


def _sampling(request: ChatRequest) -> JsonObject:
    options = {
        "num_predict": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "seed": request.seed,
        "stop": list(request.stop) or None,
    }
    return {name: value for name, value in options.items() if value is not None}


def _offered(tools: tuple[Tool, ...], choice: str | None) -> tuple[Tool, ...]:
    """Ollama has no `tool_choice`: a model is kept from tools by not being shown them."""
    if choice == "none":
        return ()
    return tuple(tool for tool in tools if tool.name == choice) or tools


def _tool(tool: Tool) -> JsonObject:
    parameters = tool.parameters or {"type": "object", "properties": {}}
    function = {"name": tool.name, "description": tool.description, "parameters": parameters}
    return {"type": "function", "function": function}


def _messages(messages: tuple[Message, ...], origin: Origin) -> list[JsonObject]:
    names: dict[str, str] = {}
    wires: list[JsonObject] = []
    for message in messages:
        # An id that comes again, as `call_0` does in every turn, means the latest call.
        names.update({call.id: call.name for call in message.tool_calls})
        wires.append(_message(message, names, origin))
    return wires


def _message(message: Message, names: dict[str, str], origin: Origin) -> JsonObject:
    wire: JsonObject = {"role": message.role, "content": message.content}
    if message.images:
        wire["images"] = [_base64(image, origin) for image in message.images]
    if message.tool_calls:
        wire["tool_calls"] = [
            {
                "id": call.id,
                "function": {"name": call.name, "arguments": _arguments(call.arguments)},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        wire["tool_call_id"] = message.tool_call_id
        if name := names.get(message.tool_call_id):
            wire["tool_name"] = name
    return wire


def _arguments(text: str) -> JsonObject:
    """An object, as Ollama demands. What a model wrote wrongly is shown to it again as it is."""
    decoded = decode(text.encode("utf-8", "replace"))
    return as_object(decoded) or ({} if decoded == {} else {"arguments": text})


def _base64(image: str, origin: Origin) -> str:
    head, _, data = image.partition(",")
    if not (head.startswith("data:") and head.endswith(";base64") and data):
        raise origin.error(
            "bad_request",
            "Ollama takes images only as data URLs in base64 (data:image/png;base64,…); "
            "fetch the image first",
        )
    return data


@dataclass
class Measures:
    """What the last line of an answer says of the work; `None` where it does not."""

    load_ms: float | None = None
    prompt_ms: float | None = None
    tokens_in: int | None = None
    tokens_cached: int | None = None

    def read(self, line: JsonObject) -> None:
        self.load_ms = _milliseconds(line.get("load_duration"))
        self.prompt_ms = _milliseconds(line.get("prompt_eval_duration"))
        self.tokens_in = as_count(line.get("prompt_eval_count"))
        self.tokens_cached = as_count(line.get("prompt_eval_cached_count"))

    @property
    def first_token_ms(self) -> float | None:
        """Until the prompt was read: what a token waits for, loading and queueing included."""
        if self.load_ms is None or self.prompt_ms is None:
            return None
        return self.load_ms + self.prompt_ms


class ChatBody(LineBody):
    """The lines of an answer as OpenAI chunks; the one with `done` ends it and fills `measures`.

    A line that comes from another host is an error unless `allows_remote`.
    """

    def __init__(self, origin: Origin, measures: Measures, *, allows_remote: bool) -> None:
        super().__init__(origin)
        self._measures = measures
        self._allows_remote = allows_remote
        self._calls = 0

    def translate(self, event_type: str, fields: JsonObject) -> list[JsonObject]:
        if is_remote(fields) and not self._allows_remote:
            raise cloud_error(self._origin)
        message = as_object(fields.get("message"))
        calls = [self._call(as_object(raw)) for raw in as_list(message.get("tool_calls"))]
        delta = {
            "content": message.get("content"),
            "reasoning": message.get("thinking"),
            "tool_calls": calls,
        }
        event: JsonObject = {
            "model": fields.get("model"),
            "choices": [{"delta": delta, "finish_reason": None}],
        }
        if fields.get("done") is True:
            self._end(event, fields)
        return [event]

    def _call(self, raw: JsonObject) -> JsonObject:
        """Calls arrive whole, each in a line of its own, and older versions do not number them."""
        self._calls += 1
        return {"index": self._calls - 1, "id": raw.get("id"), "function": raw.get("function")}

    def _end(self, event: JsonObject, fields: JsonObject) -> None:
        reason = as_text(fields.get("done_reason")) or "stop"
        if reason in ("load", "unload"):
            raise self._origin.error(
                "model_not_loaded",
                f"Ollama has only {reason}ed the model and written no answer; ask again",
                status=200,
            )
        self.is_done = True
        self._measures.read(fields)
        event["choices"][0]["finish_reason"] = reason
        event["usage"] = {
            "prompt_tokens": self._measures.tokens_in,
            "completion_tokens": fields.get("eval_count"),
            "prompt_tokens_details": {"cached_tokens": self._measures.tokens_cached},
        }
        event["stats"] = {"tokens_per_second": _per_second(fields)}


def cloud_error(origin: Origin) -> EngineError:
    """A model of Ollama's cloud was named on an engine that is not in the cloud."""
    return origin.error(
        "bad_request",
        f"{origin.model!r} runs in Ollama's cloud, and engine {origin.engine!r} is not declared to "
        "be there, so nothing is sent to it; choose a model that is on the machine, or add an "
        'engine of kind "ollama" with base_url "https://ollama.com" and its key',
    )


def _milliseconds(nanoseconds: object) -> float | None:
    number = as_number(nanoseconds)
    return None if number is None else number / _NS_PER_MS


def _per_second(fields: JsonObject) -> float | None:
    count, spent_ms = as_count(fields.get("eval_count")), _milliseconds(fields.get("eval_duration"))
    return count * 1000 / spent_ms if count and spent_ms else None
