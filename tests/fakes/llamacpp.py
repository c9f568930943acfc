"""What a llama-server answers besides chat, with one model and in router mode."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.fakes.formats import Call, sse

if TYPE_CHECKING:
    from tests.fakes.server import FakeServer

_CHAT = "/v1/chat/completions"
_PART_BYTES = 1000


class LlamaServer:
    """Gives `server` the template and the tokenizer of a llama-server: one token for each word."""

    def __init__(self, server: FakeServer) -> None:
        server.public_paths |= {"/health", "/v1/health"}
        server.handlers |= {
            ("POST", "/apply-template"): self._apply_template,
            ("POST", "/tokenize"): self._tokenize,
            ("GET", "/models"): self._models,
        }

    async def _apply_template(self, _: FakeServer, __: web.Request, call: Call) -> web.Response:
        lines = [f"{message['role']} {message['content']}" for message in call.body["messages"]]
        lines += [json.dumps(tool) for tool in call.body.get("tools", [])]
        return web.json_response({"prompt": " ".join([*lines, "assistant"])})

    async def _tokenize(self, _: FakeServer, __: web.Request, call: Call) -> web.Response:
        return web.json_response({"tokens": list(range(len(call.body["content"].split())))})

    async def _models(self, server: FakeServer, __: web.Request, ___: Call) -> web.Response:
        return web.json_response(server.routes["/v1/models"].content)


@dataclass
class _Model:
    state: str = "unloaded"
    exit_code: int = 0
    steps_left: int = 0
    parts: int = 0
    used_at: int = 0


class Router:
    """Makes `server` a llama-server in router mode, with `models` in its cache.

    A load takes `steps` looks at the list, a download as many, each of which brings 1,000 bytes.
    `broken` models end their process with exit code 1 while they load; the download of a `lost`
    one fails on its way. `max_loaded` is --models-max: the one that was used longest ago goes.
    """

    def __init__(
        self,
        server: FakeServer,
        models: Iterable[str],
        *,
        steps: int = 2,
        broken: Iterable[str] = (),
        lost: Iterable[str] = (),
        max_loaded: int = 4,
        has_events: bool = True,
        is_stuck: bool = False,
    ) -> None:
        self.models = {name: _Model() for name in models}
        self.steps = steps
        self.broken = set(broken)
        self.lost = set(lost)
        self.max_loaded = max_loaded
        self.has_events = has_events
        self.is_stuck = is_stuck
        self.orders: list[tuple[str, str]] = []
        self._listeners: list[asyncio.Queue[dict[str, Any]]] = []
        self._uses = 0
        single = LlamaServer(server)
        server.handlers |= {
            ("GET", "/props"): self._props,
            ("GET", "/models"): self._list,
            ("GET", "/v1/models"): self._list,
            ("GET", "/models/sse"): self._events,
            ("POST", "/models"): self._download,
            ("POST", "/models/load"): self._load,
            ("POST", "/models/unload"): self._unload,
            ("POST", _CHAT): self._chat,
            ("POST", "/apply-template"): self._served(single._apply_template),
            ("POST", "/tokenize"): self._served(single._tokenize),
        }

    @property
    def loaded(self) -> set[str]:
        return {name for name, model in self.models.items() if model.state == "loaded"}

    def state(self, name: str) -> str:
        return self.models[name].state

    def _served(self, handler: Any) -> Any:
        async def checked(server: FakeServer, request: web.Request, call: Call) -> Any:
            refusal = self._refusal(str(call.body.get("model", "")), request)
            return refusal or await handler(server, request, call)

        return checked

    async def _chat(self, server: FakeServer, request: web.Request, call: Call) -> Any:
        name = str(call.body.get("model", ""))
        refusal = self._refusal(name, request)
        if refusal is not None:
            return refusal
        self._uses += 1
        self.models[name].used_at = self._uses
        return await server.chat(request, call)

    def _refusal(self, name: str, request: web.Request) -> web.Response | None:
        """As a router answers for a model that it does not run. It loads what it may."""
        model = self.models.get(name)
        if model is None:
            return _error(400, f"model '{name}' not found", "invalid_request_error")
        if model.state == "loaded":
            return None
        if request.query.get("autoload") == "false":
            return _error(400, "model is not loaded", "invalid_request_error")
        self._order("autoload", name)
        model.state = "loaded"
        return None

    async def _props(self, _: FakeServer, request: web.Request, __: Call) -> web.Response:
        name = request.query.get("model", "")
        if not name:
            settings = {"params": {}, "n_ctx": 0}
            props = {"role": "router", "models_autoload": True, "build_info": "b0-unknown"}
            return web.json_response({**props, "default_generation_settings": settings})
        refusal = self._refusal(name, request)
        settings = {"params": {}, "n_ctx": 2048}
        props = {"default_generation_settings": settings, "total_slots": 3}
        return refusal or web.json_response(props)

    async def _list(self, _: FakeServer, __: web.Request, ___: Call) -> web.Response:
        for name, model in list(self.models.items()):
            self._advance(name, model)
        entries = [_entry(name, model) for name, model in self.models.items()]
        return web.json_response({"object": "list", "data": entries})

    def _advance(self, name: str, model: _Model) -> None:
        if model.state not in ("loading", "downloading") or self.is_stuck:
            return
        model.steps_left -= 1
        if model.state == "loading":
            share = 1 - model.steps_left / self.steps
            progress = {"stages": ["text_model"], "current": "text_model", "value": share}
            self._tell(name, "model_status", {"status": "loading", "progress": progress})
            if model.steps_left == 0:
                is_broken = name in self.broken
                model.state, model.exit_code = ("unloaded", 1) if is_broken else ("loaded", 0)
                self._tell(name, "model_status", {"status": model.state})
            return
        model.parts += 1
        progress = _progress(name, model, self.steps)
        self._tell(name, "download_progress", {"progress": progress})
        if name in self.lost:
            del self.models[name]
            self._tell(name, "download_failed", {})
        elif model.steps_left == 0:
            model.state = "unloaded"
            self._tell(name, "download_finished", {})

    async def _load(self, _: FakeServer, __: web.Request, call: Call) -> web.Response:
        name = call.body["model"]
        model = self.models.get(name)
        if model is None:
            return _error(404, "model is not found", "not_found_error")
        if model.state in ("loading", "loaded"):
            return _error(400, "model is already running", "invalid_request_error")
        self._order("load", name)
        while len(self.loaded) >= self.max_loaded:
            oldest = min(self.loaded, key=lambda other: self.models[other].used_at)
            self.models[oldest].state = "unloaded"
        model.state, model.steps_left, model.exit_code = "loading", self.steps, 0
        return web.json_response({"success": True})

    async def _unload(self, _: FakeServer, __: web.Request, call: Call) -> web.Response:
        name = call.body["model"]
        model = self.models.get(name)
        if model is None or model.state == "unloaded":
            return _error(400, "model is not running", "invalid_request_error")
        self._order("unload", name)
        if model.state == "downloading":
            del self.models[name]
        else:
            model.state = "unloaded"
        return web.json_response({"success": True})

    async def _download(self, _: FakeServer, __: web.Request, call: Call) -> web.Response:
        name = call.body["model"]
        if "/" not in name:
            return _error(
                400, "model validation failed, unable to download", "invalid_request_error"
            )
        if name in self.models:
            return _error(400, f"model '{name}' already exists", "invalid_request_error")
        self._order("download", name)
        self.models[name] = _Model(state="downloading", steps_left=self.steps)
        return web.json_response({"success": True})

    async def _events(self, _: FakeServer, request: web.Request, __: Call) -> web.StreamResponse:
        if not self.has_events:
            return _error(404, "File Not Found", "not_found_error")
        told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._listeners.append(told)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        while True:
            await response.write(sse(await told.get()))

    def _tell(self, model: str, event: str, data: dict[str, Any]) -> None:
        for listener in self._listeners:
            listener.put_nowait({"model": model, "event": event, "data": data})

    def _order(self, order: str, model: str) -> None:
        self.orders.append((order, model))


def _progress(name: str, model: _Model, steps: int) -> dict[str, Any]:
    url = f"https://huggingface.co/{name}/file.gguf"
    return {url: {"done": model.parts * _PART_BYTES, "total": steps * _PART_BYTES}}


def _entry(name: str, model: _Model) -> dict[str, Any]:
    status: dict[str, Any] = {"value": model.state, "args": ["llama-server", "--port", "0"]}
    if model.exit_code:
        status |= {"failed": True, "exit_code": model.exit_code}
    if model.state == "downloading" and model.parts:
        status["progress"] = _progress(name, model, model.parts + model.steps_left)
    return {
        "id": name,
        "aliases": [f"{name}-alias"],
        "object": "model",
        "owned_by": "llamacpp",
        "status": status,
        "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
    }


def _error(status: int, message: str, error_type: str) -> web.Response:
    error = {"code": status, "message": message, "type": error_type}
    return web.json_response({"error": error}, status=status)
