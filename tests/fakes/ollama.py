"""Ollama: models on disk, in memory and in the cloud, pulls that resume, versions old and new."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import web

from rung.engines.ollama.models import canonical
from tests.fakes.formats import Call
from tests.fakes.ollama_lines import OllamaFormat
from tests.fakes.ollama_pull import Pulls, pull
from tests.fakes.profiles import MODEL, Route
from tests.fakes.replies import Reply, failure

if TYPE_CHECKING:
    from tests.fakes.server import FakeServer

_Answer = Callable[["Ollama", web.Request, Call], Awaitable[web.StreamResponse]]
_BUSY = "server busy, please try again.  maximum pending requests exceeded"


@dataclasses.dataclass
class OnDisk:
    """A model that was pulled. `remote_host` makes it one of the cloud, whatever its name."""

    size: int = 700_000_000
    capabilities: tuple[str, ...] = ("completion", "tools", "thinking")
    max_context: int = 32_768
    num_ctx: int | None = None
    remote_host: str = ""
    parameter_size: str = "1.2B"
    quantization: str = "Q4_0"


@dataclasses.dataclass
class InMemory:
    """A model as it was loaded. `keep_alive` is the last one that a request asked for."""

    num_ctx: int
    size: int = 900_000_000
    size_vram: int = 0
    keep_alive: Any = None
    launch: Mapping[str, Any] = dataclasses.field(default_factory=dict[str, Any])


def _models() -> dict[str, OnDisk]:
    """One for chat, one of the cloud, one for embeddings."""
    return {
        f"{MODEL}:latest": OnDisk(),
        "giant:cloud": OnDisk(
            size=384,
            capabilities=("completion",),
            remote_host="https://ollama.com:443",
            parameter_size="480B",
            quantization="",
        ),
        "minilm:latest": OnDisk(
            size=45_000_000,
            capabilities=("embedding",),
            max_context=512,
            parameter_size="23M",
            quantization="F16",
        ),
    }


def _loaded() -> dict[str, InMemory]:
    launch = {"num_ctx": 4096, "num_gpu": None, "shift": False}
    return {f"{MODEL}:latest": InMemory(num_ctx=4096, launch=launch)}


@dataclasses.dataclass
class Ollama:
    """Gives `server` the routes and the state of an Ollama; a second one replaces the first.

    An unloaded model is in memory for `lingers` more looks at `ps`.
    """

    server: dataclasses.InitVar[FakeServer]
    version: str = "0.33.0"
    models: dict[str, OnDisk] = dataclasses.field(default_factory=_models)
    loaded: dict[str, InMemory] = dataclasses.field(default_factory=_loaded)
    default_ctx: int = 4096
    loads: int = 0
    load_s: float = 0.0
    is_full: bool = False
    lingers: float = 0
    leaving: dict[str, float] = dataclasses.field(default_factory=dict[str, float])
    pulls: Pulls = dataclasses.field(default_factory=Pulls)

    def __post_init__(self, server: FakeServer) -> None:
        server.formats["/api/chat"] = OllamaFormat()
        server.chat_rules["/api/chat"] = self.chat
        for route, answer in _ROUTES.items():
            server.handlers[route] = self._handler(answer)

    def _handler(self, answer: _Answer) -> Any:
        async def handle(
            server: FakeServer, request: web.Request, call: Call
        ) -> web.StreamResponse:
            # A fixed answer that a test has put on the route comes first.
            put = server.routes.get(call.path)
            return _fixed(put) if put else await answer(self, request, call)

        return handle

    @property
    def number(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.version.split("."))

    def chat(self, call: Call, scripted: Callable[[Call], Reply]) -> Reply:
        """What a chat call gets, and what it does to the models in memory."""
        body, name = call.body, canonical(call.body["model"])
        refusal = self._refusal(body, name)
        if refusal is not None:
            return refusal
        if not body["messages"] and body.get("keep_alive") == 0:
            self.unload(name)
            return _whole(body, "unload")
        is_loading = self.load(name, body)
        if not body["messages"]:
            return dataclasses.replace(
                _whole(body, "load"), first_after_s=self.load_s if is_loading else 0.0
            )
        tokens = sum(len(message["content"].split()) for message in body["messages"])
        window = self.loaded[name].num_ctx
        if tokens > window:
            if self.number >= (0, 12, 6) and body.get("truncate") is False:
                return self._overflow(tokens, window)
            tokens = window
        reply = scripted(call)
        usage = {"prompt_tokens": tokens, "completion_tokens": len((reply.text or "").split())}
        return dataclasses.replace(
            reply,
            usage=usage if reply.usage is None else reply.usage,
            extra={**_DURATIONS, **reply.extra},
        )

    def load(self, name: str, body: Mapping[str, Any]) -> bool:
        """Whether it had to be loaded, or loaded anew, for this request."""
        options = body.get("options") or {}
        launch = {
            "num_ctx": options.get("num_ctx") or self.models[name].num_ctx or self.default_ctx,
            "num_gpu": options.get("num_gpu"),
            "shift": body.get("shift", True),
        }
        now = self.loaded.get(name)
        is_loading = now is None or now.launch != launch
        if is_loading:
            self.loads += 1
            num_ctx = min(launch["num_ctx"], self.models[name].max_context)
            self.loaded[name] = InMemory(num_ctx=num_ctx, launch=launch)
            self.leaving.pop(name, None)
        if "keep_alive" in body:
            self.loaded[name].keep_alive = body["keep_alive"]
        return is_loading

    def unload(self, name: str) -> None:
        if name in self.loaded and self.lingers:
            self.leaving[name] = self.lingers
        else:
            self.loaded.pop(name, None)

    def _refusal(self, body: Mapping[str, Any], name: str) -> Reply | None:
        model = self.models.get(name)
        if self.is_full:
            return failure(503, {"error": _BUSY})
        if model is None:
            return failure(404, {"error": f"model '{body['model']}' not found"})
        wanted = ["tools"] * bool(body.get("tools")) + ["thinking"] * (body.get("think") is True)
        if body["messages"]:
            wanted = ["completion", *wanted]
        for capability in wanted:
            if capability not in model.capabilities:
                what = "chat" if capability == "completion" else capability
                return failure(400, {"error": f'"{body["model"]}" does not support {what}'})
        return None

    def _overflow(self, tokens: int, window: int) -> Reply:
        if self.number < (0, 30):
            return failure(400, {"error": "the input length exceeds the context length"})
        inner = {
            "code": 400,
            "message": f"request ({tokens} tokens) exceeds the available context size "
            f"({window} tokens), try increasing it",
            "type": "exceed_context_size_error",
            "n_prompt_tokens": tokens,
            "n_ctx": window,
        }
        return failure(400, {"error": json.dumps({"error": inner})})


_DURATIONS = {
    "total_duration": 600_000,
    "load_duration": 200_000,
    "prompt_eval_duration": 100_000,
    "eval_duration": 300_000,
}


def _whole(body: Mapping[str, Any], reason: str) -> Reply:
    done = {"model": body["model"], "done": True, "done_reason": reason}
    return Reply(body=done | {"message": {"role": "assistant", "content": ""}})


async def _tags(ollama: Ollama, request: web.Request, call: Call) -> web.StreamResponse:
    return web.json_response({"models": [_tag(*item) for item in ollama.models.items()]})


def _tag(name: str, model: OnDisk) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": name,
        "model": name,
        "size": model.size,
        "digest": "abc",
        "details": {
            "parameter_size": model.parameter_size,
            "quantization_level": model.quantization,
        },
        "capabilities": list(model.capabilities),
    }
    if model.remote_host:
        entry |= {"remote_model": name.partition(":")[0], "remote_host": model.remote_host}
    return entry


async def _ps(ollama: Ollama, request: web.Request, call: Call) -> web.StreamResponse:
    for name in list(ollama.leaving):
        ollama.leaving[name] -= 1
        if ollama.leaving[name] < 0:
            del ollama.leaving[name], ollama.loaded[name]
    models = [
        {
            "name": name,
            "model": name,
            "size": model.size,
            "size_vram": model.size_vram,
            "digest": "abc",
            "expires_at": "2318-01-01T00:00:00Z"
            if model.keep_alive == -1
            else "2026-11-21T10:05:00Z",
            "context_length": model.num_ctx,
        }
        for name, model in ollama.loaded.items()
    ]
    return web.json_response({"models": models})


async def _show(ollama: Ollama, request: web.Request, call: Call) -> web.StreamResponse:
    name = canonical(call.body["model"])
    model = ollama.models.get(name)
    if model is None:
        return _missing(call)
    shown: dict[str, Any] = {
        "details": {"family": "llama"},
        "model_info": {
            "general.architecture": "llama",
            "general.parameter_count": 1_200_000_000,
            "llama.context_length": model.max_context,
            "llama.embedding_length": 2048,
        },
        "capabilities": list(model.capabilities),
    }
    if model.num_ctx:
        shown["parameters"] = f'stop    "<|im_end|>"\nnum_ctx    {model.num_ctx}'
    if model.remote_host:
        shown |= {"remote_model": name, "remote_host": model.remote_host}
    return web.json_response(shown)


async def _version(ollama: Ollama, request: web.Request, call: Call) -> web.StreamResponse:
    return web.json_response({"version": ollama.version})


async def _delete(ollama: Ollama, request: web.Request, call: Call) -> web.StreamResponse:
    name = canonical(call.body["model"])
    if ollama.models.pop(name, None) is None:
        return _missing(call)
    ollama.unload(name)
    return web.Response()


async def _embed(ollama: Ollama, request: web.Request, call: Call) -> web.StreamResponse:
    name, inputs = canonical(call.body["model"]), call.body["input"]
    if name not in ollama.models:
        return _missing(call)
    ollama.load(name, call.body)
    longest = max((len(text.split()) for text in inputs), default=0)
    if longest > ollama.loaded[name].num_ctx and call.body.get("truncate") is False:
        text = "the input length exceeds the context length"
        return web.json_response({"error": text}, status=400)
    return web.json_response(
        {
            "model": call.body["model"],
            "embeddings": [[float(len(text)), 0.5, -1.0] for text in inputs],
            "prompt_eval_count": sum(len(text.split()) for text in inputs),
        }
    )


async def _pull(ollama: Ollama, request: web.Request, call: Call) -> web.StreamResponse:
    name = canonical(call.body["model"])
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    if await pull(ollama.pulls, name, request, response):
        ollama.models[name] = OnDisk(size=sum(ollama.pulls.registry[name].values()))
    return response


def _fixed(route: Route) -> web.Response:
    if isinstance(route.content, str):
        return web.Response(text=route.content, status=route.status)
    return web.json_response(route.content, status=route.status)


def _missing(call: Call) -> web.Response:
    return web.json_response({"error": f"model '{call.body['model']}' not found"}, status=404)


_ROUTES: dict[tuple[str, str], _Answer] = {
    ("GET", "/api/version"): _version,
    ("GET", "/api/tags"): _tags,
    ("GET", "/api/ps"): _ps,
    ("POST", "/api/show"): _show,
    ("POST", "/api/pull"): _pull,
    ("POST", "/api/embed"): _embed,
    ("DELETE", "/api/delete"): _delete,
}
