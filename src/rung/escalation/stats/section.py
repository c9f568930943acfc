"""A section of the report, and how its numbers are written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from rung.escalation.learning.rates import Share

# Control characters, and what turns the direction of text about.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

Tone = Literal["good", "bad", "unclear", "plain"]


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One bar: its parts from the left, as shares of the longest bar, with the text at its end.

    `interval` is where the true value lies, as shares of the same length.
    """

    label: str
    parts: Sequence[tuple[Tone, float]]
    text: str
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Section:
    """A table with a title, and perhaps a plot of it. A column that ends in `>` holds numbers.

    `bars` lie below each other; `is_timeline` says that they stand beside each other.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    legend: Sequence[tuple[Tone, str]] = ()
    bars: Sequence[Bar] = ()
    is_timeline: bool = False


def as_html(text: str) -> str:
    """Text of models and tasks inside HTML: neither markup nor what makes it look like another."""
    return escape(_CONTROLS.sub("\ufffd", text))


def share(value: Share) -> str:
    """`62 % (48 to 74)`."""
    return f"{100 * value.estimate:.0f} % ({100 * value.low:.0f} to {100 * value.high:.0f})"


def usd(value: float | None) -> str:
    """`$1.2000`; a dash where nothing is known."""
    return "–" if value is None else f"${value:,.4f}"


def seconds(value: float | None) -> str:
    """`340 ms`, `12.5 s`, `2.1 h`."""
    if value is None:
        return "–"
    if value < 1:
        return f"{1000 * value:.0f} ms"
    if value < 120:
        return f"{value:.1f} s"
    return f"{value / 60:.1f} min" if value < 7200 else f"{value / 3600:,.1f} h"


def share_bar(label: str, value: Share, tone: Tone = "good") -> Bar:
    return Bar(
        label=label,
        parts=((tone, value.estimate),),
        text=f"{100 * value.estimate:.0f} %",
        interval=(value.low, value.high),
    )
