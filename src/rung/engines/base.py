"""What every engine is: a stream of chunks that ends in one completion, and its health."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import ClassVar, Self

from rung.chat import (
    ChatRequest,
    Chunk,
    Completion,
    DownloadProgress,
    Embeddings,
    EmbedRequest,
    Health,
    LoadedModel,
    LoadOptions,
    Locality,
    ModelInfo,
)
from rung.errors import EngineError


class Engine(ABC):
    """Something that runs models.

    An engine never routes, never writes to the ledger and never reads the environment. `name` is
    the user's name for it, `kind` its protocol, `tool` its name in the ledger. The flags say what
    its kind can do; a method whose flag is false raises `EngineError` of kind `bad_request`.
    """

    name: str
    kind: str
    tool: str
    locality: Locality

    enforces_schema: ClassVar[bool] = False
    has_tools: ClassVar[bool] = False
    has_images: ClassVar[bool] = False
    can_load: ClassVar[bool] = False
    obeys_options: ClassVar[bool] = True  # its `load` can be told window, slots and KV type
    can_download: ClassVar[bool] = False
    can_embed: ClassVar[bool] = False
    can_count: ClassVar[bool] = False
    repeats_itself: ClassVar[bool] = False  # a call whose connection broke, once
    continues_answers: ClassVar[bool] = False  # that end the conversation, within the schema

    @property
    def opening_s(self) -> float:
        """How long the way to the engine may still take to open, before it can answer anything."""
        return 0.0

    @abstractmethod
    def stream(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """The answer as it comes; the last chunk, and only it, carries the `Completion`.

        Closing the stream, cancelling the task, and `request.cancel` all stop the model at once.
        The text of the chunks may differ from `Completion.text` in one case: a model that closes a
        `<think>` it never opened. The completion is then the one to believe.

        Raises `EngineError` for whatever goes wrong with the engine, and `SchemaError` for a schema
        that is not one.
        """

    @abstractmethod
    async def health(self, model: str | None = None, *, probe: bool = False) -> Health:
        """Health of the engine and of `model`. Only a probe may make it load anything."""

    @abstractmethod
    async def list_models(self) -> list[ModelInfo]:
        """The models that this engine can serve. Raises `EngineError`."""

    async def version(self) -> str | None:
        """What the engine calls its own version; `None` where it does not say. Raises nothing."""
        return None

    @abstractmethod
    async def close(self) -> None:
        """Give everything back: connections, processes. May be called more than once."""

    async def load(
        self,
        model: str,
        options: LoadOptions,
        on_progress: Callable[[float], None] | None = None,
    ) -> LoadedModel:
        """Bring `model` into memory, and return when it can answer. Raises `EngineError`.

        `on_progress` gets the share that is done, 0 to 1, where the engine tells. A model that is
        loaded with the same options stays as it is. Nothing else is unloaded to make room.
        """
        raise self._cannot("load models", model)

    async def unload(self, model: str) -> None:
        """Take `model` out of memory; one that is not there is no error. Raises `EngineError`."""
        raise self._cannot("unload models", model)

    async def hand_back(self, model: str, idle_s: float) -> None:
        """Leave `model`, which was loaded here, to the engine: `idle_s` after its last use it goes.

        For an engine that would otherwise keep it for ever; any other does nothing. It is never
        loaded for this, and what this program did not load is left alone. Raises `EngineError`.
        """
        return

    async def loaded(self) -> Sequence[LoadedModel]:
        """What is in memory now, whoever loaded it. Raises `EngineError`."""
        raise self._cannot("tell what is loaded")

    def download(self, model: str) -> AsyncGenerator[DownloadProgress, None]:
        """The engine's own download of `model`, to its end. Raises `EngineError`.

        Where the engine can, closing the stream stops it, and asking again goes on from there.
        """
        raise self._cannot("download models", model)

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """The vectors of the inputs. Raises `EngineError`."""
        raise self._cannot("embed", request.model)

    async def count_tokens(self, request: ChatRequest) -> int | None:
        """How many tokens the engine would make of the prompt, with its template and tools.

        `None` where this model's cannot be counted now, for it is not loaded, or the engine does
        not tell; counting never loads a model. Raises `EngineError`.
        """
        return None

    def _cannot(self, what: str, model: str | None = None) -> EngineError:
        return EngineError(
            "bad_request", f"this kind of engine cannot {what}", engine=self.name, model=model
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def complete(self, request: ChatRequest) -> Completion:
        """The whole answer. Raises `EngineError`."""
        completion: Completion | None = None
        async with aclosing(self.stream(request)) as chunks:
            async for chunk in chunks:
                completion = chunk.completion or completion
        if completion is None:
            raise EngineError(
                "bad_output",
                "the stream ended without an answer",
                engine=self.name,
                model=request.model,
            )
        return completion
