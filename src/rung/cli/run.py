"""How commands run async work: Ctrl-C, errors as messages, JSON on stdout."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

import click

from rung.cli.fail import fail
from rung.errors import RungError

T = TypeVar("T")
INTERRUPTED = 130


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's async work to its end.

    A RungError ends the command with its message and status; Ctrl-C, SIGTERM and a closed
    terminal cancel the work, wait for what it must put in order, and end with 130.
    """
    try:
        return asyncio.run(_with_signals(work))
    except RungError as error:
        fail(error)
    except (KeyboardInterrupt, asyncio.CancelledError):
        click.echo("stopped", err=True)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output went away, as `| head` does: nobody is left to tell.
        with contextlib.suppress(OSError):
            sys.stderr.close()
        sys.exit(INTERRUPTED)


async def _with_signals(work: Coroutine[Any, Any, T]) -> T:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 (true inside asyncio.run)
    loop = asyncio.get_running_loop()
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            loop.add_signal_handler(getattr(signal, name), task.cancel)
    return await work


def print_json(value: Any) -> None:
    """One JSON document on stdout, and nothing else."""
    import msgspec

    from rung.cli.printable import escape_controls

    document = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    click.echo(escape_controls(document))
