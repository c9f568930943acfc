"""The settings sections read as a schema: fields, types, ranges, the nearest known key."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from rung.config.section import Section
from rung.config.settings import Secret
from rung.errors import ConfigError

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})


def section_of(kind: Any) -> type[Section] | None:
    """The settings section that `kind` is, or `None` for a leaf."""
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def entries_of(kind: Any) -> Any | None:
    """The value type of a `Mapping[str, T]`, else `None`."""
    if get_origin(kind) is Mapping:
        return get_args(kind)[1]
    return None


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or the list of what is known where nothing is near."""
    import difflib

    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(names)}"


def convert(value: object, kind: Any, where: str) -> Any:
    """`value` as `kind`, or a ConfigError that says what was expected at `where`.

    Strings are read generously, because environment variables have no other type.
    """
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        inner = next(arg for arg in get_args(kind) if arg is not type(None))
        return None if value is None or value == "" else convert(value, inner, where)
    if origin is Literal:
        if value in get_args(kind):
            return value
        accepted = [arg for arg in get_args(kind) if arg]
        raise ConfigError(f"{where}: {value!r} is not one of {', '.join(accepted)}")
    if origin is tuple:
        return _texts(value, where)
    if kind is bool:
        return _flag(value, where)
    if kind in (int, float):
        return _number(value, kind, where)
    if not isinstance(value, str):
        raise ConfigError(f"{where}: expected text, got {type(value).__name__} {value!r}")
    return Path(value).expanduser() if kind is Path else Secret(value) if kind is Secret else value


def _texts(value: object, where: str) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):  # pyright: ignore[reportUnknownVariableType]
        raise ConfigError(f'{where}: expected a list of texts such as ["a", "b"], got {value!r}')
    return tuple(part.strip() for part in parts if part.strip())  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType, reportUnknownArgumentType]


def _flag(value: object, where: str) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).lower()
    if word in TRUE | FALSE:
        return word in TRUE
    raise ConfigError(f"{where}: expected true or false, got {value!r}")


def _number(value: object, kind: type[int] | type[float], where: str) -> int | float:
    wanted = "a whole number" if kind is int else "a number"
    if isinstance(value, bool) or (kind is int and isinstance(value, float)):
        raise ConfigError(f"{where}: expected {wanted}, got {value!r}")
    try:
        return kind(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ConfigError(f"{where}: expected {wanted}, got {value!r}") from None


def check_range(value: object, limits: tuple[float, float] | None, where: str) -> None:
    """Raise ConfigError where a number lies outside its field's limits."""
    if limits is None or not isinstance(value, int | float):
        return
    low, high = limits
    if not low <= value <= high:
        raise ConfigError(f"{where}: {value} is out of range; it must be {low:g} to {high:g}")
