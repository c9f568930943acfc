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
_SHOWN_THOUGHT_CHARACTERS = 4_000


def print_line(chunk: Chunk) -> None:
    """The chunk as one line of JSON: what it has of text, reasoning, partial, step, completion."""
    parts = {
        "text": chunk.text if chunk.completion is None else "",
        "reasoning": chunk.reasoning,
        "partial": chunk.partial,
        "step": chunk.step,
        "completion": chunk.completion,
    }
    present = {name: part for name, part in parts.items() if part not in (None, "")}
    if present:
        click.echo(escape_controls(msgspec.json.encode(present).decode()))


@contextmanager
def growing_object() -> Generator[Callable[[Chunk], None]]:
    """Shows each view in place of the one before, its last lines where it is higher than the
    terminal; what is thought, and why the model is asked again, until there is one. At the end
    nothing of it is left there."""
    console = Console(highlight=False, emoji=False, markup=False)
    with Live(
        console=console, transient=True, refresh_per_second=_REDRAWS_PER_S, redirect_stderr=False
    ) as live:
        thought = ""

        def draw(text: str, style: str = "") -> None:
            lines = printable(text).split("\n")[-max(console.height - 2, 1) :]
            live.update(Text("\n".join(lines), style, overflow="ellipsis", no_wrap=True))

        def show(chunk: Chunk) -> None:
            nonlocal thought
            if chunk.step:
                thought = ""
                draw(f"asking again: {chunk.step}", "dim")
            if chunk.reasoning:
                thought = (thought + chunk.reasoning)[-_SHOWN_THOUGHT_CHARACTERS:]
                draw(thought, "dim")
            if chunk.partial is not None:
                document = msgspec.json.format(msgspec.json.encode(chunk.partial), indent=2)
                draw(document.decode())

        yield show
