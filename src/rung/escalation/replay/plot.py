"""A replay as one SVG: what each policy solves, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rung.escalation.replay.replay import Replay
from rung.escalation.replay.scores import PolicyResult
from rung.escalation.stats.section import as_html

WIDTH, HEIGHT = 860, 520
LEFT, RIGHT, TOP, BOTTOM = 70, 24, 44, 56
COLOURS = {
    "always-biggest": "#b3261e",
    "learned": "#1f6feb",
    "online": "#8250df",
    "oracle": "#1a7f37",
}
GREY = "#9aa4af"


class Scale:
    """From a value to a place on an axis; logarithmic for money."""

    def __init__(self, low: float, high: float, begin: float, end: float) -> None:
        self._low, self._span = low, (high - low) or 1.0
        self._begin, self._length = begin, end - begin

    def at(self, value: float) -> float:
        return round(self._begin + (value - self._low) / self._span * self._length, 1)


def svg(replay: Replay) -> str:
    """Cost per 1,000 tasks across, share solved up; lines are 95 % intervals."""
    dearest = [1000 * policy.cost_usd for policy in replay.policies if policy.cost_usd > 0]
    low = math.floor(math.log10(min(dearest, default=0.01)))
    high = max(low + 1, math.ceil(math.log10(max(dearest, default=1.0))))
    x = Scale(low, high, LEFT, WIDTH - RIGHT)
    y = Scale(0.0, 1.0, HEIGHT - BOTTOM, TOP)
    fixed = [policy for policy in replay.policies if policy.name not in COLOURS]
    named = [policy for policy in replay.policies if policy.name in COLOURS]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="system-ui, sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        *_axes(range(low, high + 1), x, y),
        *(_dot(policy, x, y, low) for policy in fixed),
        *(
            part
            for number, policy in enumerate(named)
            for part in _mark(policy, x, y, (low, high), radius=9 - 1.5 * number)
        ),
        *_legend(named, len(fixed)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _axes(decades: Sequence[int], x: Scale, y: Scale) -> list[str]:
    parts: list[str] = []
    for share in range(0, 101, 20):
        at = y.at(share / 100)
        parts.append(f'<path d="M{LEFT} {at}H{WIDTH - RIGHT}" stroke="#e3e7eb"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{at + 4}" text-anchor="end">{share} %</text>')
    for decade in decades:
        at = x.at(decade)
        parts.append(f'<path d="M{at} {TOP}V{HEIGHT - BOTTOM}" stroke="#e3e7eb"/>')
        below = f'x="{at}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle"'
        parts.append(f"<text {below}>${10.0**decade:g}</text>")
    parts.append(
        f'<text x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 12}" text-anchor="middle">'
        "cost of calls for 1,000 tasks</text>"
    )
    return parts


def _place(policy: PolicyResult, x: Scale, low: int) -> float:
    """Free policies stand at the left edge: a logarithm has no zero."""
    return x.at(_log(policy.cost_usd, low))


def _log(cost_usd: float, low: int) -> float:
    return max(float(low), math.log10(1000 * cost_usd)) if cost_usd > 0 else float(low)


def _dot(policy: PolicyResult, x: Scale, y: Scale, low: int) -> str:
    title = as_html(" > ".join(policy.order))
    return (
        f'<circle cx="{_place(policy, x, low)}" cy="{y.at(policy.solved)}" r="3" fill="{GREY}" '
        f'opacity="0.55"><title>{title}: {policy.solved:.1%}</title></circle>'
    )


def _mark(
    policy: PolicyResult, x: Scale, y: Scale, decades: tuple[int, int], radius: float
) -> list[str]:
    """Each smaller than the one before, so that none hides another that came to the same."""
    low, high = decades
    colour, across, up = COLOURS[policy.name], _place(policy, x, low), y.at(policy.solved)
    bottom, top = (y.at(value) for value in policy.intervals["solved"])
    cheap, dear = (x.at(min(high, _log(value, low))) for value in policy.intervals["cost_usd"])
    return [
        f'<path d="M{across} {bottom}V{top}M{cheap} {up}H{dear}" stroke="{colour}" '
        'stroke-width="2"/>',
        f'<circle cx="{across}" cy="{up}" r="{radius:g}" fill="{colour}"/>',
    ]


def _legend(named: Sequence[PolicyResult], ladders: int) -> list[str]:
    parts: list[str] = []
    entries = [(policy.name, COLOURS[policy.name]) for policy in named]
    for number, (name, colour) in enumerate([*entries, (f"{ladders} fixed ladders", GREY)]):
        across = LEFT + 150 * number
        parts.append(f'<circle cx="{across}" cy="22" r="6" fill="{colour}"/>')
        parts.append(f'<text x="{across + 12}" y="26">{as_html(name)}</text>')
    return parts
