"""Bars as inline SVG; the numbers stand in the table beside them."""

from __future__ import annotations

from collections.abc import Sequence

from rung.escalation.stats.section import Bar, Section, as_html

WIDTH = 720
_LABEL, _TEXT, _ROW, _THICK = 210, 90, 26, 14
_LONGEST_LABEL = 30
_HEIGHT, _BASE, _TOP = 190, 150, 10
# As many labels as fit below a timeline.
_DAY_LABELS = 9


def plot(section: Section) -> str:
    """The section's bars as one SVG; empty where it has none."""
    if not section.bars:
        return ""
    draw = _timeline if section.is_timeline else _rows
    height, parts = draw(section.bars)
    title = f"<title>{as_html(section.title)}</title>"
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" preserveAspectRatio="xMinYMin meet">'
        f"{title}{''.join(parts)}</svg>"
    )


def _rows(bars: Sequence[Bar]) -> tuple[int, list[str]]:
    """Bars below each other, each with its label before it and its text after it."""
    room = WIDTH - _LABEL - _TEXT
    parts: list[str] = []
    for number, bar in enumerate(bars):
        top = number * _ROW + 4
        middle = top + _THICK / 2
        is_long = len(bar.label) > _LONGEST_LABEL
        label = f"{bar.label[: _LONGEST_LABEL - 1]}…" if is_long else bar.label
        parts.append(
            f'<text x="{_LABEL - 10}" y="{middle + 4}" text-anchor="end">{as_html(label)}'
            f"<title>{as_html(bar.label)}</title></text>"
        )
        at = float(_LABEL)
        for tone, length in bar.parts:
            parts.append(_box(tone, at, top, length * room, _THICK))
            at += length * room
        end = at
        if bar.interval is not None:
            low, high = (_LABEL + edge * room for edge in bar.interval)
            parts.append(
                f'<path class="interval" d="M{low:.1f} {middle}H{high:.1f}'
                f'M{low:.1f} {middle - 4}v8M{high:.1f} {middle - 4}v8"/>'
            )
            end = max(end, high)
        parts.append(f'<text x="{end + 8:.1f}" y="{middle + 4}">{as_html(bar.text)}</text>')
    return len(bars) * _ROW + 4, parts


def _timeline(bars: Sequence[Bar]) -> tuple[int, list[str]]:
    """Bars beside each other, the oldest at the left, each with a tooltip."""
    step = WIDTH / max(len(bars), 7)
    gap = min(6.0, step * 0.2)
    every = -(-len(bars) // _DAY_LABELS)
    parts: list[str] = [f'<path class="axis" d="M0 {_BASE}H{WIDTH}"/>']
    for number, bar in enumerate(bars):
        left, bottom = number * step, float(_BASE)
        boxes: list[str] = []
        for tone, length in bar.parts:
            height = length * (_BASE - _TOP)
            bottom -= height
            boxes.append(_box(tone, left + gap / 2, bottom, step - gap, height))
        tip = as_html(f"{bar.label}: {bar.text}")
        parts.append(f"<g>{''.join(boxes)}<title>{tip}</title></g>")
        if number % every == 0:
            parts.append(
                f'<text x="{left + gap / 2:.1f}" y="{_BASE + 18}">{as_html(bar.label)}</text>'
            )
    return _HEIGHT - 15, parts


def _box(tone: str, x: float, y: float, width: float, height: float) -> str:
    return (
        f'<rect class="{tone}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
    )
