"""A `ChatRequest` as the body of `POST /chat/completions`, in the dialect of one engine."""

from __future__ import annotations

import re

import msgspec

from rung.chat import ChatRequest, JsonObject, Message, Tool
from rung.engines.failure import Origin
from rung.engines.profiles import Dialect
from rung.engines.wire import encoding

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]+")


def encode_body(
    request: ChatRequest, dialect: Dialect, origin: Origin, *, asks_usage: bool = True
) -> bytes:
    """The body as UTF-8 JSON. Raises `EngineError`, kind `bad_request`, for text that is not
    Unicode (a lone surrogate) and for endless nesting, and `SchemaError` for a bad schema.

    `asks_usage` is false for a server that refuses `stream_options`.
    """
    with encoding(origin):
        body = build_body(request, dialect)
        if not asks_usage:
            del body["stream_options"]
        return msgspec.json.encode(body)


def build_body(request: ChatRequest, dialect: Dialect) -> JsonObject:
    """The body as JSON-able values. It always asks for a stream: only that can be stopped."""
    body: JsonObject = {
        **prompt_fields(request, dialect),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    options = {
        dialect.token_field: request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "seed": request.seed,
        "stop": list(request.stop) or None,
    }
    body.update({name: value for name, value in options.items() if value is not None})
    if request.schema is not None:
        body["response_format"] = _response_format(request.schema, dialect, request.max_tokens)
    if request.schema is not None or request.tools:
        body.update(dialect.when_constrained)
    return body


def prompt_fields(request: ChatRequest, dialect: Dialect) -> JsonObject:
    """The fields that the chat template makes the prompt of; they are what is to be counted."""
    fields: JsonObject = {
        "model": request.model,
        "messages": [_message(message) for message in request.messages],
    }
    if request.tools:
        fields["tools"] = [_tool(tool) for tool in request.tools]
        if request.tool_choice is not None:
            fields["tool_choice"] = _tool_choice(request.tool_choice)
    if request.think is not None:
        fields.update(dialect.think_on if request.think else dialect.think_off)
    return fields


def _message(message: Message) -> JsonObject:
    wire: JsonObject = {"role": message.role, "content": message.content}
    if message.images:
        text: list[JsonObject] = [{"type": "text", "text": message.content}]
        wire["content"] = (text if message.content else []) + [
            {"type": "image_url", "image_url": {"url": image}} for image in message.images
        ]
    if message.tool_calls:
        wire["content"] = message.content or None
        wire["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        wire["tool_call_id"] = message.tool_call_id
    return wire


def _tool(tool: Tool) -> JsonObject:
    parameters = tool.parameters or {"type": "object", "properties": {}}
    function = {"name": tool.name, "description": tool.description, "parameters": parameters}
    return {"type": "function", "function": function}


def _tool_choice(choice: str) -> str | JsonObject:
    if choice in ("auto", "none", "required"):
        return choice
    return {"type": "function", "function": {"name": choice}}


def _response_format(schema: JsonObject, dialect: Dialect, max_tokens: int | None) -> JsonObject:
    # Imported here: only a request with a schema pays for the compiler.
    from rung.structured.portable import compile_schema

    title = schema.get("title")
    name = _NOT_IN_A_NAME.sub("_", title)[:64] if isinstance(title, str) else ""
    compiled = compile_schema(schema, target=dialect.schema_target, max_tokens=max_tokens)
    # llama.cpp and Outlines always enforce; LM Studio's documentation wants the word. Elsewhere it
    # asks for a mode that refuses schemas outside its subset.
    strict = compiled.is_strict or dialect.schema_target in ("llamacpp", "outlines")
    return {
        "type": "json_schema",
        "json_schema": {"name": name or "answer", "strict": strict, "schema": compiled.schema},
    }
