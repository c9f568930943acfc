"""What engines enforce, as data. A new engine is a new row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rung.errors import UsageError


# Compared by identity: each target is one row, and rows are keys of caches.
@dataclass(frozen=True, kw_only=True, eq=False)
class Target:
    """What one kind of engine does with a schema."""

    name: str
    # Strings, arrays and dictionaries get bounds, so that a whole answer fits its tokens.
    is_bounded: bool = False
    # Only anchored patterns of a small dialect work, and no formats.
    has_plain_patterns: bool = False
    # minLength and maxLength are enforced.
    has_lengths: bool = True
    # The longest count in a pattern, for lengths that are written as one.
    max_repeats: int = 0
    # Formats that are enforced by name.
    formats: frozenset[str] = frozenset()
    # Bounds of integers are enforced.
    has_bounds: bool = True
    # Bounds of numbers that are not integers are enforced.
    has_decimal_bounds: bool = True
    # The largest absolute bound of an integer.
    max_integer: float = float("inf")
    # Numbers may have digits without end where no bounds are given.
    has_endless_numbers: bool = False
    # The longest bound of a string that the engine can take; longer ones make it too slow.
    max_characters: int | None = None
    # The largest minItems that is enforced.
    max_min_items: int | None = None
    # Keys may have a pattern, and objects a number of properties.
    has_key_patterns: bool = False
    # Arrays may have a shape by position.
    has_tuples: bool = True
    # Every object must be closed and the root must be one, or strict mode is off.
    is_closed: bool = False
    # With that, every property must be required.
    is_strict: bool = False
    # Keywords that it refuses, wherever they stand.
    refused: frozenset[str] = frozenset()
    # The model is shown the schema, so descriptions are of use.
    has_notes: bool = False
    # What stands beside the schema, at its root.
    settings: Mapping[str, Any] | None = None


_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
)

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        # llama.cpp's converter from JSON Schema to GBNF, behind `response_format`. It passes over
        # in silence what it does not know.
        Target(
            name="llamacpp",
            is_bounded=True,
            has_plain_patterns=True,
            has_decimal_bounds=False,
            max_integer=1e15,
        ),
        # llguidance, which compiles all it is given or says why not. Behind `%json` in llama.cpp it
        # says so in the log only, and the answer is unconstrained. White space may run away.
        Target(
            name="llguidance",
            is_bounded=True,
            has_plain_patterns=True,
            has_endless_numbers=True,
            max_integer=1e15,
            has_key_patterns=True,
            settings={"x-guidance": {"whitespace_flexible": False}},
        ),
        # outlines-core, behind MLX models in LM Studio: the schema becomes one regular expression,
        # whose automaton grows with every bound.
        Target(
            name="outlines",
            is_bounded=True,
            has_plain_patterns=True,
            has_bounds=False,
            has_decimal_bounds=False,
            max_characters=240,
        ),
        # vLLM, which takes xgrammar, and llguidance for what that refuses: what both enforce.
        Target(
            name="vllm",
            is_bounded=True,
            has_plain_patterns=True,
            has_endless_numbers=True,
            max_integer=1e15,
            refused=frozenset({"multipleOf"}),
            has_notes=True,
        ),
        # OpenAI's strict mode, which refuses what it does not know.
        Target(
            name="openai",
            has_lengths=False,
            max_repeats=256,
            formats=_FORMATS,
            has_tuples=False,
            is_closed=True,
            is_strict=True,
            has_notes=True,
        ),
        # Anthropic's structured outputs, which know no mode but the strict one. Their own SDK moves
        # what is refused here into descriptions.
        Target(
            name="anthropic",
            has_lengths=False,
            formats=_FORMATS | {"uri"},
            has_bounds=False,
            has_decimal_bounds=False,
            max_min_items=1,
            has_tuples=False,
            is_closed=True,
            refused=frozenset(
                {
                    "minimum",
                    "maximum",
                    "exclusiveMinimum",
                    "exclusiveMaximum",
                    "multipleOf",
                    "maxItems",
                    "pattern",
                }
            ),
            has_notes=True,
        ),
        # Whatever enforces JSON Schema in some way: what all grammar engines have in common.
        Target(
            name="generic",
            is_bounded=True,
            has_plain_patterns=True,
            has_decimal_bounds=False,
            has_notes=True,
        ),
    )
}


def target_named(name: str) -> Target:
    """The target; raises `UsageError` that names those there are."""
    if name not in TARGETS:
        raise UsageError(f"no schema target {name!r}; there are {', '.join(sorted(TARGETS))}")
    return TARGETS[name]
