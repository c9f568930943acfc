"""What an LM Studio keeps between requests: models on disk and in memory, downloads, a token.

async with FakeServer("lmstudio", ["hi"]) as server:
    studio = LMStudio(server, jit=False)
    studio.unload_all()
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.fakes.formats import Call, sse, words
from tests.fakes.profiles import LMSTUDIO_EMBEDDING, LMSTUDIO_MODEL, Route
from tests.fakes.replies import Reply, failure

if TYPE_CHECKING:
    from tests.fakes.server import FakeServer

CHAT, NATIVE = "/v1/chat/completions", "/api/v1/chat"
V0, V1 = "/api/v0/models", "/api/v1/models"
JIT_CONTEXT = 4096
_CHAT_KEYS = {
    *("model", "input", "system_prompt", "integrations", "stream", "temperature", "top_p", "top_k"),
    *("min_p", "repeat_penalty", "max_output_tokens", "reasoning", "context_length", "store"),
    "previous_response_id",
}
_LOAD_KEYS = {
    *("model", "context_length", "eval_batch_size", "flash_attention", "num_experts"),
    *("offload_kv_cache_to_gpu", "echo_load_config"),
}
NONE_LOADED = (
    "No models loaded. Please load a model in the developer page or use the 'lms load' command."
)


def on_disk(key: str, **changes: Any) -> dict[str, Any]:
    """A model of the list that is not loaded."""
    return {**LMSTUDIO_MODEL, "key": key, "loaded_instances": [], **changes}


def wrong(message: str, error_type: str = "invalid_request", status: int = 400, **more: Any) -> Any:
    """An error as the v1 routes send it."""
    body = {"error": {"message": message, "type": error_type, **more}}
    return web.json_response(body, status=status)


class _Live(Route):
    """A route whose content is the state of a stand-in, and not a test's own."""


@dataclass
class LMStudio:
    """Gives `server` the routes of an LM Studio; a second one replaces the first.

    `answers_any`: with a model loaded, every name is answered by it (bug 619). `downloads` are the
    statuses that the next download goes through, one with each look.
    """

    server: FakeServer
    models: list[dict[str, Any]] = field(
        default_factory=lambda: [dict(LMSTUDIO_MODEL), dict(LMSTUDIO_EMBEDDING)]
    )
    version: str = "0.4"
    jit: bool = True
    answers_any: bool = False
    takes_parallel: bool = True
    memory_bytes: int = 10**12
    downloads: Sequence[Mapping[str, Any]] = ()

    def __post_init__(self) -> None:
        server = self.server
        self._own_paths = [
            path
            for path in (V0, V1)
            if isinstance(server.routes.get(path), _Live)
            or server.routes.get(path) is server.profile.routes[path]
        ]
        server.formats[NATIVE] = NativeFormat()
        server.chat_rules |= {CHAT: self._chat, NATIVE: self._native_chat}
        server.handlers |= {
            ("POST", f"{V1}/load"): self._load,
            ("POST", f"{V1}/unload"): self._unload,
            ("POST", f"{V1}/download"): self._download,
        }
        self._publish()

    def unload_all(self) -> None:
        for model in self.models:
            model["loaded_instances"] = []
        self._publish()

    def load(self, key: str, context_length: int | None = None, **config: Any) -> dict[str, Any]:
        """A new instance of a model, as `lms load` makes it."""
        model = next(model for model in self.models if model["key"] == key)
        number = len(model["loaded_instances"]) + 1
        instance = {
            "id": key if number == 1 else f"{key}:{number}",
            "config": {"context_length": context_length or JIT_CONTEXT, "parallel": 4, **config},
        }
        model["loaded_instances"] = [*model["loaded_instances"], instance]
        self._publish()
        return instance

    @property
    def instances(self) -> dict[str, dict[str, Any]]:
        """The config of each instance, by its id."""
        return {
            instance["id"]: instance["config"]
            for model in self.models
            for instance in model["loaded_instances"]
        }

    def _publish(self) -> None:
        """The state as the routes show it."""
        old = [_v0(model) for model in self.models]
        lists: dict[str, Any] = {V0: {"data": old, "object": "list"}, V1: {"models": self.models}}
        for path in self._own_paths:
            is_missing = path == V1 and self.version == "0.3"
            content = self._missing("GET", path) if is_missing else lists[path]
            self.server.routes[path] = _Live(content=content)

    def _missing(self, method: str, path: str) -> dict[str, str]:
        return {"error": f"Unexpected endpoint or method. ({method} {path})"}

    def _found(self, name: str) -> dict[str, Any] | None:
        key = name.partition("@")[0]
        for model in self.models:
            if key in (model["key"], f"{model['publisher']}/{model['key']}"):
                return model
        return None

    def _chat(self, call: Call, scripted: Callable[[Call], Reply]) -> Reply:
        form = call.body.get("response_format", {"type": "text"})
        if form["type"] not in ("json_schema", "text"):
            return failure(400, {"error": "'response_format.type' must be 'json_schema' or 'text'"})
        return self._answered(call, scripted)

    def _native_chat(self, call: Call, scripted: Callable[[Call], Reply]) -> Reply:
        if self.version == "0.3":
            return Reply(body=self._missing("POST", NATIVE))
        if refusal := self._refusal(call.body):
            return failure(400, {"error": refusal})
        return self._answered(call, scripted)

    def _refusal(self, body: Mapping[str, Any]) -> dict[str, Any] | None:
        if unknown := body.keys() - _CHAT_KEYS:
            keys = ", ".join(f"'{key}'" for key in sorted(unknown))
            return {"message": f"Unrecognized key(s) in object: {keys}", "type": "invalid_request"}
        items = body["input"] if isinstance(body["input"], list) else []
        if any(item["type"] not in ("text", "image") for item in items):
            message = "Invalid discriminator value. Expected 'text' | 'image'"
            return {"message": message, "type": "invalid_request", "code": "invalid_union"}
        model = self._found(body["model"]) or {}
        reasoning = model.get("capabilities", {}).get("reasoning", {}).get("allowed_options", [])
        if "reasoning" in body and body["reasoning"] not in reasoning:
            message = f"Model '{body['model']}' does not support reasoning configuration."
            return {"message": message, "type": "invalid_request", "param": "reasoning"}
        return None

    def _answered(self, call: Call, scripted: Callable[[Call], Reply]) -> Reply:
        """The next reply, from the instance that answers; or why none does."""
        name, model = call.body["model"], self._found(call.body["model"])
        loaded = list(self.instances)
        if name in loaded:
            instance = name
        elif model is not None and model["loaded_instances"]:
            instance = model["loaded_instances"][0]["id"]
        elif self.answers_any and loaded:
            instance = loaded[0]
        elif model is not None and self.jit:
            instance = self.load(model["key"])["id"]
        else:
            error = {"message": NONE_LOADED, "type": "invalid_request_error", "param": "model"}
            return failure(404, {"error": {**error, "code": None}})
        reply = scripted(call)
        return replace(reply, model=reply.model or instance)

    async def _load(self, _: FakeServer, __: web.Request, call: Call) -> web.Response:
        if self.version == "0.3":
            return web.json_response(self._missing("POST", call.path))
        unknown = call.body.keys() - _LOAD_KEYS - ({"parallel"} if self.takes_parallel else set())
        if unknown:
            return wrong(f"Unrecognized key(s) in object: '{unknown.pop()}'")
        model = self._found(call.body["model"])
        if model is None:
            name = call.body["model"]
            return wrong(f"Model '{name}' not found", "model_not_found", 404, param="model")
        used = sum(m["size_bytes"] * len(m["loaded_instances"]) for m in self.models)
        if used + model["size_bytes"] > self.memory_bytes:
            message = (
                f'Failed to load model "{model["key"]}". Error: Model loading aborted due to '
                "insufficient system resources. Overloading the system will likely cause a freeze"
            )
            return web.json_response({"error": {"message": message}}, status=404)
        context = min(call.body.get("context_length", JIT_CONTEXT), model["max_context_length"])
        instance = self.load(model["key"], context, parallel=call.body.get("parallel", 4))
        answer = {"type": model["type"], "instance_id": instance["id"], "status": "loaded"}
        echo = {"load_config": instance["config"]} if call.body.get("echo_load_config") else {}
        return web.json_response({**answer, "load_time_seconds": 9.099, **echo})

    async def _unload(self, _: FakeServer, __: web.Request, call: Call) -> web.Response:
        if self.version == "0.3":
            return web.json_response(self._missing("POST", call.path))
        name = call.body["instance_id"]
        for model in self.models:
            left = [one for one in model["loaded_instances"] if one["id"] != name]
            if len(left) < len(model["loaded_instances"]):
                model["loaded_instances"] = left
                self._publish()
                return web.json_response({"instance_id": name})
        return wrong(f"Model '{name}' is not loaded", "model_not_found", 404)

    async def _download(self, server: FakeServer, _: web.Request, call: Call) -> web.Response:
        if self.version == "0.3":
            return web.json_response(self._missing("POST", call.path))
        if self._found(call.body["model"]) is not None:
            return web.json_response({"status": "already_downloaded", "total_size_bytes": 700})
        identifier, steps = f"job#{len(server.calls)}", iter(self.downloads)
        first = {"job_id": identifier, **next(steps)}

        async def look(_: FakeServer, __: web.Request, ___: Call) -> web.Response:
            step = next(steps, None)
            if step is None:
                return wrong(f"Job '{identifier}' not found", "job_not_found", 404)
            return web.json_response({"job_id": identifier, **step})

        server.handlers["GET", f"{V1}/download/status/{identifier}"] = look
        return web.json_response(first)


class NativeFormat:
    """`POST /api/v1/chat`."""

    content_type = "text/event-stream"
    streams_by_default = False
    ping = b": ping\n\n"
    end = b""

    def events(self, reply: Reply, call: Call) -> Iterable[bytes]:
        yield _event("chat.start", model_instance_id=reply.model)
        if "model_load_time_seconds" in reply.extra:
            yield _event("model_load.start", model_instance_id=reply.model)
            yield _event("model_load.progress", model_instance_id=reply.model, progress=0.5)
            yield _event("model_load.end", load_time_seconds=reply.extra["model_load_time_seconds"])
        for progress in ("start", "progress", "end"):
            yield _event(f"prompt_processing.{progress}", progress=0.5)
        for kind, text in (("reasoning", reply.reasoning), ("message", reply.text or "")):
            if text:
                yield _event(f"{kind}.start")
                yield from (_event(f"{kind}.delta", content=word) for word in words(text))
                yield _event(f"{kind}.end")
        if reply.has_end_marker:
            yield _event("chat.end", result=self.whole(reply, call))

    def whole(self, reply: Reply, call: Call) -> dict[str, Any]:
        """Items of unknown types are to be passed over."""
        items = [("reasoning", reply.reasoning), ("message", reply.text or "")]
        output = [{"type": kind, "content": text} for kind, text in items if text]
        stats = {
            "input_tokens": 24,
            "total_output_tokens": len(f"{reply.reasoning} {reply.text}".split()),
            "reasoning_output_tokens": len(reply.reasoning.split()),
            "tokens_per_second": 51.4,
            "time_to_first_token_seconds": 0.111,
        }
        return {
            "model_instance_id": reply.model,
            "output": [*output, {"type": "invalid_tool_call", "reason": "x", "metadata": {}}],
            "stats": {**stats, **(reply.usage or {}), **reply.extra},
        }

    def error(self, error: Any) -> bytes:
        return _event("error", error=error) + _event("chat.end", result={"output": []})


def _event(event_type: str, **fields: Any) -> bytes:
    return sse({"type": event_type, **fields}, event_type)


def _v0(model: Mapping[str, Any]) -> dict[str, Any]:
    """A model in the form of version 0.3."""
    instances = model["loaded_instances"]
    entry = {
        "id": model["key"],
        "object": "model",
        "type": {"embedding": "embeddings"}.get(model["type"], model["type"]),
        "quantization": model["quantization"]["name"],
        "compatibility_type": model["format"],
        "state": "loaded" if instances else "not-loaded",
        "max_context_length": model["max_context_length"],
    }
    if instances:
        entry["loaded_context_length"] = instances[0]["config"]["context_length"]
    return entry
