"""Tiers, the rungs of the ladder: their order, and which one a model belongs to."""

from __future__ import annotations

import re
from collections.abc import Mapping

DEFAULT_TIERS: Mapping[str, int] = {
    "local_tiny": -3,
    "local_fast": -2,
    "local_balanced": -1,
    "flash": 0,
    "haiku": 1,
    "sonnet": 2,
    "opus": 3,
}
TINY_BELOW = 2e9
FAST_BELOW = 2e10
BITS_PER_PARAMETER = 4.5
_SIZE = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)\s*([bm])(?![a-z0-9])", re.IGNORECASE)


def parameters_in_name(model_id: str) -> float | None:
    """How many parameters a model's name claims: `qwen3:8b` 8e9, `smollm2-135m` 1.35e8.

    Of a mixture's two numbers (`30b-a3b`) the first, the total, counts: it decides what fits.
    """
    found = _SIZE.search(model_id)
    if not found:
        return None
    return float(found[1]) * (1e9 if found[2].lower() == "b" else 1e6)


def local_tier(model_id: str, parameters: float | None, size_bytes: int | None = None) -> str:
    """The tier of an undeclared model on the user's own machines, by its parameters.

    Where nobody says how many those are, its file tells: at the usual 4 to 5 bits each. An unknown
    size counts as `local_fast`: neither trusted with large work nor wasted.
    """
    size = parameters or parameters_in_name(model_id)
    if size is None and size_bytes is not None:
        size = size_bytes * 8 / BITS_PER_PARAMETER
    if size is None:
        return "local_fast"
    if size < TINY_BELOW:
        return "local_tiny"
    return "local_fast" if size < FAST_BELOW else "local_balanced"
