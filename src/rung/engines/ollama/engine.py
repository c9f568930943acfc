"""Ollama by its own API: its OpenAI routes cannot set the window, and cut prompts in silence."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import NamedTuple, TypeVar

import msgspec
from msgspec.structs import replace

from rung.chat import (
    ChatRequest,
    Completion,
    DownloadProgress,
    Embeddings,
    EmbedRequest,
    Flag,
    JsonObject,
    LoadedModel,
    LoadOptions,
    ModelInfo,
)
from rung.config.settings import EngineSettings
from rung.engines.deadline import Deadline
from rung.engines.failure import Origin
from rung.engines.health import HEALTH_TIMEOUT_S
from rung.engines.http_engine import HttpEngine
from rung.engines.ollama import chat as ollama_chat
from rung.engines.ollama.api import OllamaApi
from rung.engines.ollama.chat import ChatBody, Measures, cloud_error
from rung.engines.ollama.embed import EMBED_ROUTE, embed, embed_body
from rung.engines.ollama.models import Facts, canonical, is_cloud_name, with_windows
from rung.engines.ollama.pull import pull
from rung.engines.ollama.window import counts_whole_prompts, fewest_tokens, is_truncated
from rung.engines.wire import Encoded, Wire, encoding
from rung.errors import EngineError

T = TypeVar("T")

LOAD_TIMEOUT_S = 900.0
UNLOAD_TIMEOUT_S = 60.0
_FOREVER = -1
_POLL_S = 0.05
_NOT_SHOWN = (
    "Ollama says that it has loaded the model, but `ollama ps` does not show it; another model may "
    "have taken its place"
)
_UNLOADING = "the model was being unloaded; another program may be using it (`ollama ps`)"


class _Held(NamedTuple):
    """A model that was loaded here. Any request with other options would load it anew.

    `route` and `body` are those of its load.
    """

    runner: JsonObject
    route: str
    body: JsonObject


class OllamaEngine(HttpEngine):
    """`POST /api/chat` and its sisters. `base_url` may end in `/v1` or not.

    A model of Ollama's cloud is refused, unless the engine itself is declared to be in the cloud.
    Slots and KV type are the server's own settings (`OLLAMA_NUM_PARALLEL`,
    `OLLAMA_KV_CACHE_TYPE`); what `LoadOptions` says of them is not sent.
    """

    enforces_schema = True
    has_tools = True
    has_images = True
    can_load = True
    can_download = True
    can_embed = True

    def __init__(self, name: str, settings: EngineSettings) -> None:
        super().__init__(name, settings)
        self._api = OllamaApi(self._connection, self._origin)
        self._held: dict[str, _Held] = {}

    async def _prepared(
        self, request: ChatRequest, origin: Origin, deadline: Deadline
    ) -> ChatRequest:
        """With the window that the model is to be served with, if anybody knows one."""
        self._refuse_cloud_name(request.model, origin)
        timeout_s = _at_most(HEALTH_TIMEOUT_S, deadline.remaining_s)
        # The version is wanted later, to judge what was counted.
        facts, window, _ = await asyncio.gather(
            _or(self._api.facts(request.model, timeout_s, request.cancel), Facts()),
            _or(self._window(request, timeout_s), None),
            _or(self._api.version(timeout_s, request.cancel), ""),
        )
        self._refuse_remote(facts, origin)
        return replace(request, context_tokens=facts.window(window))

    async def _window(self, request: ChatRequest, timeout_s: float) -> int | None:
        """What is asked for, else what the model has now: any other would load it anew."""
        name = canonical(request.model)
        wanted = request.context_tokens or self._runner_of(name).get("num_ctx")
        if wanted is not None:
            return wanted
        loaded = (await self._api.running(timeout_s, request.cancel)).get(name)
        return loaded.context_tokens if loaded else None

    def _wire(self, request: ChatRequest) -> Wire:
        measures = Measures()
        return Wire(
            route=ollama_chat.ROUTE,
            encode=self._encode,
            reader=partial(ChatBody, measures=measures, allows_remote=self.locality == "cloud"),
            finish=partial(self._finish, request, measures),
        )

    def _encode(self, request: ChatRequest, origin: Origin) -> Encoded:
        name, facts = canonical(request.model), self._api.known_facts(request.model) or Facts()
        runner, think = dict(self._runner_of(name)), facts.think(request.think)
        if request.context_tokens is not None:
            runner["num_ctx"] = request.context_tokens
        flags: tuple[Flag, ...] = ()
        if request.think is True and think is None:
            flags = ("thinking_not_switched",)
        with encoding(origin):
            body = ollama_chat.chat_body(
                request,
                origin,
                runner=runner,
                # Without it Ollama keeps a model as its user has set it.
                keep_alive=_FOREVER if name in self._held else None,
                think=think,
                schema_target=self.profile.dialect.schema_target,
            )
            return Encoded(body=msgspec.json.encode(body), flags=flags)

    def _finish(self, request: ChatRequest, seen: Measures, completion: Completion) -> Completion:
        """With Ollama's own times, and a flag for a prompt that it cannot have read to its end."""
        first_token_ms = seen.first_token_ms
        if first_token_ms is None:
            first_token_ms = completion.timings.first_token_ms
        flags = completion.flags
        if is_truncated(
            fewest=fewest_tokens(request.messages),
            tokens_in=seen.tokens_in,
            window=request.context_tokens,
            counts_whole=seen.tokens_cached is not None
            or counts_whole_prompts(self._api.known_version),
        ):
            flags = (*flags, "prompt_truncated")
        timings = replace(completion.timings, load_ms=seen.load_ms, first_token_ms=first_token_ms)
        return replace(completion, timings=timings, flags=flags)

    async def list_models(self) -> list[ModelInfo]:
        """As Ollama lists them, with the windows of those that were looked at already."""
        return [
            with_windows(model, self._api.known_facts(model.id) or Facts())
            for model in await super().list_models()
        ]

    async def load(
        self,
        model: str,
        options: LoadOptions,
        on_progress: Callable[[float], None] | None = None,
    ) -> LoadedModel:
        """The model stays until it is unloaded, or until Ollama itself needs the room.

        Ollama tells no progress. Without `context_tokens` a loaded model keeps its window.
        """
        origin, name = self._origin(model), canonical(model)
        self._refuse_cloud_name(model, origin)
        started_at = time.perf_counter()
        facts, running = await asyncio.gather(
            self._api.facts(model, HEALTH_TIMEOUT_S), self._api.running()
        )
        self._refuse_remote(facts, origin)
        runner = _runner(options, facts, running.get(name))
        if options.is_embedding or facts.only_embeds:
            route, body = EMBED_ROUTE, embed_body(model, (), runner, _FOREVER)
        else:
            route, body = ollama_chat.ROUTE, ollama_chat.load_body(model, runner, _FOREVER)
        await self._api.ask("POST", route, body, model=model, timeout_s=LOAD_TIMEOUT_S)
        loaded = (await self._api.running()).get(name)
        if loaded is None:
            raise origin.error("model_not_loaded", _NOT_SHOWN)
        self._held[name] = _Held(runner, route, body)
        return replace(
            loaded,
            model=model,
            context_tokens=loaded.context_tokens or runner.get("num_ctx"),
            load_ms=(time.perf_counter() - started_at) * 1000,
        )

    async def unload(self, model: str) -> None:
        """Returns when Ollama no longer lists the model as loaded; it first ends what it answers.

        Raises `EngineError` of kind `timeout` after `UNLOAD_TIMEOUT_S` seconds.
        """
        name, origin = canonical(model), self._origin(model)
        self._held.pop(name, None)
        if name not in await self._api.running():
            return
        body = ollama_chat.load_body(model, {}, 0)
        await self._api.ask("POST", ollama_chat.ROUTE, body, model=model)
        deadline = Deadline(origin, UNLOAD_TIMEOUT_S, None)
        while name in await self._api.running():
            await deadline.wait(asyncio.sleep(_POLL_S), _UNLOADING)

    async def hand_back(self, model: str, idle_s: float) -> None:
        """As `Engine.hand_back`: a load of Rung's has no end until another one is asked for."""
        name = canonical(model)
        held = self._held.pop(name, None)
        loaded = (await self._api.running()).get(name) if held is not None else None
        if held is None or loaded is None:
            return
        # A call may have made the window larger since.
        window = {"num_ctx": loaded.context_tokens} if loaded.context_tokens else {}
        options = {**held.runner, **window}
        body = {**held.body, "options": options, "keep_alive": math.ceil(idle_s)}
        await self._api.ask("POST", held.route, body, model=model)

    async def loaded(self) -> Sequence[LoadedModel]:
        """`model` is the name with its tag."""
        return list((await self._api.running()).values())

    async def download(self, model: str) -> AsyncGenerator[DownloadProgress, None]:
        """Ollama's own pull. Closing it stops the pull, and asking again goes on from there."""
        origin = self._origin(model)
        self._refuse_cloud_name(model, origin)
        self._api.forget(model)
        stall_timeout_s = self.settings.stall_timeout_s
        async with aclosing(pull(self._connection, model, origin, stall_timeout_s)) as steps:
            async for progress in steps:
                yield progress

    async def remove(self, model: str) -> None:
        """Delete `model` from the engine's disk. Raises `EngineError`: `model_missing`, …"""
        self._held.pop(canonical(model), None)
        self._api.forget(model)
        await self._api.ask("DELETE", "/api/delete", {"model": model}, model=model)

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """A text that is longer than the window is an error: Ollama would cut it in silence."""
        origin, name = self._origin(request.model), canonical(request.model)
        self._refuse_cloud_name(request.model, origin)
        timeout_s = self.settings.timeout_s if request.timeout_s is None else request.timeout_s
        asking_s = _at_most(HEALTH_TIMEOUT_S, timeout_s)
        facts = await _or(self._api.facts(request.model, asking_s), Facts())
        self._refuse_remote(facts, origin)
        return await embed(
            self._api,
            request,
            origin,
            runner=self._runner_of(name),
            keep_alive=_FOREVER if name in self._held else None,
            timeout_s=timeout_s,
        )

    def _runner_of(self, name: str) -> JsonObject:
        held = self._held.get(name)
        return held.runner if held is not None else {}

    def _refuse_cloud_name(self, model: str, origin: Origin) -> None:
        if is_cloud_name(model) and self.locality != "cloud":
            raise cloud_error(origin)

    def _refuse_remote(self, facts: Facts, origin: Origin) -> None:
        """A name may also hide that its model is in the cloud."""
        if facts.is_remote and self.locality != "cloud":
            raise cloud_error(origin)


def _runner(options: LoadOptions, facts: Facts, loaded: LoadedModel | None) -> JsonObject:
    """The options of a load, as Ollama names them."""
    window = options.context_tokens
    if window is None and loaded is not None:
        window = loaded.context_tokens
    wanted = {"num_ctx": facts.window(window), "num_gpu": options.gpu_layers}
    return {name: value for name, value in wanted.items() if value is not None}


def _at_most(limit_s: float, timeout_s: float | None) -> float:
    return limit_s if timeout_s is None else min(limit_s, timeout_s)


async def _or(work: Awaitable[T], default: T) -> T:
    """What is only good to know: the call that follows meets what ails the engine, and says so."""
    try:
        return await work
    except EngineError:
        return default
