from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from rung.config.settings import Secret
from rung.engines.failure import Origin, excerpt, reported_error, response_error, retry_after_s

ORIGIN = Origin(engine="e", base_url="http://127.0.0.1:1/v1", secret=Secret("s3cr3t-k3y"))


def of(status: int, body: Any, **headers: str) -> Any:
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return response_error(ORIGIN, status, headers, raw)


def message(text: str, **fields: Any) -> dict[str, Any]:
    return {"error": {"message": text, **fields}}


# Each row is an error that an engine documents or has been seen to send.
@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        # LM Studio
        (404, message("No models loaded. Please load a model", param="model"), "model_not_loaded"),
        (
            404,
            message(
                'Failed to load model "x". Error: Model loading aborted due to insufficient '
                "system resources. Overloading the system will likely cause it to freeze"
            ),
            "out_of_memory",
        ),
        (400, message("Model is unloaded."), "model_not_loaded"),
        (400, {"error": "'response_format.type' must be 'json_schema' or 'text'"}, "bad_request"),
        (200, {"error": "Unexpected endpoint or method. (POST /chat)"}, "bad_request"),
        # Ollama
        (404, {"error": "model 'x' not found"}, "model_missing"),
        (404, message("model 'x' not found", type="not_found_error"), "model_missing"),
        (404, "404 page not found", "bad_request"),
        (400, {"error": '"x" does not support tools'}, "bad_request"),
        (503, {"error": "server busy, please try again. maximum pending requests"}, "overloaded"),
        (499, {"error": "context canceled"}, "cancelled"),
        (401, {"error": "unauthorized", "signin_url": "https://ollama.com"}, "unauthorized"),
        (502, {"error": "cloud unreachable"}, "server_error"),
        (400, {"error": "the input length exceeds the context length"}, "context_overflow"),
        (
            400,
            {
                "error": '{"error":{"code":400,"type":"exceed_context_size_error","message":'
                '"request (9000 tokens) exceeds the available context size (4096 tokens)"}}'
            },
            "context_overflow",
        ),
        (
            400,
            {
                "error": '{"error":{"code":400,"type":"invalid_request_error","message":'
                '"Multimodal data provided, but model does not support multimodal requests."}}'
            },
            "bad_request",
        ),
        (500, {"error": "model requires more system memory (8 GiB) than"}, "out_of_memory"),
        (200, {"error": "pull model manifest: file does not exist"}, "model_missing"),
        # vLLM
        (
            400,
            message(
                "This model's maximum context length is 4096 tokens. However, you requested 9000",
                type="BadRequestError",
                code=400,
            ),
            "context_overflow",
        ),
        (404, message("The model `x` does not exist.", type="NotFoundError"), "model_missing"),
        (401, {"error": "Unauthorized"}, "unauthorized"),
        (500, message("EngineCore died", type="InternalServerError", code=500), "server_error"),
        (404, {"detail": "Not Found"}, "bad_request"),
        # llama-server
        (
            400,
            message(
                "request (9000 tokens) exceeds the available context size (4096 tokens)",
                type="exceed_context_size_error",
                n_ctx=4096,
            ),
            "context_overflow",
        ),
        (503, message("Loading model", type="unavailable_error", code=503), "model_not_loaded"),
        (404, message("File Not Found", type="not_found_error", code=404), "bad_request"),
        (401, message("Invalid API Key", type="authentication_error"), "unauthorized"),
        (501, message("does not support slots", type="not_supported_error"), "bad_request"),
        (400, message("model is not loaded", type="invalid_request_error"), "model_not_loaded"),
        (400, message("model 'x' not found", type="invalid_request_error"), "model_missing"),
        (500, message("model name=x failed to load"), "model_not_loaded"),
        (500, message("input (600 tokens) is too large to process"), "context_overflow"),
        # OpenRouter
        (402, message("Insufficient credits", code=402), "over_budget"),
        (429, message("Rate limited upstream", code=429), "rate_limited"),
        (403, message("Your input was flagged", code=403), "refused"),
        (404, message("No endpoints found for acme/x.", code=404), "model_missing"),
        (400, message("acme/x is not a valid model ID", code=400), "model_missing"),
        (408, message("Timed out", code=408), "timeout"),
        # OpenAI
        (401, message("Incorrect API key provided", code="invalid_api_key"), "unauthorized"),
        (429, message("You exceeded your quota", code="insufficient_quota"), "over_budget"),
        (404, message("The model does not exist", code="model_not_found"), "model_missing"),
        (400, message("too long", code="context_length_exceeded"), "context_overflow"),
        # Any
        (413, "too large", "context_overflow"),
        (422, {"detail": [{"msg": "field required"}]}, "bad_request"),
        (500, message("CUDA out of memory. Tried to allocate 2 GiB"), "out_of_memory"),
        (504, "<html><title>Gateway</title></html>", "timeout"),
        (529, {"type": "error", "error": {"type": "overloaded_error"}}, "overloaded"),
        (403, "<html><title>Proxy</title></html>", "unreachable"),
        (302, "", "bad_request"),
    ],
)
def test_each_documented_error_has_its_kind(status: int, body: Any, kind: str) -> None:
    assert of(status, body).kind == kind


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": 429, "message": "slow down"}, "rate_limited"),
        ({"code": 502, "message": "Provider disconnected"}, "server_error"),
        ({"code": 402, "message": "no credit"}, "over_budget"),
        ("something broke", "server_error"),
        ({"message": "Loading model"}, "model_not_loaded"),
        ({"message": "x", "metadata": {"raw": "maximum context length is 10"}}, "context_overflow"),
        ({}, "server_error"),
        (["odd"], "server_error"),
    ],
)
def test_an_error_inside_a_200_is_judged_by_its_own_code(error: object, kind: str) -> None:
    assert reported_error(ORIGIN, error, status=200).kind == kind


def test_a_missing_route_tells_to_check_the_address() -> None:
    error = of(404, {"detail": "Not Found"})
    assert "base_url" in error.message
    assert "/v1" in error.message


def test_no_web_page_is_ever_quoted() -> None:
    error = of(500, "<html><title>Oops</title><script>alert(1)</script></html>")
    assert "Oops" in error.message
    assert "<" not in error.message


def test_a_long_body_is_quoted_in_part() -> None:
    assert len(excerpt(b"x" * 10_000)) == 300


def test_control_characters_of_a_body_do_not_reach_the_terminal() -> None:
    assert excerpt("a\x1b[31mb\n\tc") == "a [31mb c"


@pytest.mark.parametrize(
    "key", ["s3cr3t-k3y", "sk-abcdefghijkl", "sk-or-v1-0123456789", "Bearer abc"]
)
def test_no_key_is_ever_quoted(key: str) -> None:
    error = of(401, message(f"Incorrect API key provided: {key}."))
    assert key not in str(error)
    assert "********" in error.message


def test_retry_after_is_kept() -> None:
    assert of(429, message("slow"), **{"retry-after": "7"}).retry_after_s == 7


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "Sat, 21 Nov 2026 10:00:30 GMT"}, 30),
        ({"retry-after": "Sat, 21 Nov 2026 09:00:00 GMT"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], seconds: float | None) -> None:
    now = datetime(2026, 11, 21, 10, tzinfo=UTC)
    assert retry_after_s(headers, now) == seconds
