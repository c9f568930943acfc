"""How a command ends on an error. Apart from `run`, so that it costs no import of asyncio."""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from rung.errors import RungError


def fail(error: RungError) -> NoReturn:
    """Print an error as the user should see it, and end with its status."""
    click.echo(f"{click.style('error:', fg='red', bold=True)} {error}", err=True)
    sys.exit(error.exit_status)
