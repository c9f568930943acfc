"""Tables on stdout, and numbers as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rung.cli.printable import printable

# Wider than any row: what goes into a file or a pipe is one line a row, never folded or cut.
_UNBOUNDED = 1_000_000
_GAP = 2
# As narrow as a column that may be folded gets before others are left out.
_FOLDED = 24


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    spare: Sequence[str] = (),
    folds: Sequence[str] = (),
    styles: Sequence[str] = (),
) -> None:
    """A plain table; a column whose name ends in `>` is right-aligned, `styles` are of its rows.

    Cells are text, not markup, each on one line. Where a terminal is too narrow, the columns that
    are `spare` are left out, the first of them first; then long cells are folded. Those of a column
    that `folds` are folded before any is left out.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _UNBOUNDED
    cells = [[" ".join(printable(cell).split()) for cell in row] for row in rows]
    kept = columns_that_fit(columns, cells, console.width, spare, folds)
    table = Table(box=None, pad_edge=False)
    for at in kept:
        is_right = columns[at].endswith(">")
        table.add_column(
            columns[at].rstrip(">"), justify="right" if is_right else "left", overflow="fold"
        )
    for row, style in zip_longest(cells, styles):
        table.add_row(*(Text(row[at]) for at in kept), style=style)
    console.print(table)


def columns_that_fit(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int,
    spare: Sequence[str],
    folds: Sequence[str] = (),
) -> list[int]:
    """Which columns to show in `width` cells, leaving out of the `spare` ones as few as needed."""
    widths = [
        max(cell_len(text) for text in (name.rstrip(">"), *(row[at] for row in rows)))
        for at, name in enumerate(columns)
    ]
    for name in folds:
        at = columns.index(name)
        widths[at] = min(widths[at], _FOLDED)
    kept = list(range(len(columns)))
    for name in spare:
        if sum(widths[at] + _GAP for at in kept) - _GAP <= width:
            break
        kept.remove(columns.index(name))
    return kept


def size(size_bytes: int | None) -> str:
    """`98 MB`; a dash where it is unknown."""
    if size_bytes is None:
        return "–"
    units = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))
    for unit, factor in units:
        if size_bytes >= factor:
            value = size_bytes / factor
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return f"{size_bytes} B"


def number(value: float | None, digits: int = 0) -> str:
    """`4,096`; a dash where it is unknown."""
    return "–" if value is None else f"{value:,.{digits}f}"


def usd(value: float | None, unknown_calls: int = 0) -> str:
    """`$0.0120`; says how many calls had no known price, which are never counted as zero."""
    known = "–" if value is None else f"${value:,.4f}"
    return f"{known} + {unknown_calls} unknown" if unknown_calls else known
