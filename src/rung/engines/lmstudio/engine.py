"""LM Studio: chat in OpenAI's form, models listed, loaded and downloaded by its own REST API.

Its own chat route is used where `endpoint = "/api/v1/chat"` asks for it; see `chat`.
https://lmstudio.ai/docs/developer/rest
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from functools import partial
from urllib.parse import quote

import msgspec

from rung.chat import (
    ChatRequest,
    Completion,
    DownloadProgress,
    JsonObject,
    LoadedModel,
    LoadOptions,
)
from rung.config.settings import EngineSettings
from rung.engines.deadline import Deadline
from rung.engines.failure import Origin, refuses
from rung.engines.fields import as_number, as_object, as_text
from rung.engines.health import HEALTH_TIMEOUT_S
from rung.engines.lmstudio import chat as lmstudio_chat
from rung.engines.lmstudio.download import IS_THERE, is_full, progress_of
from rung.engines.lmstudio.models import (
    Entry,
    find_entry,
    read_config,
    read_entries,
    read_v0_entries,
)
from rung.engines.openai_compatible import CHAT_ROUTE, OpenAICompatibleEngine
from rung.engines.polling import Stall
from rung.engines.profiles import Dialect
from rung.engines.wire import Encoded, Wire
from rung.errors import EngineError

LOAD_TIMEOUT_S = 1800.0
_MODELS = "/api/v1/models"
_MODELS_V0 = "/api/v0/models"
_DOWNLOAD = f"{_MODELS}/download"
_REST_TIMEOUT_S = 30.0
_LISTING = "LM Studio was asked for its models"


class LMStudioEngine(OpenAICompatibleEngine):
    """LM Studio 0.4, and 0.3 for chat and lists. Rung does not rely on its just-in-time loading.

    With one model loaded, LM Studio may answer any name with that one (bug 619), so the name in
    each answer is compared with the one that was asked for, by LM Studio's own list.
    """

    can_load = True
    can_download = True

    def __init__(self, name: str, settings: EngineSettings) -> None:
        super().__init__(name, settings)
        self.poll_s = 1.0  # between two looks at a download
        self._is_native = settings.endpoint.strip("/") == lmstudio_chat.ROUTE.strip("/")
        self._takes_parallel = True
        self._entries: list[Entry] = []

    def _wire(self, request: ChatRequest) -> Wire:
        finish = partial(_finished, request)
        if not self._is_native:
            return replace(super()._wire(request), finish=finish)
        if not lmstudio_chat.can_carry(request):
            wire = replace(super()._wire(request), route=CHAT_ROUTE, finish=finish)
            return replace(wire, encode=self._encode_elsewhere)
        return Wire(
            route=lmstudio_chat.ROUTE,
            encode=self._encode_native,
            reader=partial(lmstudio_chat.ChatBody, max_tokens=request.max_tokens),
            finish=finish,
        )

    def _encode_native(self, request: ChatRequest, origin: Origin) -> Encoded:
        entry = find_entry(self._entries, request.model)
        allowed = entry.reasoning if entry is not None else ()
        reasoning = lmstudio_chat.reasoning_option(request.think, allowed)
        return lmstudio_chat.encode(request, origin, reasoning)

    def _encode_elsewhere(self, request: ChatRequest, origin: Origin) -> Encoded:
        return replace(self._encode(request, origin), flags=("endpoint_not_used",))

    async def _prepared(
        self, request: ChatRequest, origin: Origin, deadline: Deadline
    ) -> ChatRequest:
        """The list tells what the native route may be asked, and what enforces a schema.

        It is read once for each model.
        """
        is_known = find_entry(self._entries, request.model) is not None
        if self._is_native and lmstudio_chat.can_carry(request) and not is_known:
            await deadline.wait(self._list(origin), _LISTING)
        elif request.schema is not None and not is_known:
            await deadline.wait(self._learn_formats(origin), _LISTING)
        return request

    async def _learn_formats(self, origin: Origin) -> None:
        """The list of any version. What none tells is taken to be GGUF: the call itself goes on,
        and its answer is held against the schema in any case."""
        for route, read in ((_MODELS, read_entries), (_MODELS_V0, read_v0_entries)):
            try:
                answer = await self._connection.ask("GET", route, None, origin, HEALTH_TIMEOUT_S)
            except EngineError as error:
                if error.kind == "bad_request":
                    continue  # LM Studio 0.3 does not know the first of them
                return
            self._entries = read(answer)
            return

    def _dialect(self, request: ChatRequest) -> Dialect:
        entry = find_entry(self._entries, request.model)
        dialect = super()._dialect(request)
        if entry is None or entry.is_gguf:
            return dialect
        return replace(dialect, schema_target="outlines")

    async def _check_served(self, served: str, origin: Origin, deadline: Deadline) -> None:
        if origin.model is None or self._is_same(origin.model, served):
            return
        try:
            await deadline.wait(self._list(origin), _LISTING)
        except EngineError:
            return  # it cannot be told; names that look different are flagged in the completion
        if self._is_same(origin.model, served) is False:
            raise origin.error(
                "model_not_loaded",
                f"LM Studio answered with {served!r}, which it has loaded, instead of "
                f"{origin.model!r} (its bug 619); load that with `lms load` or `rung models load`",
            )

    def _is_same(self, asked: str, served: str) -> bool | None:
        """Whether two names are of one model, by the last list; `None` where it does not tell."""
        one, other = find_entry(self._entries, asked), find_entry(self._entries, served)
        return None if one is None or other is None else one.key == other.key

    async def _list(self, origin: Origin) -> list[Entry]:
        """LM Studio's list, fresh. Raises `EngineError`, `bad_request` where 0.3 answers."""
        try:
            answer = await self._connection.ask("GET", _MODELS, None, origin, HEALTH_TIMEOUT_S)
        except EngineError as error:
            if error.kind != "bad_request":
                raise
            raise origin.error(
                "bad_request",
                f"this LM Studio does not answer {_MODELS}, as its version 0.4 does; update it, "
                "or load models with `lms load` and leave `endpoint` out of rung.toml",
                status=error.status,
            ) from error
        self._entries = read_entries(answer)
        return self._entries

    async def load(
        self,
        model: str,
        options: LoadOptions,
        on_progress: Callable[[float], None] | None = None,
    ) -> LoadedModel:
        """As `Engine.load`; LM Studio does not tell how far a load has come."""
        origin = self._origin(model)
        for name in ("kv_type", "gpu_layers"):
            if getattr(options, name) is not None:
                raise origin.error(
                    "bad_request",
                    f"LM Studio takes {name} only from its own settings of the model; leave it out",
                )
        entry = find_entry(await self._list(origin), model)
        if not self._takes_parallel:
            options = msgspec.structs.replace(options, slots=None)
        if entry is not None:
            for instance, loaded in zip(entry.instances, entry.loaded(), strict=True):
                if instance.suits(options, entry.max_context_tokens):
                    return loaded
            await self._unload(entry, origin)
        return await self._load(model, entry, options, origin)

    async def _load(
        self, model: str, entry: Entry | None, options: LoadOptions, origin: Origin
    ) -> LoadedModel:
        wanted = {"context_length": options.context_tokens, "parallel": options.slots}
        body: JsonObject = {
            "model": model,
            "echo_load_config": True,
            **{name: value for name, value in wanted.items() if value is not None},
        }
        try:
            answer = await self._connection.ask(
                "POST", f"{_MODELS}/load", body, origin, LOAD_TIMEOUT_S
            )
        except EngineError as error:
            # Not documented, and a version that does not know it refuses it.
            if not ("parallel" in body and refuses(error, "parallel")):
                raise
            self._takes_parallel = False
            options = msgspec.structs.replace(options, slots=None)
            return await self._load(model, entry, options, origin)
        identifier = as_text(answer.get("instance_id")) or model
        instance = read_config(as_object(answer.get("load_config")), identifier)
        seconds = as_number(answer.get("load_time_seconds"))
        return LoadedModel(
            model=entry.key if entry is not None else model,
            instance=identifier,
            context_tokens=instance.context_tokens,
            slots=instance.slots,
            memory_bytes=entry.size_bytes if entry is not None else None,
            load_ms=None if seconds is None else seconds * 1000,
        )

    async def unload(self, model: str) -> None:
        """As `Engine.unload`, for every instance of the model."""
        origin = self._origin(model)
        entry = find_entry(await self._list(origin), model)
        if entry is not None:
            await self._unload(entry, origin)

    async def _unload(self, entry: Entry, origin: Origin) -> None:
        for instance in entry.instances:
            body = {"instance_id": instance.id}
            try:
                await self._connection.ask(
                    "POST", f"{_MODELS}/unload", body, origin, _REST_TIMEOUT_S
                )
            except EngineError as error:
                # Gone by itself: its time was up, or another program was faster.
                if error.kind not in ("model_missing", "model_not_loaded"):
                    raise

    async def loaded(self) -> Sequence[LoadedModel]:
        """As `Engine.loaded`, from any version that says what is loaded."""
        origin = self._origin()
        try:
            entries = await self._list(origin)
        except EngineError as error:
            if error.kind != "bad_request":
                raise
            models = await self.list_models()
            if any(model.is_loaded is None for model in models):
                raise
            return [
                LoadedModel(model=one.id, instance=one.id, context_tokens=one.context_tokens)
                for one in models
                if one.is_loaded
            ]
        return [loaded for entry in entries for loaded in entry.loaded()]

    async def download(self, model: str) -> AsyncGenerator[DownloadProgress, None]:
        """LM Studio's download of `KEY`, `KEY@QUANTISATION` or a `https://huggingface.co/…` page.

        LM Studio has no route to stop or pause it: closing the stream only ends the watch. In its
        own window a person can do both.
        """
        origin = self._origin(model)
        name, _, quantization = model.partition("@")
        body = {"model": name, "quantization": quantization} if quantization else {"model": name}
        job = await self._connection.ask("POST", _DOWNLOAD, body, origin, _REST_TIMEOUT_S)
        identifier = as_text(job.get("job_id"))
        progress: DownloadProgress | None = None
        stall = Stall(self.settings.stall_timeout_s)
        while True:
            status = as_text(job.get("status"))
            if status == "failed" or not (identifier or status in IS_THERE):
                raise origin.error(
                    "server_error",
                    f"LM Studio gave its download up (status {status or 'unknown'}); its Downloads "
                    "window says why",
                )
            before, progress = progress, progress_of(job, status, progress)
            if progress != before:
                yield progress
            if status in IS_THERE:
                return
            # Once all bytes are there LM Studio checks them, for as long as that takes.
            is_moving = stall.has_moved(progress.done_bytes) or is_full(progress)
            if stall.is_over and not is_moving:
                raise origin.error(
                    "timeout",
                    f"LM Studio's download stands still (status {status}); go on with it in its "
                    "Downloads window, or ask again later",
                )
            await asyncio.sleep(self.poll_s)
            route = f"{_DOWNLOAD}/status/{quote(identifier, safe='')}"
            job = await self._connection.ask("GET", route, None, origin, _REST_TIMEOUT_S)


def _finished(request: ChatRequest, completion: Completion) -> Completion:
    """With a flag if there was to be reasoning and there was none; the rest is flagged for all."""
    if not request.think or completion.reasoning or completion.usage.tokens_reasoning:
        return completion
    flags = (*completion.flags, "thinking_not_switched")
    return msgspec.structs.replace(completion, flags=flags)
