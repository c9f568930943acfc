"""Whatever goes wrong with an HTTP engine as one `EngineError` whose kind tells what to do next.

The engines' own words are matched here and nowhere else; `_TEXTS` and `_BY_TYPE` are what they
document, and what they have been seen to say (LM Studio, Ollama, vLLM, llama-server, OpenRouter).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from rung.config.settings import Secret
from rung.engines.fields import as_number, as_object, as_text, decode, first_count
from rung.errors import EngineError, EngineErrorKind

EXCERPT_CHARS = 300

_BY_STATUS: dict[int, EngineErrorKind] = {
    401: "unauthorized",
    402: "over_budget",
    403: "unauthorized",
    408: "timeout",
    413: "context_overflow",
    429: "rate_limited",
    499: "cancelled",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}

_BY_TYPE: dict[str, EngineErrorKind] = {
    "exceed_context_size_error": "context_overflow",
    "context_length_exceeded": "context_overflow",
    "authentication_error": "unauthorized",
    "permission_error": "unauthorized",
    "not_supported_error": "bad_request",
    "not_implemented": "bad_request",
    "job_not_found": "bad_request",
    "NotImplementedError": "bad_request",
    "invalid_api_key": "unauthorized",
    "insufficient_quota": "over_budget",
    "billing_error": "over_budget",
    "model_not_found": "model_missing",
    "rate_limit_error": "rate_limited",
    "rate_limit_exceeded": "rate_limited",
    "overloaded_error": "overloaded",
    "timeout_error": "timeout",
    "content_policy_violation": "refused",
    "content_filter": "refused",
}

# Said of almost anything, so it decides only where neither text nor status does: in mid-stream.
_BY_VAGUE_TYPE: dict[str, EngineErrorKind] = {
    "invalid_request": "bad_request",
    "invalid_request_error": "bad_request",
}

# The first match wins. Matched before the status, because engines wrap these causes in any status.
_TEXTS: tuple[tuple[str, EngineErrorKind], ...] = (
    (
        r"insufficient system resources|out of memory|failed to allocate"
        r"|requires more (\w+ )?memory",
        "out_of_memory",
    ),
    (
        r"(maximum|available|model'?s) context (length|size|window)|prompt is too long"
        r"|context (length|window|size) (is )?exceed|(exceeds?|longer than) (the )?(\w+ )?context"
        r"|too large to process",
        "context_overflow",
    ),
    (r"loading model|model is loading", "model_not_loaded"),
    (
        r"no models? (is |are )?loaded|model is unloaded|failed to load model"
        r"|model\b.{0,120}\b(is not (loaded|running)|failed to load)",
        "model_not_loaded",
    ),
    (
        r"model\b.{0,120}\b(not found|does not exist|is not available)|is not a valid model"
        r"|no endpoints found",
        "model_missing",
    ),
    (r"manifest: file does not exist", "model_missing"),
    (r"maximum pending requests", "overloaded"),
    (r"^model: \S+$", "model_missing"),
    (r"credit balance is too low", "over_budget"),
    (r"flagged|moderation|content policy|guardrail", "refused"),
)
_BY_TEXT: list[tuple[re.Pattern[str], EngineErrorKind]] = [
    (re.compile(pattern, re.IGNORECASE), kind) for pattern, kind in _TEXTS
]

# llama-server says 503 while it loads, without a Retry-After.
_LOADING_RETRY_S = 1.0

_NO_ROUTE = re.compile(
    r"unexpected endpoint|file not found|page not found|no route|^not found$", re.IGNORECASE
)

_ADVICE: dict[EngineErrorKind, str] = {
    "unauthorized": "check the engine's api_key",
    "over_budget": "the account has no credit left; add some or choose another model",
    "rate_limited": "too many requests; wait, or choose another model",
    "overloaded": "the engine is busy; try again later",
    "model_missing": "`rung models list` shows what the engine has",
    "model_not_loaded": "load the model in the engine, or wait until it is loaded",
    "out_of_memory": "unload other models, or choose a smaller model or context",
    "context_overflow": "shorten the prompt, or choose a model with a larger context window",
}

_HTML = re.compile(rb"\s*(<!doctype html|<html|<head|<body)", re.IGNORECASE)
_TITLE = re.compile(rb"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_KEY = re.compile(r"\b(sk|pk|lm|key|or|hf)[-_][A-Za-z0-9*_-]{8,}|\bBearer\s+\S+", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Who is answering, for the message of an error.

    `advice` says how to start the engine, `usual_url` where its kind is found.
    """

    engine: str
    base_url: str
    model: str | None = None
    secret: Secret | None = None
    advice: str = ""
    usual_url: str = "http://HOST:PORT/v1"

    def error(
        self,
        kind: EngineErrorKind,
        message: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> EngineError:
        """An error of this engine; whatever `message` quotes is free of keys."""
        return EngineError(
            kind,
            self.masked(message),
            engine=self.engine,
            model=self.model,
            status=status,
            retry_after_s=retry_after_s,
        )

    def masked(self, text: str) -> str:
        """`text` without this engine's key and whatever else looks like one."""
        if self.secret:
            text = text.replace(str(self.secret), "********")
        return _KEY.sub("********", text)


def excerpt(body: bytes | str) -> str:
    """What may be shown of a body: one line, at most `EXCERPT_CHARS` long, never HTML."""
    raw = body.encode("utf-8", "replace") if isinstance(body, str) else body
    if _HTML.match(raw):
        title = _TITLE.search(raw)
        named = f" titled {_one_line(title[1])!r}" if title else ""
        return f"a web page{named}"
    return _one_line(raw) or "an empty body"


def _one_line(raw: bytes) -> str:
    text = raw[: 8 * EXCERPT_CHARS].decode("utf-8", "replace")
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= EXCERPT_CHARS else text[: EXCERPT_CHARS - 1] + "…"


def refuses(error: EngineError, field: str) -> bool:
    """Whether the engine turned a request down because of `field`, which it names."""
    return error.status in (400, 422) and error.kind == "bad_request" and field in error.message


def is_html(body: bytes) -> bool:
    return bool(_HTML.match(body))


def kind_of(status: int | None, error_type: str, message: str) -> EngineErrorKind:
    """The kind of an error that an engine reported; `status` is the HTTP or the body's code."""
    if error_type in _BY_TYPE:
        return _BY_TYPE[error_type]
    if status not in (401, 402, 429):
        for pattern, kind in _BY_TEXT:
            if pattern.search(message):
                return kind
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status is None:
        return _BY_VAGUE_TYPE.get(error_type, "server_error")
    return "server_error" if status >= 500 else "bad_request"


def response_error(
    origin: Origin, status: int, headers: Mapping[str, str], body: bytes
) -> EngineError:
    """The error in a response whose status is not 200. `headers` are looked up in lower case."""
    decoded = decode(body)
    wait_s = retry_after_s(headers)
    if 300 <= status < 400:
        return origin.error(
            "bad_request",
            f"{origin.base_url} redirects elsewhere, which Rung does not follow with a key; "
            "set base_url to the final address",
            status=status,
        )
    if is_html(body) or (status == 404 and not as_object(decoded).get("error")):
        kind = "unreachable" if is_html(body) and status < 500 else kind_of(status, "", "")
        return origin.error(kind, _wrong_place(origin, excerpt(body)), status=status)
    error = as_object(decoded).get("error", decoded)
    return reported_error(
        origin,
        error or excerpt(body),
        status=status,
        retry_after_s=wait_s,
        request_id=_request_id(headers),
    )


def _request_id(headers: Mapping[str, str]) -> str:
    """What the provider's support asks for: of Anthropic, OpenAI, OpenRouter."""
    names = ("request-id", "x-request-id", "x-generation-id")
    return next((headers[name] for name in names if headers.get(name)), "")


def reported_error(
    origin: Origin,
    error: object,
    *,
    status: int | None = None,
    retry_after_s: float | None = None,
    request_id: str = "",
) -> EngineError:
    """The error that an engine reported in a body or in mid-stream: a string or an object."""
    # Ollama hands on the whole JSON error of the llama-server behind it as a string.
    inner = as_object(decode(as_text(error).encode("utf-8", "replace")))
    error = inner.get("error") or error
    fields = as_object(error)
    message = as_text(error) or as_text(fields.get("message")) or as_text(fields.get("detail"))
    nested = as_text(as_object(fields.get("metadata")).get("raw"))
    if nested:
        message = f"{message}: {nested}"
    message = excerpt(message or repr(error))
    code = first_count(fields.get("code"))
    if status is None or status < 400:
        status = code if code is not None and 400 <= code < 600 else None
    if _NO_ROUTE.search(message) and status in (None, 404):
        return origin.error("bad_request", _wrong_place(origin, message), status=status)
    types = (as_text(fields.get("code")), as_text(fields.get("type")))
    known = (name for table in (_BY_TYPE, _BY_VAGUE_TYPE) for name in types if name in table)
    error_type = next(known, "")
    kind = kind_of(status, error_type, message)
    if kind == "model_not_loaded" and status == 503 and retry_after_s is None:
        retry_after_s = _LOADING_RETRY_S
    advice = _ADVICE.get(kind)
    return origin.error(
        kind,
        (f"{message} ({advice})" if advice else message)
        + (f" [request {excerpt(request_id)}]" if request_id else ""),
        status=status,
        retry_after_s=retry_after_s,
    )


def _wrong_place(origin: Origin, seen: str) -> str:
    return (
        f"{origin.base_url} does not answer as this kind of engine does ({seen}); "
        f"check kind and base_url, which looks like {origin.usual_url}"
    )


def not_the_api(origin: Origin, body: bytes, status: int) -> EngineError:
    """A 200 with something that is neither a stream nor a completion."""
    if is_html(body):
        return origin.error("unreachable", _wrong_place(origin, excerpt(body)), status=status)
    if not body.strip():
        message = "the engine answered 200 with an empty body; look at its own log"
    else:
        message = f"the engine's answer is not a completion or is cut off: {excerpt(body)}"
    return origin.error("bad_output", message, status=status)


def retry_after_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds that `retry-after-ms` or `Retry-After` (seconds or an HTTP date) asks to wait."""
    by_ms = as_number(headers.get("retry-after-ms"))
    if by_ms is not None:
        return by_ms / 1000
    raw = headers.get("retry-after")
    by_s = as_number(raw)
    if by_s is not None or not raw:
        return by_s
    try:
        at = parsedate_to_datetime(raw)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - (now or datetime.now(UTC))).total_seconds())
