"""The engines that speak the OpenAI API, as data: where they are, and how they differ.

From the engines' documentation and source, in the versions of November 2026.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from rung.chat import JsonObject
from rung.config.settings import EngineKind
from rung.engines.cloud_listings import read_anthropic, read_openrouter
from rung.engines.failure import is_html
from rung.engines.fields import as_list, as_object, as_text, decode
from rung.engines.listings import (
    Listing,
    read_llama_server,
    read_lmstudio_v0,
    read_lmstudio_v1,
    read_ollama,
    read_openai,
    read_vllm,
)


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """What differs in a request. The objects are laid over the body in their case."""

    schema_target: str = "generic"
    token_field: str = "max_tokens"  # noqa: S105
    think_on: Mapping[str, Any] = field(default_factory=dict[str, Any])
    think_off: Mapping[str, Any] = field(default_factory=dict[str, Any])
    when_constrained: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Reply(NamedTuple):
    """A whole response of a route that is asked for anything but an answer."""

    status: int
    body: bytes
    headers: Mapping[str, str] = MappingProxyType({})

    @property
    def json(self) -> JsonObject:
        return as_object(decode(self.body))


class Sign(NamedTuple):
    """A route, and whether what it answers is what this engine answers there."""

    route: str
    holds: Callable[[Reply], bool]


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One kind of engine. `signs` must all hold before a server is taken for this kind.

    `tool` is its name in the ledger; `advice` says how to start it. Routes are as in `Listing`.
    """

    kind: EngineKind
    title: str
    tool: str
    base_url: str
    advice: str
    liveness: tuple[Sign, ...]
    listings: tuple[Listing, ...]
    signs: tuple[Sign, ...] = ()
    version_route: str = ""
    needs_key: bool = False
    keeps_connections: bool = True
    key_header: str = "Authorization"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    dialect: Dialect = Dialect()


def is_healthy(reply: Reply) -> bool:
    """A success whose body is not an error in disguise: LM Studio answers 200 to any path."""
    return 200 <= reply.status < 300 and "error" not in reply.json and not is_html(reply.body)


def _needs_key(reply: Reply) -> bool:
    return reply.status in (401, 403)


def _speaks_api(reply: Reply) -> bool:
    """A list of models, or a JSON refusal of the key: either way the API is there."""
    return (is_healthy(reply) and "data" in reply.json) or (
        _needs_key(reply) and not is_html(reply.body)
    )


def _greets_as_lmstudio(reply: Reply) -> bool:
    return reply.status == 200 and reply.json.get("lmstudio") is True


def _lists_as_lmstudio(reply: Reply) -> bool:
    route_missing = "Unexpected endpoint" in as_text(reply.json.get("error"))
    return "models" in reply.json or route_missing or _needs_key(reply)


def _says_version(reply: Reply) -> bool:
    return is_healthy(reply) and bool(as_text(reply.json.get("version")))


def _greets_as_ollama(reply: Reply) -> bool:
    return reply.status == 200 and reply.body.startswith(b"Ollama is running")


def _lists_as_vllm(reply: Reply) -> bool:
    if _needs_key(reply):
        return reply.json.get("error") == "Unauthorized"
    models = [as_object(entry) for entry in as_list(reply.json.get("data"))]
    return any(model.get("owned_by") == "vllm" or "max_model_len" in model for model in models)


def _error_type(reply: Reply) -> str:
    return as_text(as_object(reply.json.get("error")).get("type"))


def _lives_as_llamacpp(reply: Reply) -> bool:
    return reply.json.get("status") == "ok" or _error_type(reply) == "unavailable_error"


def _describes_llamacpp(reply: Reply) -> bool:
    known = {"default_generation_settings", "build_info", "models_autoload"}
    return bool(known & reply.json.keys()) or _error_type(reply) in (
        "authentication_error",
        "unavailable_error",
    )


_OPENAI_LISTING = Listing(routes=("models",), read=read_openai)
_NO_THINKING = {"chat_template_kwargs": {"enable_thinking": False}}
_THINKING = {"chat_template_kwargs": {"enable_thinking": True}}
_LMSTUDIO_SIGNS = (
    Sign("/lmstudio-greeting", _greets_as_lmstudio),
    Sign("/api/v1/models", _lists_as_lmstudio),
)

PROFILES: Mapping[EngineKind, Profile] = {
    profile.kind: profile
    for profile in (
        Profile(
            kind="lmstudio",
            title="LM Studio",
            tool="lm_studio",
            base_url="http://127.0.0.1:1234/v1",
            advice="start its server in the Developer tab, or with `lms server start`",
            liveness=_LMSTUDIO_SIGNS,
            signs=_LMSTUDIO_SIGNS,
            listings=(
                Listing(routes=("/api/v1/models",), read=read_lmstudio_v1),
                Listing(routes=("/api/v0/models",), read=read_lmstudio_v0),
                _OPENAI_LISTING,
            ),
            # For GGUF models; Outlines enforces those of MLX, and the adapter tells them apart.
            dialect=Dialect(schema_target="llamacpp", think_on=_THINKING, think_off=_NO_THINKING),
        ),
        Profile(
            kind="ollama",
            title="Ollama",
            tool="ollama",
            base_url="http://127.0.0.1:11434/v1",
            advice="start it with `ollama serve`",
            liveness=(Sign("/api/version", _says_version),),
            signs=(Sign("/", _greets_as_ollama), Sign("/api/version", _says_version)),
            version_route="/api/version",
            listings=(Listing(routes=("/api/tags", "/api/ps"), read=read_ollama),),
            dialect=Dialect(schema_target="llamacpp"),
        ),
        Profile(
            kind="vllm",
            title="vLLM",
            tool="vllm",
            base_url="http://127.0.0.1:8000/v1",
            advice="it may still be loading its model; start it with `vllm serve MODEL`",
            liveness=(Sign("/health", is_healthy),),
            signs=(Sign("/version", _says_version), Sign("/v1/models", _lists_as_vllm)),
            version_route="/version",
            listings=(Listing(routes=("models", "/is_sleeping"), read=read_vllm),),
            dialect=Dialect(
                schema_target="vllm",
                token_field="max_completion_tokens",  # noqa: S106
                # Templates name the switch in two ways: Qwen and GLM one, Granite and DeepSeek the
                # other; each ignores what it does not know.
                think_on={"chat_template_kwargs": {"enable_thinking": True, "thinking": True}},
                think_off={"chat_template_kwargs": {"enable_thinking": False, "thinking": False}},
            ),
        ),
        Profile(
            kind="llamacpp",
            # It drops the connection after each streamed answer, without announcing that it will.
            keeps_connections=False,
            title="llama-server",
            tool="llama_server",
            base_url="http://127.0.0.1:8080/v1",
            advice="start it with `llama-server -m MODEL.gguf`",
            liveness=(Sign("/health", _lives_as_llamacpp),),
            signs=(Sign("/health", _lives_as_llamacpp), Sign("/props", _describes_llamacpp)),
            version_route="/props",
            listings=(Listing(routes=("models", "/props"), read=read_llama_server),),
            dialect=Dialect(
                schema_target="llamacpp",
                think_on=_THINKING,
                think_off={**_NO_THINKING, "reasoning_effort": "none"},
            ),
        ),
        Profile(
            kind="openrouter",
            title="OpenRouter",
            tool="openrouter",
            base_url="https://openrouter.ai/api/v1",
            advice="check the network connection",
            needs_key=True,
            liveness=(Sign("models", _speaks_api),),
            listings=(Listing(routes=("models",), read=read_openrouter),),
            dialect=Dialect(
                schema_target="openai",
                think_on={"reasoning": {"enabled": True}},
                think_off={"reasoning": {"enabled": False}},
                # Without it a provider behind OpenRouter may drop the schema or the tools.
                when_constrained={"provider": {"require_parameters": True}},
            ),
        ),
        Profile(
            kind="anthropic",
            title="Anthropic",
            tool="anthropic",
            base_url="https://api.anthropic.com/v1",
            advice="check the network connection",
            needs_key=True,
            key_header="x-api-key",
            headers={"anthropic-version": "2023-06-01"},
            liveness=(Sign("models", _speaks_api),),
            listings=(Listing(routes=("models?limit=1000",), read=read_anthropic),),
        ),
        Profile(
            kind="openai",
            title="OpenAI API",
            tool="openai",
            base_url="https://api.openai.com/v1",
            advice="check base_url and the network connection",
            liveness=(Sign("models", _speaks_api),),
            listings=(_OPENAI_LISTING,),
        ),
    )
}


# OpenAI itself takes only `max_completion_tokens` on its newer models, and its own subset of JSON
# Schema; the many servers that imitate it know `max_tokens`.
OPENAI_DIALECT = Dialect(schema_target="openai", token_field="max_completion_tokens")  # noqa: S106


def is_openai_itself(kind: EngineKind, base_url: str) -> bool:
    """Whether this is OpenAI's own server, not one of the many that imitate it."""
    address = base_url or PROFILES[kind].base_url
    return kind == "openai" and urlsplit(address).hostname == "api.openai.com"


def profile_for(kind: EngineKind, base_url: str) -> Profile:
    """The profile of an engine of `kind` at `base_url`."""
    profile = PROFILES[kind]
    if is_openai_itself(kind, base_url):
        return replace(profile, dialect=OPENAI_DIALECT, needs_key=True)
    return profile
