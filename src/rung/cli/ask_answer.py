"""Printing a streamed answer."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import aclosing, nullcontext
from typing import Any

import click

from rung.chat import Chunk, Completion, Message
from rung.cli.growing import growing_object, print_line
from rung.cli.printable import echo_answer, printable
from rung.cli.run import print_json
from rung.facade import Rung
from rung.structured.turns import SHORTER


async def show_answer(
    messages: Sequence[Message], options: dict[str, Any], *, as_json: bool, is_streamed: bool
) -> None:
    """Stream the answer to stdout; what it took goes to stderr.

    An object is printed when it is whole; with `is_streamed` it can be seen growing, on a terminal
    in place, else as lines of JSON of which the last has the completion.
    """
    has_schema = options["schema"] is not None
    as_lines = is_streamed and (as_json or (has_schema and not sys.stdout.isatty()))
    if as_lines:
        shown = nullcontext(print_line)
    elif has_schema:
        shown = growing_object() if is_streamed and not as_json else nullcontext(_show_nothing)
    else:
        shown = nullcontext(_show_nothing if as_json else _show_text)
    completion: Completion | None = None
    async with Rung() as rung, aclosing(rung.stream(messages, **options)) as chunks:
        with shown as show:
            async for chunk in chunks:
                completion = chunk.completion or completion
                show(chunk)
    if completion is None or as_lines:
        return
    if as_json:
        print_json(completion)
        return
    if has_schema:
        print_json(completion.parsed)
    elif not completion.text.endswith("\n"):
        click.echo()
    _show_facts(completion)


def _show_text(chunk: Chunk) -> None:
    echo_answer(chunk.text, nl=False)


def _show_nothing(chunk: Chunk) -> None:
    pass


def _show_facts(completion: Completion) -> None:
    usage, timings = completion.usage, completion.timings
    facts = [
        printable(f"{completion.engine}/{completion.served_model or completion.model}"),
        f"{usage.tokens_in or 0:,} tokens in",
        f"{usage.tokens_out or 0:,} out",
        f"{timings.total_ms / 1000:.1f} s",
    ]
    if timings.tokens_per_s:
        facts.append(f"{timings.tokens_per_s:.0f} tokens/s")
    click.echo(click.style(" · ".join(facts), dim=True), err=True)
    if completion.finish_reason == "length":
        click.secho("the answer was cut off: raise --max-tokens", fg="yellow", err=True)
    if SHORTER in completion.repairs:
        click.secho("asked to be shorter: for all of it raise --max-tokens", fg="yellow", err=True)
    if completion.flags:
        click.secho(f"not as asked: {', '.join(completion.flags)}", fg="yellow", err=True)
    if completion.repairs:
        repairs = printable(", ".join(completion.repairs))
        click.secho(f"repaired: {repairs}", fg="yellow", err=True)
