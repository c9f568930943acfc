"""Printing a streamed answer."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import click

from rung.chat import Completion, Message
from rung.cli.printable import echo_answer, printable
from rung.cli.run import print_json
from rung.facade import Rung


async def show_answer(
    messages: Sequence[Message], options: dict[str, Any], *, as_json: bool
) -> None:
    """Stream the answer to stdout; what it took goes to stderr."""
    completion: Completion | None = None
    async with Rung() as rung, aclosing(rung.stream(messages, **options)) as chunks:
        async for chunk in chunks:
            completion = chunk.completion or completion
            if not as_json and options["schema"] is None:
                echo_answer(chunk.text, nl=False)
    if completion is None:
        return
    if as_json:
        print_json(completion)
        return
    if options["schema"] is not None:
        print_json(completion.parsed)
    elif not completion.text.endswith("\n"):
        click.echo()
    _show_facts(completion)


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
    if completion.flags:
        click.secho(f"not as asked: {', '.join(completion.flags)}", fg="yellow", err=True)
    if completion.repairs:
        repairs = printable(", ".join(completion.repairs))
        click.secho(f"repaired: {repairs}", fg="yellow", err=True)
