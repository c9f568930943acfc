"""What every engine is: a stream of chunks that ends in one completion, and its health."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import ClassVar, Self

from rung.chat import ChatRequest, Chunk, Completion, Health, Locality, ModelInfo
from rung.errors import EngineError


class Engine(ABC):
    """Something that runs models.

    An engine never routes, never writes to the ledger and never reads the environment. `name` is
    the user's name for it, `kind` its protocol, `tool` its name in the ledger.
    """

    name: str
    kind: str
    tool: str
    locality: Locality

    enforces_schema: ClassVar[bool] = False
    has_tools: ClassVar[bool] = False
    has_images: ClassVar[bool] = False
    can_load: ClassVar[bool] = False
    can_download: ClassVar[bool] = False
    can_embed: ClassVar[bool] = False

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

    @abstractmethod
    async def close(self) -> None:
        """Give everything back: connections, processes. May be called more than once."""

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
