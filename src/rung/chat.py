"""The types that all folders speak: messages, requests, chunks, completions.

They are frozen values. A request carries everything an engine may be asked for, and a completion
everything that an engine may answer, so that nothing is lost on the way through.
"""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import msgspec

Role = Literal["system", "user", "assistant", "tool"]
Locality = Literal["local", "lan", "cloud"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "error", "unknown"]
JsonObject = dict[str, Any]


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """One call that a model wants made. `arguments` is the raw JSON text, as the model wrote it."""

    id: str
    name: str
    arguments: str


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A function that the model may call; `parameters` is a JSON Schema of an object."""

    name: str
    description: str = ""
    parameters: JsonObject = {}


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One turn of a conversation. `images` are data URLs; only user turns may have them."""

    role: Role
    content: str = ""
    images: tuple[str, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


class Cancellation:
    """A switch that stops a call from outside: `cancel()` ends it with kind `cancelled`.

    Cancelling the asyncio task that awaits the call does the same; this is for callers that hold
    no task, such as an HTTP handler that ends another request's work.
    """

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def cancel(self) -> None:
        self._event.set()

    @property
    def is_cancelled(self) -> bool:
        return self._event.is_set()

    async def wait(self) -> None:
        await self._event.wait()


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine is asked for. `model` is the engine's own id, without the engine's name.

    `schema` is the caller's original JSON Schema; each engine compiles it into what it enforces.
    With `may_refuse` the model may say instead of an object why it has none: kind `refused`.
    `timeout_s` bounds the whole call; `think=None` leaves reasoning to the model's default.
    `context_tokens` is the window that the model is to be served with, where the engine lets a
    request say so (Ollama); others get theirs when they load.
    """

    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: str | None = None
    schema: JsonObject | None = None
    may_refuse: bool = False
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    think: bool | None = None
    context_tokens: int | None = None
    timeout_s: float | None = None
    cancel: Cancellation | None = None


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens, as the engine counted them; `None` where it did not say.

    `tokens_in` includes `tokens_cached`, read from the provider's cache, and `tokens_cache_write`,
    written into it; `tokens_cache_write_1h` is the part of those that it keeps for an hour.
    `tokens_out` includes `tokens_reasoning`. `cost_usd` is the engine's own figure, no estimate.
    """

    tokens_in: int | None = None
    tokens_cached: int | None = None
    tokens_cache_write: int | None = None
    tokens_cache_write_1h: int | None = None
    tokens_out: int | None = None
    tokens_reasoning: int | None = None
    cost_usd: float | None = None


class Timings(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds, and generated tokens per second; `None` where it was not measured."""

    queue_ms: float | None = None
    load_ms: float | None = None
    first_token_ms: float | None = None
    total_ms: float = 0.0
    tokens_per_s: float | None = None


Flag = Literal[
    "prompt_truncated",  # the engine read less of the prompt than it was sent
    "served_other_model",  # the engine says that another model answered
    "schema_not_enforced",  # the engine was asked to enforce the schema and did not
    "tool_choice_not_enforced",  # a tool was demanded, and the engine could only suggest it
    "thinking_not_switched",  # thinking was to be on or off, and the engine cannot do that
    "endpoint_not_used",  # the configured endpoint cannot carry this request; another one did
]


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer. `repairs` lists what Rung had to mend; empty means nothing.

    `flags` says where the answer is not quite what was asked for, and could not be mended.
    `model` is what was asked for, `served_model` what the engine says answered, `provider` who ran
    it, where the engine is a broker that says so.
    """

    text: str
    engine: str
    model: str
    served_model: str | None = None
    provider: str | None = None
    locality: Locality = "local"
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    parsed: Any = None
    finish_reason: FinishReason = "unknown"
    usage: Usage = Usage()
    timings: Timings = Timings()
    repairs: tuple[str, ...] = ()
    flags: tuple[Flag, ...] = ()


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of an answer. The last chunk of a stream, and only it, carries the `completion`.

    With a schema, `partial` is all of the object or list that is certain so far, and `step` names a
    further call that begins, as in `repairs`. A step may begin the object anew: the completion's
    `parsed` is what counts.
    """

    text: str = ""
    reasoning: str = ""
    partial: Any = None
    step: str = ""
    completion: Completion | None = None


Capability = Literal["tools", "vision", "thinking", "embedding"]


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A model as its engine lists it. `None` means that the engine does not say.

    `context_tokens` is the window that a call gets now: the one it is loaded with, else the one it
    would be loaded with. `max_context_tokens` is what it was trained on. `memory_bytes` is what it
    takes while it is loaded. Prices are the engine's own, in USD per million tokens. `names` are
    what else the engine certainly means it by, in lower case.
    """

    id: str
    names: frozenset[str] = frozenset()
    context_tokens: int | None = None
    max_context_tokens: int | None = None
    size_bytes: int | None = None
    memory_bytes: int | None = None
    parameters: float | None = None
    quantization: str | None = None
    is_loaded: bool | None = None
    is_chat: bool = True
    capabilities: frozenset[Capability] | None = None
    usd_per_mtok_in: float | None = None
    usd_per_mtok_out: float | None = None
    usd_per_mtok_cache_read: float | None = None
    usd_per_mtok_cache_write: float | None = None


class LoadOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a model is to be loaded; `None` leaves it to the engine. A hashable value.

    `context_tokens` is the window of one slot. A model that is loaded with other options than a
    caller wants is loaded anew.
    """

    context_tokens: int | None = None
    slots: int | None = None
    kv_type: Literal["f16", "q8_0", "q4_0"] | None = None
    gpu_layers: int | None = None
    is_embedding: bool = False


class LoadedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model in an engine's memory. `instance` is the engine's own name for what it loaded.

    `memory_bytes` is all that it takes, `vram_bytes` the part of it in a GPU, `private_bytes` the
    part that the system could not take back: without mapped files. `None`: not told.
    """

    model: str
    instance: str = ""
    context_tokens: int | None = None
    slots: int | None = None
    memory_bytes: int | None = None
    vram_bytes: int | None = None
    private_bytes: int | None = None
    load_ms: float | None = None


class DownloadProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far an engine's own download has come; `total_bytes` is `None` until it is known."""

    done_bytes: int
    total_bytes: int | None
    status: str = ""


class EmbedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Texts to turn into vectors by the engine's `model`."""

    model: str
    inputs: tuple[str, ...]
    timeout_s: float | None = None


class Embeddings(msgspec.Struct, frozen=True, kw_only=True):
    """One vector per input, in their order, all of the same length."""

    vectors: tuple[tuple[float, ...], ...]
    engine: str
    model: str
    served_model: str | None = None
    usage: Usage = Usage()
    total_ms: float = 0.0


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """One level of health; `ok` is `None` where it was not looked at."""

    ok: bool | None = None
    latency_ms: float | None = None
    error: str | None = None


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Four levels: the engine answers, lists the model, has it loaded, and a token came out.

    `tunnel` is the connection to an engine that is reached over SSH; absent for all others.
    """

    reachable: Level
    listed: Level = Level()
    loaded: Level = Level()
    probed: Level = Level()
    tunnel: Level | None = None
