"""A `ChatRequest` as the body of `POST /messages`.

The Messages API of Anthropic, version 2023-06-01. Thinking blocks are never sent back: they belong
to one model and one exact conversation, and a ladder changes both.
"""

from __future__ import annotations

import re

import msgspec

from rung.chat import ChatRequest, Flag, JsonObject, Message, Tool
from rung.engines.anthropic.models import Takes, what_takes
from rung.engines.failure import Origin
from rung.engines.fields import as_object, decode
from rung.engines.wire import Encoded, encoding

_CALL_A_TOOL = "Answer with a call of one of the tools."
_CALL_THE_TOOL = "Answer with a call of the tool `{name}`."
_LEAST_BUDGET_TOKENS = 1024

_IMAGE = re.compile(r"data:(image/[a-z0-9.+-]+);base64,(.+)", re.IGNORECASE | re.DOTALL)
_NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9_-]")


def encode(request: ChatRequest, origin: Origin) -> Encoded:
    """The body as UTF-8 JSON, and what of the request it cannot carry.

    Raises `EngineError` of kind `bad_request` for what no body can say, `SchemaError` for a bad
    schema.
    """
    with encoding(origin):
        body, flags = _build(request, origin)
        return Encoded(body=msgspec.json.encode(body), flags=flags)


def _build(request: ChatRequest, origin: Origin) -> tuple[JsonObject, tuple[Flag, ...]]:
    takes = what_takes(request.model)
    demanded = _demanded(request)
    is_forced = demanded is not None
    body: JsonObject = {
        "model": request.model,
        "max_tokens": request.max_tokens or takes.max_tokens,
        "messages": _turns(request, origin),
        "stream": True,
    }
    system = [turn.content for turn in request.messages if turn.role == "system"]
    if demanded is not None and not takes.has_forced_tools:
        system.append(demanded)
    if text := "\n\n".join(filter(str.strip, system)):
        body["system"] = text
    if request.stop:
        body["stop_sequences"] = list(request.stop)
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        body |= _tool_choice(request.tool_choice, takes)
    thinking = _thinking(request, takes, body["max_tokens"], is_forced=is_forced)
    body |= thinking or {}
    if takes.has_sampling and not (request.think and thinking):
        body |= _sampling(request)
    flags: list[Flag] = []
    if thinking is None:
        flags.append("thinking_not_switched")
        if request.think is False:
            body["output_config"] = {"effort": "low"}
    if request.schema is not None:
        form = _format(request.schema, takes, request.max_tokens)
        if form is None:
            flags.append("schema_not_enforced")
        else:
            body["output_config"] = {**body.get("output_config", {}), "format": form}
    return body, tuple(flags)


def _demanded(request: ChatRequest) -> str | None:
    """A forced call in words, for a model that cannot be forced; `None` where none is."""
    match request.tool_choice:
        case _ if not request.tools:
            return None
        case None | "auto" | "none":
            return None
        case "required":
            return _CALL_A_TOOL
        case name:
            return _CALL_THE_TOOL.replace("{name}", name)


def _tool(tool: Tool) -> JsonObject:
    schema: JsonObject = {"type": "object", "properties": {}, **tool.parameters}
    described = {"description": tool.description} if tool.description else {}
    return {"name": tool.name, **described, "input_schema": schema}


def _tool_choice(choice: str | None, takes: Takes) -> JsonObject:
    match choice:
        case None:
            return {}
        case "auto" | "none":
            return {"tool_choice": {"type": choice}}
        case _ if not takes.has_forced_tools:
            return {"tool_choice": {"type": "auto"}}
        case "required":
            return {"tool_choice": {"type": "any"}}
        case name:
            return {"tool_choice": {"type": "tool", "name": name}}


def _thinking(
    request: ChatRequest, takes: Takes, max_tokens: int, *, is_forced: bool
) -> JsonObject | None:
    """What switches thinking as asked; `None` where this model, or this request, cannot."""
    if request.think is None:
        is_shown = takes.thinks_unasked and not is_forced
        return dict(takes.thinking_on or {}) if is_shown else {}
    if not request.think:
        return None if takes.thinking_off is None else dict(takes.thinking_off)
    # With a budget, the thoughts before a call must come back with its result: they are not kept.
    is_in_a_call = request.messages[-1].role == "tool"
    lacks_room = max_tokens <= _LEAST_BUDGET_TOKENS
    if takes.thinking_on is None or (is_forced and takes.has_forced_tools):
        return None
    if not takes.has_budget:
        return dict(takes.thinking_on)
    if is_in_a_call or lacks_room:
        return None
    budget = max(_LEAST_BUDGET_TOKENS, max_tokens // 2)
    return {"thinking": {**takes.thinking_on["thinking"], "budget_tokens": budget}}


def _sampling(request: ChatRequest) -> JsonObject:
    """Its scale ends at 1, and models from Claude 4.1 on refuse both values at once."""
    if request.temperature is not None:
        return {"temperature": min(request.temperature, 1.0)}
    return {} if request.top_p is None else {"top_p": request.top_p}


def _format(schema: JsonObject, takes: Takes, max_tokens: int | None) -> JsonObject | None:
    """The schema as the API enforces it; `None` where it cannot, and only the prompt asks."""
    # Imported here: only a request with a schema pays for the compiler.
    from rung.structured.portable import compile_schema

    compiled = compile_schema(schema, target="anthropic", max_tokens=max_tokens)
    if not (takes.has_schema and compiled.is_strict):
        return None
    return {"type": "json_schema", "schema": compiled.schema}


def _turns(request: ChatRequest, origin: Origin) -> list[JsonObject]:
    """Turns of user and assistant in alternation: neighbours of one role are one turn."""
    turns: list[JsonObject] = []
    for message in request.messages:
        blocks = [] if message.role == "system" else _blocks(message, origin)
        if not blocks:
            continue
        role = "assistant" if message.role == "assistant" else "user"
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    if not turns:
        raise origin.error("bad_request", "there is no message to answer; give it some text")
    for turn in turns:
        # The API wants the results of calls before whatever else the user says.
        turn["content"].sort(key=_is_no_result)
    return turns


def _is_no_result(block: JsonObject) -> bool:
    return block["type"] != "tool_result"


def _blocks(message: Message, origin: Origin) -> list[JsonObject]:
    if message.role == "tool":
        result = {"type": "tool_result", "tool_use_id": _call_id(message.tool_call_id or "")}
        return [{**result, "content": message.content}]
    blocks = [_image(image, origin) for image in message.images]
    if message.content.strip():  # an empty text is refused
        blocks.append({"type": "text", "text": message.content})
    for call in message.tool_calls:
        use = {"type": "tool_use", "id": _call_id(call.id), "name": call.name}
        blocks.append({**use, "input": _arguments(call.arguments)})
    return blocks


def _arguments(text: str) -> JsonObject:
    """What a model wrote in error is shown to it as it is, in the object that has to be sent."""
    value = as_object(decode(text.encode("utf-8", "replace")))
    return value or ({} if text.strip() in ("", "{}") else {"text": text})


def _call_id(identifier: str) -> str:
    """Ids that another engine gave may have characters that this API refuses."""
    return _NOT_IN_AN_ID.sub("_", identifier) or "call"


def _image(url: str, origin: Origin) -> JsonObject:
    if url.startswith(("https://", "http://")):
        return {"type": "image", "source": {"type": "url", "url": url}}
    found = _IMAGE.fullmatch(url)
    if found is None:
        raise origin.error("bad_request", "an image must be a data URL: data:image/png;base64,…")
    source = {"type": "base64", "media_type": found[1].lower(), "data": found[2]}
    return {"type": "image", "source": source}
