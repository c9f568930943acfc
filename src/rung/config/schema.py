"""The settings sections read as a schema: fields, types, ranges, the nearest known key."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from rung.config.section import Section
from rung.config.settings import Secret
from rung.errors import ConfigError

Key = tuple[str, ...]

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})
# More than any setting needs, and less than what a float or a database column cannot hold.
LARGEST = 10**15


class Value(Section):
    """A setting as found, and where: a file, a variable, a flag, or the default."""

    value: Any
    origin: str


def dotted(key: Key) -> str:
    """The key as `rung.toml` writes it."""
    return ".".join(part if part.replace("_", "").isalnum() else f'"{part}"' for part in key)


def shown(value: object) -> str:
    """The value for an error message, shortened; Python prints no number of 5,000 digits."""
    try:
        text = repr(value)
    except ValueError:
        return f"a huge {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:80]}…"


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
        raise ConfigError(f"{where}: {shown(value)} is not one of {', '.join(accepted)}")
    if origin is tuple:
        return _texts(value, where)
    if kind is bool:
        return _flag(value, where)
    if kind in (int, float):
        return _number(value, kind, where)
    if not isinstance(value, str):
        raise ConfigError(f"{where}: expected text, got {type(value).__name__} {shown(value)}")
    if kind is Path:
        return expanded(value, where)
    return Secret(value) if kind is Secret else value


def expanded(path: str, where: str) -> Path:
    """The path with `~` and `~user` resolved; ConfigError where there is no such user."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ConfigError(
            f"{where}: {path!r}: no home folder is known for it; write the whole path"
        ) from None


def _texts(value: object, where: str) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):  # pyright: ignore[reportUnknownVariableType]
        raise ConfigError(
            f'{where}: expected a list of texts such as ["a", "b"], got {shown(value)}'
        )
    return tuple(part.strip() for part in parts if part.strip())  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType, reportUnknownArgumentType]


def _flag(value: object, where: str) -> bool:
    if isinstance(value, bool):
        return value
    word = value.lower() if isinstance(value, str) else shown(value)
    if word in TRUE | FALSE:
        return word in TRUE
    raise ConfigError(f"{where}: expected true or false, got {shown(value)}")


def _number(value: object, kind: type[int] | type[float], where: str) -> int | float:
    wanted = "a whole number" if kind is int else "a number"
    if isinstance(value, bool) or (kind is int and isinstance(value, float)):
        raise ConfigError(f"{where}: expected {wanted}, got {shown(value)}")
    try:
        number = kind(value)  # type: ignore[arg-type]
    except OverflowError:
        number = kind(LARGEST + 1)
    except (TypeError, ValueError):
        raise ConfigError(f"{where}: expected {wanted}, got {shown(value)}") from None
    if not abs(number) <= LARGEST:  # also false of NaN
        raise ConfigError(
            f"{where}: {shown(value)} is not finite, or beyond {LARGEST:.0e}; give {wanted}"
        )
    return number


def check_range(value: object, limits: tuple[float, float] | None, where: str) -> None:
    """Raise ConfigError where a number lies outside its field's limits."""
    if limits is None or not isinstance(value, int | float):
        return
    low, high = limits
    if not low <= value <= high:
        raise ConfigError(f"{where}: {value} is out of range; it must be {low:g} to {high:g}")
