"""`POST /api/embed` of Ollama."""

from __future__ import annotations

from collections.abc import Sequence

from rung.chat import Embeddings, EmbedRequest, JsonObject, Usage
from rung.engines.deadline import Deadline
from rung.engines.embeddings import BATCH, Vector, check_dimensions, read_vectors
from rung.engines.failure import Origin
from rung.engines.fields import as_count, as_list, as_text
from rung.engines.ollama.api import OllamaApi

EMBED_ROUTE = "/api/embed"


def embed_body(
    model: str, inputs: Sequence[str], runner: JsonObject, keep_alive: int | None
) -> JsonObject:
    """Without inputs it only loads the model. `runner` are the options that it is loaded with."""
    body: JsonObject = {
        "model": model,
        "input": list(inputs),
        "truncate": False,
        "options": runner,
    }
    return body if keep_alive is None else {**body, "keep_alive": keep_alive}


async def embed(
    api: OllamaApi,
    request: EmbedRequest,
    origin: Origin,
    *,
    runner: JsonObject,
    keep_alive: int | None,
    timeout_s: float | None,
) -> Embeddings:
    """The vectors, asked for in batches; without any input nothing is asked."""
    deadline = Deadline(origin, timeout_s, None)
    answers: list[JsonObject] = []
    vectors: list[Vector] = []
    for start in range(0, len(request.inputs), BATCH):
        batch = request.inputs[start : start + BATCH]
        body = embed_body(request.model, batch, runner, keep_alive)
        work = api.ask("POST", EMBED_ROUTE, body, model=request.model, timeout_s=None)
        answer = await deadline.wait(work, "it was asked for embeddings")
        answers.append(answer)
        vectors += _read(answer, len(batch), origin)
    return Embeddings(
        vectors=tuple(vectors),
        engine=origin.engine,
        model=request.model,
        served_model=as_text(answers[-1].get("model")) or None if answers else None,
        usage=Usage(tokens_in=_tokens(answers)),
        total_ms=deadline.elapsed_ms,
    )


def _read(answer: JsonObject, count: int, origin: Origin) -> list[Vector]:
    entries = [{"embedding": vector} for vector in as_list(answer.get("embeddings"))]
    try:
        vectors = read_vectors({"data": entries}, count)
        check_dimensions(vectors)
    except ValueError as error:
        raise origin.error(
            "bad_output", f"the engine's embeddings are unusable: {error}", status=200
        ) from error
    return vectors


def _tokens(answers: Sequence[JsonObject]) -> int | None:
    counts = [as_count(answer.get("prompt_eval_count")) for answer in answers]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
