"""Settings sections: frozen, keyword-only, with defaults.

They look like frozen dataclasses to a type checker, but generate no code when a class is made: ten
dataclasses alone would take longer than all else that `rung config show` does.
"""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar, TypeVar, dataclass_transform, get_type_hints

T = TypeVar("T", bound="Section")


class Ranged:
    """A number's default and limits; a default of `None` is a number that may be missing."""

    def __init__(self, default: float | None, low: float, high: float) -> None:
        self.default, self.low, self.high = default, low, high


def ranged(*, default: float | None, low: float, high: float) -> Any:
    """A number with its limits; outside them the loader raises ConfigError."""
    return Ranged(default, low, high)


@dataclass_transform(
    eq_default=False, kw_only_default=True, frozen_default=True, field_specifiers=(ranged,)
)
class Section:
    """Base of all settings sections. Fields are the annotations, defaults the class's values."""

    ranges: ClassVar[dict[str, tuple[float, float]]] = {}

    def __init_subclass__(cls) -> None:
        marks = {name: value for name, value in vars(cls).items() if isinstance(value, Ranged)}
        cls.ranges = {name: (mark.low, mark.high) for name, mark in marks.items()}
        for name, mark in marks.items():
            setattr(cls, name, mark.default)

    def __init__(self, **given: Any) -> None:
        unknown = given.keys() - type(self).__annotations__.keys()
        if unknown:
            raise TypeError(f"{type(self).__name__} has no {', '.join(sorted(unknown))}")
        self.__dict__.update(given)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen; use replaced({name}=…)")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.values() == other.values()  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash((type(self), repr(self.values())))

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={value!r}" for name, value in self.values().items())
        return f"{type(self).__name__}({inner})"

    def values(self) -> dict[str, Any]:
        """Field name -> value, in the order of the class."""
        return {name: getattr(self, name) for name in type(self).__annotations__}

    def replaced(self: T, **changes: Any) -> T:
        """A copy with some fields changed."""
        return type(self)(**{**self.__dict__, **changes})


@cache
def field_types(cls: type[Section]) -> dict[str, Any]:
    """Field name -> resolved type."""
    hints = get_type_hints(cls)
    return {name: hints[name] for name in cls.__annotations__}
