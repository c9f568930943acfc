"""What engines enforce, as data. A new engine is a new row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rung.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a schema may have at most, all its parts together."""

    properties: float = float("inf")
    optional: float = float("inf")
    unions: float = float("inf")
    listed_values: float = float("inf")
    depth: float = float("inf")
    name_characters: float = float("inf")


# Compared by identity: each target is one row, and rows are keys of caches.
@dataclass(frozen=True, kw_only=True, eq=False)
class Target:
    """What one kind of engine does with a schema."""

    name: str
    # Strings, arrays and dictionaries get bounds, so that a whole answer fits its tokens.
    is_bounded: bool = False
    # Only anchored patterns of a small dialect work, and no formats.
    has_plain_patterns: bool = False
    # minLength and maxLength are enforced. Without them a string has one pattern or format.
    has_lengths: bool = True
    # The largest count in a pattern.
    max_repeats: int = 0
    # Formats that are enforced by name.
    formats: frozenset[str] = frozenset()
    # Bounds of integers are enforced.
    has_bounds: bool = True
    # Bounds of numbers that are not integers are enforced.
    has_decimal_bounds: bool = True
    # multipleOf is enforced.
    has_multiples: bool = False
    # Integers and decimals whose bounds are not enforced are listed up to so many values: beyond
    # that a list takes away too much of what may be said, or makes the engine slow.
    max_listed_integers: int = 250
    max_listed_decimals: int = 250
    # The largest absolute bound of an integer.
    max_integer: float = float("inf")
    # Numbers may have digits without end where no bounds are given.
    has_endless_numbers: bool = False
    # Digits are bounded by keywords of its own.
    has_digits: bool = False
    # Listed values may be objects and arrays.
    has_deep_values: bool = True
    # The longest bound of a string that the engine can take; longer ones make it too slow.
    max_characters: int | None = None
    # The largest minItems that is enforced.
    max_min_items: int | None = None
    has_max_items: bool = True
    # Keys may have a pattern, and objects a number of properties.
    has_key_patterns: bool = False
    # Arrays may have a shape by position.
    has_tuples: bool = True
    # Every object must be closed and the root must be one, or strict mode is off.
    is_closed: bool = False
    # With that, every property must be required.
    is_strict: bool = False
    # What strict mode takes at most; with more it is off.
    limits: Limits | None = None
    # How the schema is written where strict mode is off, and it only says what is wanted.
    hint: Target | None = None
    # It enforces nothing, and may say all there is to say.
    is_hint: bool = False
    # The model is shown the schema, so descriptions are of use.
    has_notes: bool = False
    # What stands beside the schema, at its root.
    settings: Mapping[str, Any] | None = None


_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
)

# For models that are only shown the schema: all of it, as its author meant it.
_HINT = Target(name="hint", has_multiples=True, is_hint=True, has_notes=True)

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
            has_multiples=True,
            has_endless_numbers=True,
            max_integer=1e15,
            has_key_patterns=True,
            settings={"x-guidance": {"whitespace_flexible": False}},
        ),
        # outlines-core, behind MLX models in LM Studio: the schema becomes one regular expression,
        # whose automaton grows with every bound. It passes over the bounds of numbers, but knows
        # minDigits and maxDigits, without which digits do not end.
        Target(
            name="outlines",
            is_bounded=True,
            has_plain_patterns=True,
            has_bounds=False,
            has_decimal_bounds=False,
            has_digits=True,
            max_characters=240,
        ),
        # vLLM, which takes xgrammar, and llguidance for what that refuses: what both enforce.
        Target(
            name="vllm",
            is_bounded=True,
            has_plain_patterns=True,
            has_endless_numbers=True,
            max_integer=1e15,
            has_notes=True,
        ),
        # OpenAI's strict mode, which refuses what it does not know. Keywords and limits:
        # https://developers.openai.com/api/docs/guides/structured-outputs#supported-schemas
        Target(
            name="openai",
            has_lengths=False,
            max_repeats=256,
            formats=_FORMATS,
            has_multiples=True,
            has_deep_values=False,
            has_tuples=False,
            is_closed=True,
            is_strict=True,
            limits=Limits(properties=5_000, listed_values=1_000, depth=10, name_characters=120_000),
            hint=_HINT,
            has_notes=True,
        ),
        # Anthropic's structured outputs, which know no mode but the strict one: simple patterns,
        # no bounds of numbers, no lists of many values. Keywords and limits:
        # https://platform.claude.com/docs/en/build-with-claude/structured-outputs
        Target(
            name="anthropic",
            has_lengths=False,
            max_repeats=32,
            formats=_FORMATS | {"uri"},
            has_bounds=False,
            has_decimal_bounds=False,
            max_listed_integers=20,
            max_listed_decimals=0,
            has_deep_values=False,
            max_min_items=1,
            has_max_items=False,
            has_tuples=False,
            is_closed=True,
            limits=Limits(optional=24, unions=16),
            hint=_HINT,
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
