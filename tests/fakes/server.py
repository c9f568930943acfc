"""One stand-in for every engine behind HTTP. It can misbehave on demand.

    async with FakeServer("lmstudio", script=[answer("Hello"), html()]) as server:
        engine = OpenAICompatibleEngine("lm", server.settings())
        ...
        assert server.chats[0].body["model"] == "tiny-1b"

`script` is a list (one reply per chat call; the last one stays) or a function of the request.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from aiohttp import web

from rung.config.settings import EngineSettings, Secret
from tests.fakes import anthropic
from tests.fakes.formats import Call, ChatFormat, OpenAIFormat
from tests.fakes.llamacpp import LlamaServer
from tests.fakes.lmstudio import LMStudio
from tests.fakes.ollama import Ollama
from tests.fakes.profiles import MODEL, PROFILES, Route
from tests.fakes.replies import Reply, answer, failure, html, tool_call
from tests.fakes.vllm import Vllm

__all__ = ["MODEL", "Call", "FakeServer", "Reply", "answer", "failure", "html", "tool_call"]


Handler = Callable[["FakeServer", web.Request, Call], Awaitable[web.StreamResponse]]
Script = Sequence[Reply | str] | Callable[[Call], Reply | str]
# What a server's state makes of a chat call; it takes the scripted reply where it gets that far.
ChatRule = Callable[[Call, Callable[[Call], Reply]], Reply]


# What a kind adds to every stand-in of its own: its chat formats, its handlers that keep state.
INSTALL: dict[str, Callable[[FakeServer], object]] = {
    "anthropic": anthropic.install,
    "vllm": Vllm,
    "llamacpp": LlamaServer,
    "lmstudio": LMStudio,
    "ollama": Ollama,
}


class FakeServer:
    """A server on a free port of 127.0.0.1, for as long as the `async with` lasts."""

    def __init__(
        self,
        profile: str = "openai",
        script: Script = (),
        *,
        api_key: str = "",
        routes: Mapping[str, Route] | None = None,
    ) -> None:
        self.kind = profile
        self.profile = PROFILES[profile]
        self.script: Script = script
        self.api_key = api_key
        self.calls: list[Call] = []
        self.routes = {**self.profile.routes, **(routes or {})}
        # Where chats are posted, and how they look there. An engine's own routes are added by its
        # module of this folder, with handlers for those that keep state (load, unload, pull).
        self.formats: dict[str, ChatFormat] = {
            "/v1/chat/completions": OpenAIFormat(self.profile.reasoning_field)
        }
        self.handlers: dict[tuple[str, str], Handler] = {}
        self.chat_rules: dict[str, ChatRule] = {}
        self.public_paths: set[str] = set()
        self.key_header = "Authorization"
        self.page_limit = 1000
        self.port = 0
        self.most_at_once = 0
        self._running = 0
        self._answered = 0
        self._runner: web.AppRunner | None = None
        install = INSTALL.get(profile)
        if install is not None:
            install(self)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def chats(self) -> list[Call]:
        """The chat calls, in the order of their arrival."""
        return [call for call in self.calls if call.path in self.formats]

    def settings(self, **changes: Any) -> EngineSettings:
        """Settings that reach this server."""
        known: dict[str, Any] = {
            "kind": self.kind,
            "base_url": self.base_url,
            "api_key": Secret(
                self.api_key or ("test" if self.kind in ("openrouter", "anthropic") else "")
            ),
        }
        return EngineSettings(**{**known, **changes})

    async def __aenter__(self) -> FakeServer:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        assert site._server is not None
        self.port = site._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Goes away, as a crashed engine does; `__aenter__` brings it back on the same port."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        call = Call(request.method, request.path, dict(request.headers), query=dict(request.query))
        self.calls.append(call)
        is_chat = request.path in self.formats
        if is_chat or (request.can_read_body and request.content_type == "application/json"):
            call.body = await request.json()
        if not self._is_allowed(request):
            return web.json_response(self.profile.unauthorized, status=401)
        handler = self.handlers.get((request.method, request.path))
        if handler is not None:
            try:
                return await handler(self, request, call)
            except (asyncio.CancelledError, ConnectionError):
                call.is_dropped.set()
                raise
            finally:
                call.is_over.set()
        if not is_chat:
            return _fixed(self.routes.get(request.path, self.profile.unknown))
        return await self.chat(request, call)

    async def chat(self, request: web.Request, call: Call) -> web.StreamResponse:
        """The next reply of the script."""
        self._running += 1
        self.most_at_once = max(self.most_at_once, self._running)
        try:
            rule = self.chat_rules.get(request.path)
            reply = rule(call, self._next_reply) if rule else self._next_reply(call)
            return await self._chat(request, call, reply, self.formats[request.path])
        except (asyncio.CancelledError, ConnectionError):
            call.is_dropped.set()
            raise
        finally:
            self._running -= 1
            call.is_over.set()

    def _is_allowed(self, request: web.Request) -> bool:
        needs_key = bool(self.api_key) and request.path not in self.public_paths
        is_bearer = self.key_header == "Authorization"
        key = f"Bearer {self.api_key}" if is_bearer else self.api_key
        return not needs_key or request.headers.get(self.key_header) == key

    def _next_reply(self, call: Call) -> Reply:
        if callable(self.script):
            reply = self.script(call)
        elif self.script:
            reply = self.script[min(self._answered, len(self.script) - 1)]
        else:
            reply = answer("Hello from the stand-in.")
        self._answered += 1
        return answer(reply) if isinstance(reply, str) else reply

    async def _chat(
        self, request: web.Request, call: Call, reply: Reply, form: ChatFormat
    ) -> web.StreamResponse:
        await asyncio.sleep(reply.first_after_s)
        if reply.status != 200 or reply.body is not None:
            return _raw(reply)
        if not (reply.is_streamed and call.body.get("stream", form.streams_by_default)):
            return web.json_response(form.whole(reply, call))
        response = web.StreamResponse(headers={"Content-Type": form.content_type})
        response.headers.update(reply.headers)
        await response.prepare(request)
        pinging = asyncio.create_task(_ping(response, reply.ping_every_s, form.ping))
        try:
            await self._stream(request, response, call, reply, form)
        finally:
            pinging.cancel()
            with suppress(asyncio.CancelledError, ConnectionError):
                await pinging
        return response

    async def _stream(
        self,
        request: web.Request,
        response: web.StreamResponse,
        call: Call,
        reply: Reply,
        form: ChatFormat,
    ) -> None:
        events = reply.raw_events or tuple(form.events(reply, call))
        for number, event in enumerate(events):
            if reply.stall_after == number:
                await asyncio.Event().wait()
            if reply.drop_after == number:
                assert request.transport is not None
                request.transport.abort()
                return
            if reply.error_after == number:
                await response.write(form.error(reply.error))
                return
            await response.write(event)
            await asyncio.sleep(reply.between_s)
        if reply.has_end_marker and not reply.raw_events:
            await response.write(form.end)


async def _ping(response: web.StreamResponse, every_s: float, ping: bytes) -> None:
    while every_s > 0:
        await asyncio.sleep(every_s)
        await response.write(ping)


def _fixed(route: Route) -> web.Response:
    if isinstance(route.content, str):
        return web.Response(text=route.content, status=route.status)
    return web.json_response(route.content, status=route.status)


def _raw(reply: Reply) -> web.Response:
    if isinstance(reply.body, bytes | str):
        body = reply.body.encode() if isinstance(reply.body, str) else reply.body
    else:
        body = json.dumps(reply.body).encode()
    headers = {"Content-Type": reply.content_type or "application/json", **reply.headers}
    return web.Response(body=body, status=reply.status, headers=headers)
