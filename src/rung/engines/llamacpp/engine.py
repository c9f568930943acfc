"""llama-server with one model, or in router mode, where it loads, unloads and downloads many.

A request never makes a router load a model: that might evict another one that is answering
(llama.cpp issue 23668). So does nothing else here but `load`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from urllib.parse import quote

from msgspec.structs import replace as with_fields

from rung.chat import (
    ChatRequest,
    DownloadProgress,
    JsonObject,
    LoadedModel,
    LoadOptions,
    ModelInfo,
)
from rung.engines.connection import awaited
from rung.engines.deadline import Deadline
from rung.engines.failure import Origin
from rung.engines.fields import as_list, as_text
from rung.engines.health import HEALTH_TIMEOUT_S
from rung.engines.listings import Capacity, read_capacity
from rung.engines.llamacpp.router import Entry, RouterNews, Size, named, read_entries
from rung.engines.metered import MeteredEngine
from rung.engines.polling import POLL_S, Stall, until
from rung.engines.request import prompt_fields
from rung.engines.sse import EventParser, EventTooLongError
from rung.engines.think import without_old_thinking
from rung.engines.wire import Wire
from rung.errors import EngineError

_AS_IT_IS = "?autoload=false"
_LOAD_TIMEOUT_S = 1800.0
_UNLOAD_TIMEOUT_S = 60.0


class LlamaServerEngine(MeteredEngine):
    """A router loads a model with the options of its own preset, whatever is asked."""

    can_load = True
    obeys_options = False
    can_download = True
    can_count = True
    continues_answers = True

    def _wire(self, request: ChatRequest) -> Wire:
        wire = super()._wire(request)
        return replace(wire, route=wire.route + _AS_IT_IS)

    async def list_models(self) -> list[ModelInfo]:
        """The models; a router is asked for the window of each one that is loaded."""
        origin = self._origin()
        return await asyncio.gather(
            *(self._with_window(model, origin) for model in await super().list_models())
        )

    async def loaded(self) -> Sequence[LoadedModel]:
        origin = self._origin()
        entries = [entry for entry in await self._entries(origin) if entry.is_ready]
        return await asyncio.gather(*(self._loaded(entry, origin) for entry in entries))

    async def load(
        self,
        model: str,
        options: LoadOptions,
        on_progress: Callable[[float], None] | None = None,
    ) -> LoadedModel:
        """A load that is given up here goes on in the server."""
        origin = self._origin(model)
        entry = await self._known(model, origin)
        if entry.is_ready:
            return await self._loaded(entry, origin)
        deadline = Deadline(origin, _LOAD_TIMEOUT_S, None)
        try:
            async with self._news(entry.id, origin) as news:
                if not entry.is_running:
                    await self._start(entry, origin)

                async def is_ready() -> bool:
                    now = await self._known(model, origin)
                    if not now.is_running:
                        raise _load_error(now, origin)
                    share = now.share if news.share is None else news.share
                    if on_progress is not None and share is not None:
                        on_progress(share)
                    return now.is_ready

                await until(is_ready, deadline, "the model was loading")
            load_ms = deadline.elapsed_ms
            return with_fields(await self._loaded(entry, origin), load_ms=load_ms)
        finally:
            deadline.close()

    async def unload(self, model: str) -> None:
        origin = self._origin(model)
        entry = named(await self._entries(origin), model)
        if entry is None or not entry.is_running:
            return
        if not entry.is_router:
            raise _one_model_error(origin, "gives it up only by --sleep-idle-seconds")

        async def is_gone() -> bool:
            now = named(await self._entries(origin), model)
            return now is None or not now.is_running

        deadline = Deadline(origin, _UNLOAD_TIMEOUT_S, None)
        try:
            await self._order("/models/unload", entry.id, origin)
            await until(is_gone, deadline, "the model was being unloaded")
        finally:
            deadline.close()

    async def download(self, model: str) -> AsyncGenerator[DownloadProgress, None]:
        """`ORG/REPO:QUANT` of Hugging Face, into the router's own cache.

        Closing the stream cancels the download; asking again goes on from the bytes on disk.
        """
        origin = self._origin(model)
        entries = await self._entries(origin)
        entry = named(entries, model)
        if any(not other.is_router for other in entries):
            raise _one_model_error(origin, "downloads nothing")
        if entry is not None and not entry.is_downloading:
            return
        async with self._news(model, origin) as news:
            if entry is None:
                await self._begin_download(model, origin)
            is_over = False
            try:
                stall = Stall(self.settings.stall_timeout_s)
                while (size := await self._download_size(model, news, origin)) is not None:
                    if stall.has_moved(size.done_bytes):
                        yield DownloadProgress(
                            done_bytes=size.done_bytes, total_bytes=size.total_bytes
                        )
                    elif stall.is_over:
                        raise origin.error("timeout", "the download stands still; ask again later")
                    await asyncio.sleep(POLL_S)
                is_over = True
            finally:
                if not is_over:
                    # Who closes the stream does not ask why the router could not stop.
                    with suppress(EngineError):
                        await self._order("/models/unload", model, origin)

    async def count_tokens(self, request: ChatRequest) -> int | None:
        """Exact: the server's own template and tokenizer; what an image becomes is not told."""
        if any(message.images for message in request.messages):
            return None
        origin = self._origin(request.model)
        template = prompt_fields(without_old_thinking(request), self.profile.dialect)
        try:
            prompt = await self._count_step("/apply-template", template, origin)
            # As the server does it for a chat: the special tokens of the template are special.
            body: JsonObject = {
                "model": request.model,
                "content": as_text(prompt.get("prompt")),
                "add_special": True,
                "parse_special": True,
                "with_pieces": False,
            }
            answer = await self._count_step("/tokenize", body, origin)
        except EngineError as error:
            # A model that is not loaded, or a server without these routes, cannot count.
            if error.kind in ("model_not_loaded", "model_missing") or error.status in (404, 501):
                return None
            raise
        return len(as_list(answer.get("tokens"))) or None

    async def _count_step(self, route: str, body: JsonObject, origin: Origin) -> JsonObject:
        return await self._connection.ask("POST", route + _AS_IT_IS, body, origin, HEALTH_TIMEOUT_S)

    async def _entries(self, origin: Origin) -> list[Entry]:
        answer = await self._connection.ask("GET", "/models", None, origin, HEALTH_TIMEOUT_S)
        return read_entries(answer)

    async def _known(self, model: str, origin: Origin) -> Entry:
        entry = named(await self._entries(origin), model)
        if entry is None:
            raise origin.error(
                "model_missing",
                "this llama-server does not have it; `rung models list` shows what it has",
            )
        return entry

    async def _order(self, route: str, model: str, origin: Origin) -> None:
        """A command to the router, which answers at once and obeys later."""
        await self._connection.ask("POST", route, {"model": model}, origin, HEALTH_TIMEOUT_S)

    async def _start(self, entry: Entry, origin: Origin) -> None:
        if entry.is_downloading:
            raise origin.error("model_not_loaded", "the router is still downloading it")
        try:
            await self._order("/models/load", entry.id, origin)
        except EngineError:
            # Another caller may have been faster.
            if not (await self._known(entry.id, origin)).is_running:
                raise

    async def _begin_download(self, model: str, origin: Origin) -> None:
        try:
            await self._order("/models", model, origin)
        except EngineError as error:
            if error.status in (404, 405):
                raise _one_model_error(origin, "downloads nothing") from error
            raise

    async def _download_size(self, model: str, news: RouterNews, origin: Origin) -> Size | None:
        """How far the download has come; `None` once it is there. Raises `EngineError`."""
        if news.has_finished:
            return None
        entries = await self._entries(origin)
        entry = named(entries, model)
        if news.has_failed or (entry is None and not _has_variant(entries, model)):
            raise origin.error(
                "server_error",
                "the router gave the download up, and its log says why; asking again goes on",
            )
        if entry is None or not entry.is_downloading:
            return None
        return news.size or entry.size or Size(0, None)

    @asynccontextmanager
    async def _news(self, model: str, origin: Origin) -> AsyncGenerator[RouterNews]:
        """The router's events about `model`, as long as the `async with` lasts."""
        news = RouterNews(model)
        listener = asyncio.create_task(self._listen(news, origin))
        try:
            yield news
        finally:
            listener.cancel()
            await asyncio.wait([listener])

    async def _listen(self, news: RouterNews, origin: Origin) -> None:
        deadline = Deadline(origin, None, None)
        parser = EventParser()
        # Without events the list, which is asked all the time, tells the same a little later.
        with suppress(EngineError, EventTooLongError):
            response = await self._connection.listen("/models/sse", deadline)
            try:
                while piece := await awaited(
                    response.content.readany(), origin, deadline, "the router was listened to"
                ):
                    for event in parser.feed(piece):
                        news.take(event.data)
            finally:
                response.close()

    async def _loaded(self, entry: Entry, origin: Origin) -> LoadedModel:
        capacity = await self._capacity(entry.id if entry.is_router else "", origin)
        return LoadedModel(
            model=entry.id, context_tokens=capacity.context_tokens, slots=capacity.slots
        )

    async def _with_window(self, model: ModelInfo, origin: Origin) -> ModelInfo:
        if not model.is_loaded or model.context_tokens is not None:
            return model
        capacity = await self._capacity(model.id, origin)
        return with_fields(model, context_tokens=capacity.context_tokens)

    async def _capacity(self, model: str, origin: Origin) -> Capacity:
        query = f"?model={quote(model, safe='')}&autoload=false" if model else ""
        try:
            props = await self._connection.ask(
                "GET", f"/props{query}", None, origin, HEALTH_TIMEOUT_S
            )
        except EngineError:
            # It only adds detail: a server without the route still serves its models.
            return Capacity(None, None)
        return read_capacity(props)


def _load_error(entry: Entry, origin: Origin) -> EngineError:
    status = "" if entry.exit_code is None else f" with exit code {entry.exit_code}"
    return origin.error(
        "model_not_loaded",
        f"the router could not load it: its process ended{status}; the router's log says why "
        "(a damaged file, or no memory left, are usual)",
    )


def _one_model_error(origin: Origin, what: str) -> EngineError:
    return origin.error(
        "bad_request",
        f"a llama-server that was started with one model {what}; start it without -m, in router "
        "mode, for Rung to manage its models",
    )


def _has_variant(entries: Sequence[Entry], model: str) -> bool:
    """Whether the list has `model` with the quantisation that the router chose for it."""
    return any(entry.id.startswith(f"{model}:") for entry in entries)
