"""One way to chat over HTTP: where a request goes, how it is written, how the answer is read."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from rung.chat import ChatRequest, Completion, Flag, JsonObject
from rung.engines.failure import Origin


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """A request as it is sent. `flags` says what of it this wire could not carry."""

    body: bytes
    flags: tuple[Flag, ...] = ()


class Reader(Protocol):
    """The body of a 200 as events, each in the shape of an OpenAI chunk, which `Answer` reads.

    `is_done`: the end marker, or a whole answer, has come. Both methods raise `EngineError`.
    """

    @property
    def is_done(self) -> bool: ...

    def feed(self, piece: bytes) -> list[JsonObject]:
        """The events that `piece` completes."""
        ...

    def close(self) -> list[JsonObject]:
        """The events that were waiting for the end of the body."""
        ...


def _unchanged(completion: Completion) -> Completion:
    return completion


@dataclass(frozen=True, kw_only=True)
class Wire:
    """A route (see `Connection`), its encoder, and a reader for each answer.

    `finish` adds to the whole answer what only this wire can tell of it.
    """

    route: str
    encode: Callable[[ChatRequest, Origin], Encoded]
    reader: Callable[[Origin], Reader]
    finish: Callable[[Completion], Completion] = _unchanged


@contextmanager
def encoding(origin: Origin) -> Generator[None]:
    """Around the writing of JSON: what cannot be written is a `bad_request`."""
    try:
        yield
    except UnicodeEncodeError as error:
        raise origin.error(
            "bad_request", f"the prompt is not valid Unicode text: {error.reason}"
        ) from error
    except RecursionError as error:
        raise origin.error("bad_request", "a schema or tool is nested too deeply") from error
