"""A question on the terminal that does not stop the event loop."""

from __future__ import annotations

import asyncio
import os
import sys

import click

_REPLIES = {"y": True, "yes": True, "n": False, "no": False, "": False}


async def confirm(question: str) -> bool:
    """Ask on stderr until it is answered; nothing, and the end of input, mean no.

    The loop waits for the terminal, no thread does: a cancelled question leaves nothing behind
    that the interpreter would have to wait for.
    """
    while True:
        click.echo(f"{question} [y/N]: ", nl=False, err=True)
        try:
            line = await _line()
        except asyncio.CancelledError:
            click.echo(err=True)
            raise
        if not line.endswith(b"\n"):
            click.echo(err=True)
        reply = line.decode(errors="replace").strip().lower()
        if reply in _REPLIES:
            return _REPLIES[reply]
        click.echo("answer y or n", err=True)


async def _line() -> bytes:
    """What was typed, up to Enter; empty at the end of input."""
    loop = asyncio.get_running_loop()
    stdin = sys.stdin.fileno()
    is_ready = asyncio.Event()
    loop.add_reader(stdin, is_ready.set)
    try:
        await is_ready.wait()
    finally:
        loop.remove_reader(stdin)
    try:
        return os.read(stdin, 4096)
    except OSError:
        # The terminal went away: nobody agreed.
        return b""
