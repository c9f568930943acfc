"""`rung doctor`: what this machine can do, and what to do next."""

from __future__ import annotations

import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rung.doctor import Diagnosis, Finding

_MARKS = {"ok": ("✓", "green"), "note": ("–", "yellow"), "broken": ("✗", "red")}
_INDENT = 17
_WIDEST = 100


@click.command(epilog="Exit status: 0, or 1 when something that is needed is broken.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(as_json: bool) -> None:
    """Say what this machine can do for Rung, and what to do next.

    Which sandbox holds code back and why, models and engines, the tools that checks use, the
    ledger, the machine and the settings files. Nothing is loaded or downloaded.
    """
    from rung.cli.run import print_json, run

    found = run(_diagnose())
    if as_json:
        print_json(found)
    else:
        _show(found)
    sys.exit(0 if found.ok else 1)


async def _diagnose() -> Diagnosis:
    from rung.facade import Rung

    async with Rung() as rung:
        return await rung.doctor(Path.cwd())


def _show(found: Diagnosis) -> None:
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    for title, findings in found.sections.items():
        click.secho(title, bold=True)
        for item in findings:
            _show_finding(item, width)
    broken = [
        item.name for items in found.sections.values() for item in items if item.state == "broken"
    ]
    says = f"broken: {', '.join(broken)}" if broken else "all that is needed works"
    click.secho(says, fg="red" if broken else "green")


def _show_finding(item: Finding, width: int) -> None:
    from rung.cli.printable import printable

    mark, color = _MARKS[item.state]
    indent = " " * _INDENT
    room = max(width - _INDENT, 20)
    lines = textwrap.wrap(printable(item.says), room) or [""]
    name = f"{printable(item.name):<{_INDENT - 5}}"
    click.echo(f"  {click.style(mark, fg=color)} {name} {lines[0]}")
    for line in lines[1:]:
        click.echo(indent + line)
    todo = printable(item.todo)
    for line in textwrap.wrap(todo, room, initial_indent="→ ", subsequent_indent="  "):
        click.secho(indent + line, fg=color)
