"""`POST embeddings` of the OpenAI API: the body, and vectors read from what comes back."""

from __future__ import annotations

import math
from array import array
from base64 import b64decode
from collections.abc import Sequence
from sys import byteorder

import msgspec

from rung.chat import EmbedRequest, JsonObject, Usage
from rung.engines.fields import as_list, as_object, first_count

# So many vectors of 8,192 numbers stay below what is read of one reply.
BATCH = 64

Vector = tuple[float, ...]


def embedding_bodies(request: EmbedRequest) -> list[JsonObject]:
    """One body for each batch of inputs."""
    return [
        {
            "model": request.model,
            "input": list(request.inputs[start : start + BATCH]),
            "encoding_format": "float",
        }
        for start in range(0, len(request.inputs), BATCH)
    ]


def read_vectors(answer: JsonObject, count: int) -> list[Vector]:
    """`count` vectors in the order of their inputs, as the entries' `index` says.

    Raises `ValueError` that says what is wrong with the answer.
    """
    entries = [as_object(raw) for raw in as_list(answer.get("data"))]
    by_index = {
        first_count(entry.get("index"), place): _vector(entry.get("embedding"))
        for place, entry in enumerate(entries)
    }
    if len(entries) != count or by_index.keys() != set(range(count)):
        raise ValueError(f"{len(entries)} vectors for {count} inputs")
    return [by_index[place] for place in range(count)]


def check_dimensions(vectors: Sequence[Vector]) -> None:
    """Raises `ValueError` unless all vectors are of one length, which is not 0."""
    lengths = sorted({len(vector) for vector in vectors})
    if len(lengths) > 1 or 0 in lengths:
        raise ValueError(f"vectors of {' and '.join(map(str, lengths))} numbers")


def add_usage(total: Usage, answer: JsonObject) -> Usage:
    """`total` with the tokens of one more answer; unknown once one of them does not say."""
    usage = as_object(answer.get("usage"))
    tokens = first_count(usage.get("prompt_tokens"), usage.get("total_tokens"))
    if tokens is None or total.tokens_in is None:
        return Usage()
    return Usage(tokens_in=total.tokens_in + tokens)


def _vector(raw: object) -> Vector:
    """Numbers, or their base64: little-endian 32-bit floats, which some servers always send."""
    if isinstance(raw, str):
        numbers = array("f", b64decode(raw, validate=True))
        if byteorder == "big":
            numbers.byteswap()
        vector = tuple(numbers)
    else:
        vector = msgspec.convert(raw, Vector)
    if not all(map(math.isfinite, vector)):
        raise ValueError("a vector with a number that is none")
    return vector
