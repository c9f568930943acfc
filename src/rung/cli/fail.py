"""How a command ends on an error. Apart from `run`, so that it costs no import of asyncio."""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from rung.errors import RungError


def fail(error: RungError) -> NoReturn:
    """Print an error as the user should see it, and end with its status."""
    show_error(str(error))
    sys.exit(error.exit_status)


def show_error(message: str) -> None:
    """`error: …` on stderr. The message may quote an engine, so it is made printable."""
    from rung.cli.printable import printable

    click.echo(f"{click.style('error:', fg='red', bold=True)} {printable(message)}", err=True)
