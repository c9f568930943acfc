"""Anthropic's Messages API as it is documented, with what it refuses.

A scripted `Reply` is written in OpenAI's terms; `blocks` in its `extra` replaces its content by
blocks of the API's own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.fakes.formats import Call, sse, words
from tests.fakes.replies import Reply, failure

if TYPE_CHECKING:
    from tests.fakes.server import FakeServer

MESSAGES = "/v1/messages"
COUNT = "/v1/messages/count_tokens"
_STOP = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
_NO_SAMPLING = re.compile(r"opus-4-[78]|(opus|sonnet|haiku|fable)-5")
_NO_FORCED_TOOL = re.compile(r"(opus|sonnet|haiku)-5-5|fable-5-1")
_ALWAYS_THINKS = re.compile(r"opus-5-5|fable-5")
_REFUSED_KEYWORDS = {"minimum", "maximum", "minLength", "maxLength", "maxItems", "$ref"}


def install(server: FakeServer) -> None:
    """Gives `server` the routes of the API. Its models come in pages of `limit`."""
    server.key_header = "x-api-key"
    server.formats = {MESSAGES: AnthropicFormat()}
    server.chat_rules[MESSAGES] = _checked
    server.handlers |= {("POST", COUNT): _count, ("GET", "/v1/models"): _models}


def refusal(message: str, status: int = 400, kind: str = "invalid_request_error") -> Reply:
    """An error as the API sends it."""
    error = {"type": kind, "message": message}
    return failure(status, {"type": "error", "error": error, "request_id": "req_0"})


class AnthropicFormat:
    """`POST /v1/messages`."""

    content_type = "text/event-stream"
    streams_by_default = False
    ping = sse({"type": "ping"}, "ping")
    end = sse({"type": "message_stop"}, "message_stop")

    def events(self, reply: Reply, call: Call) -> Iterable[bytes]:
        return [sse(event, event["type"]) for event in _events(reply, call)]

    def whole(self, reply: Reply, call: Call) -> dict[str, Any]:
        return {**_message(reply, call), "content": _blocks(reply), **_ending(reply)}

    def error(self, error: Any) -> bytes:
        fields = error if isinstance(error, dict) else {"type": "api_error", "message": error}
        return sse({"type": "error", "error": fields, "request_id": "req_0"}, "error")


def _message(reply: Reply, call: Call) -> dict[str, Any]:
    known = reply.usage if reply.usage is not None else {"input_tokens": 7, "output_tokens": 3}
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": reply.model or call.body["model"],
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"cache_read_input_tokens": 0, "cache_creation_input_tokens": None, **known},
    }


def _ending(reply: Reply) -> dict[str, Any]:
    reason = _STOP.get(reply.finish_reason or "", reply.finish_reason)
    return {"stop_reason": reason, "stop_details": reply.extra.get("stop_details")}


def _blocks(reply: Reply) -> list[dict[str, Any]]:
    if "blocks" in reply.extra:
        return list(reply.extra["blocks"])
    blocks: list[dict[str, Any]] = []
    if reply.reasoning:
        blocks.append({"type": "thinking", "thinking": reply.reasoning, "signature": "sig"})
    if reply.text:
        blocks.append({"type": "text", "text": reply.text})
    for tool_call in reply.tool_calls:
        function = tool_call["function"]
        arguments = function["arguments"]
        given = json.loads(arguments) if isinstance(arguments, str) else arguments
        use = {"type": "tool_use", "id": tool_call["id"], "name": function["name"]}
        blocks.append({**use, "input": given})
    return blocks


def _events(reply: Reply, call: Call) -> Iterator[dict[str, Any]]:
    message = _message(reply, call)
    usage = message["usage"]
    yield {"type": "message_start", "message": {**message, "usage": {**usage, "output_tokens": 1}}}
    for index, block in enumerate(_blocks(reply)):
        hollow, deltas = _in_pieces(block)
        yield {"type": "content_block_start", "index": index, "content_block": hollow}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    if reply.finish_reason is not None:
        ending = {"delta": _ending(reply), "usage": {"output_tokens": usage.get("output_tokens")}}
        details = usage.get("output_tokens_details")
        if details:
            ending["usage"]["output_tokens_details"] = details
        yield {"type": "message_delta", **ending}


def _in_pieces(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    match block["type"]:
        case "text":
            pieces = [{"type": "text_delta", "text": word} for word in words(block["text"])]
            return {**block, "text": ""}, pieces
        case "thinking":
            pieces = [{"type": "thinking_delta", "thinking": w} for w in words(block["thinking"])]
            signed = {"type": "signature_delta", "signature": block.get("signature", "sig")}
            return {"type": "thinking", "thinking": "", "signature": ""}, [*pieces, signed]
        case "tool_use":
            text = json.dumps(block["input"]) if block["input"] else ""
            middle = len(text) // 2
            pieces = [
                {"type": "input_json_delta", "partial_json": part}
                for part in ("", text[:middle], text[middle:])
            ]
            return {**block, "input": {}}, pieces
        case _:
            return block, []


def _checked(call: Call, next_reply: Callable[[Call], Reply]) -> Reply:
    fault = None if call.headers.get("anthropic-version") else "anthropic-version: header required"
    fault = fault or _fault(call.body, {"max_tokens"})
    return refusal(fault) if fault else next_reply(call)


async def _count(_: FakeServer, __: web.Request, call: Call) -> web.Response:
    extra = sorted({"max_tokens", "stream", "temperature"} & call.body.keys())
    fault = f"{extra[0]}: Extra inputs are not permitted" if extra else _fault(call.body, set())
    if fault:
        body = refusal(fault).body
        return web.json_response(body, status=400)
    return web.json_response({"input_tokens": len(json.dumps(call.body["messages"])) // 4})


async def _models(server: FakeServer, request: web.Request, _: Call) -> web.Response:
    route = server.routes["/v1/models"]
    if not isinstance(route.content, dict) or not isinstance(route.content.get("data"), list):
        text = route.content if isinstance(route.content, str) else json.dumps(route.content)
        return web.Response(text=text, status=route.status)
    models = route.content["data"]
    limit = min(int(request.query.get("limit", 20)), server.page_limit)
    after = request.query.get("after_id")
    start = [model["id"] for model in models].index(after) + 1 if after else 0
    page = models[start : start + limit]
    has_more = start + limit < len(models)
    last = page[-1]["id"] if page else None
    return web.json_response({"data": page, "has_more": has_more, "last_id": last})


def _fault(body: Mapping[str, Any], required: set[str]) -> str | None:
    """What the API would refuse in the body."""
    for name in ("model", "messages", *required):
        if name not in body:
            return f"{name}: Field required"
    checks = (_model_fault(body), _turns_fault(body["messages"]), _schema_fault(body))
    return next((fault for fault in checks if fault), None)


def _model_fault(body: Mapping[str, Any]) -> str | None:
    model, thinking = body["model"], body.get("thinking", {}).get("type")
    choice = body.get("tool_choice", {}).get("type")
    if _NO_SAMPLING.search(model) and {"temperature", "top_p"} & body.keys():
        return "`temperature` is deprecated for this model."
    if "temperature" in body and ("top_p" in body or thinking in ("enabled", "adaptive")):
        return "`temperature` and `top_p` cannot both be specified, nor either with thinking"
    if choice in ("any", "tool"):
        if _NO_FORCED_TOOL.search(model):
            return 'tool_choice: type "tool" and "any" are not supported for this model.'
        if thinking in ("enabled", "adaptive"):
            return "Thinking may not be enabled when tool_choice forces tool use."
    if thinking == "disabled" and _ALWAYS_THINKS.search(model):
        return '"thinking.type.disabled" is not supported for this model.'
    if thinking == "between_tools" and "sonnet-5-5" not in model:
        return '"thinking.type.between_tools" is not supported for this model.'
    last = body["messages"][-1]["content"]
    if thinking == "enabled" and last[0]["type"] == "tool_result":
        return "Expected `thinking` or `redacted_thinking`, but found `tool_use`."
    if thinking == "enabled" and body["thinking"]["budget_tokens"] >= body["max_tokens"]:
        return "`max_tokens` must be greater than `thinking.budget_tokens`."
    return None


def _turns_fault(turns: list[dict[str, Any]]) -> str | None:
    roles = [turn["role"] for turn in turns]
    if not turns or any(role not in ("user", "assistant") for role in roles):
        return "messages: roles must be user and assistant"
    if any(one == two for one, two in pairwise(roles)):
        return "messages: roles must alternate"
    for turn in turns:
        kinds = [block["type"] for block in turn["content"]]
        if "thinking" in kinds:
            return "The block is bound to a different conversation."
        if kinds != sorted(kinds, key=lambda kind: kind != "tool_result"):
            return "tool_result blocks must come first"
        for block in turn["content"]:
            if block["type"] == "text" and not block["text"].strip():
                return "messages: text content blocks must be non-empty"
            if not re.fullmatch(r"[A-Za-z0-9_-]+", block.get("id", "x")):
                return "messages: tool_use.id: String should match pattern"
    return None


def _schema_fault(body: Mapping[str, Any]) -> str | None:
    form = body.get("output_config", {}).get("format")
    return _keyword_fault(form["schema"]) if form else None


def _keyword_fault(schema: dict[str, Any]) -> str | None:
    if refused := _REFUSED_KEYWORDS & schema.keys():
        return f"output_config.format.schema: property '{min(refused)}' is not supported"
    if "(?" in schema.get("pattern", "") or "\\b" in schema.get("pattern", ""):
        return f"output_config.format.schema: pattern {schema['pattern']!r} is not supported"
    if any(isinstance(value, dict | list) for value in schema.get("enum", [])):
        return "output_config.format.schema: 'enum' has values that are not scalars"
    if schema.get("minItems", 0) > 1:
        return "output_config.format.schema: 'minItems' must be 0 or 1"
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        return "output_config.format.schema: 'additionalProperties' must be explicitly false"
    inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", [])]
    inner += [schema["items"]] if "items" in schema else []
    return next((fault for fault in map(_keyword_fault, inner) if fault), None)
