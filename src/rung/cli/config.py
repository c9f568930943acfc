"""`rung config`: the settings and where each one comes from."""

from __future__ import annotations

import click

from rung.cli.fail import fail
from rung.config.files import config_files, ignored_file
from rung.config.load import load
from rung.errors import RungError


@click.group()
def command() -> None:
    """Show the settings and where each one comes from.

    Settings are read from the user's rung.toml, then the project's, then RUNG_… variables
    (RUNG_EMBEDDED__CONTEXT_TOKENS=8192 sets embedded.context_tokens); the last one wins.
    """


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(as_json: bool) -> None:
    """Print every setting, its value and its origin. Secrets are masked."""
    try:
        entries = list(load().entries())
    except RungError as error:
        fail(error)
    if as_json:
        import json

        rows = {key: {"value": value, "origin": origin} for key, value, origin in entries}
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    width = max(len(key) for key, _, _ in entries)
    for key, value, origin in entries:
        line = f"{key:<{width}}  {value}"
        click.echo(line if origin == "default" else f"{line}  ({origin})")


@command.command()
def path() -> None:
    """Print the files that settings are read from, and whether each exists."""
    try:
        for file in config_files():
            click.echo(f"{file}  {'(found)' if file.is_file() else '(not there)'}")
        if (ignored := ignored_file()) is not None:
            click.echo(f"{ignored}  (not read: it belongs to another user)")
    except RungError as error:
        fail(error)
