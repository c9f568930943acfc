"""What engines enforce, as data. A new engine is a new row."""

from __future__ import annotations

from dataclasses import dataclass

from rung.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Target:
    """What one kind of engine does with a schema."""

    name: str
    # Strings and arrays get bounds, so that a whole answer fits its tokens.
    is_bounded: bool = False
    # Only anchored patterns of a small dialect work, and no formats.
    has_plain_patterns: bool = False
    # minLength and maxLength are enforced.
    has_lengths: bool = True
    # Formats that are enforced by name.
    formats: frozenset[str] = frozenset()
    # Bounds and multiples of numbers that are not integers are enforced.
    has_decimal_bounds: bool = True
    # The largest absolute bound of an integer.
    max_integer: float = float("inf")
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
        # OpenAI's strict mode, which refuses what it does not know.
        Target(
            name="openai",
            has_lengths=False,
            formats=frozenset(
                {
                    "date-time",
                    "time",
                    "date",
                    "duration",
                    "email",
                    "hostname",
                    "ipv4",
                    "ipv6",
                    "uuid",
                }
            ),
            has_tuples=False,
            is_closed=True,
            is_strict=True,
            has_notes=True,
        ),
        # Anthropic's structured outputs, which know no mode but the strict one.
        Target(
            name="anthropic",
            has_lengths=False,
            formats=frozenset(
                {
                    "date-time",
                    "time",
                    "date",
                    "duration",
                    "email",
                    "hostname",
                    "uri",
                    "ipv4",
                    "ipv6",
                    "uuid",
                }
            ),
            has_tuples=False,
            is_closed=True,
            refused=frozenset(
                {
                    "pattern",
                    "minimum",
                    "maximum",
                    "exclusiveMinimum",
                    "exclusiveMaximum",
                    "multipleOf",
                    "minItems",
                    "maxItems",
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
