"""An object on its way: redrawn in place on a terminal, or a line of JSON for each piece."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

import click
import msgspec
from rich.console import Console
from rich.live import Live
from rich.text import Text

from rung.chat import Chunk
from rung.cli.printable import escape_controls, printable

_REDRAWS_PER_S = 12


def print_line(chunk: Chunk) -> None:
    """The chunk as one line of JSON, with what it has of text, reasoning, partial, completion."""
    parts = {
        "text": chunk.text if chunk.completion is None else "",
        "reasoning": chunk.reasoning,
        "partial": chunk.partial,
        "completion": chunk.completion,
    }
    present = {name: part for name, part in parts.items() if part not in (None, "")}
    if present:
        click.echo(escape_controls(msgspec.json.encode(present).decode()))


@contextmanager
def growing_object() -> Generator[Callable[[Chunk], None]]:
    """Shows each view in place of the one before, its last lines where it is higher than the
    terminal; at the end nothing of it is left there."""
    console = Console(highlight=False, emoji=False, markup=False)
    with Live(
        console=console, transient=True, refresh_per_second=_REDRAWS_PER_S, redirect_stderr=False
    ) as live:

        def show(chunk: Chunk) -> None:
            if chunk.partial is not None:
                document = msgspec.json.format(msgspec.json.encode(chunk.partial), indent=2)
                lines = printable(document.decode()).split("\n")
                room = max(console.height - 2, 1)
                live.update(Text("\n".join(lines[-room:]), overflow="ellipsis", no_wrap=True))

        yield show
