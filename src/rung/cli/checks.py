"""`rung checks`: what can look at an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rung.validation.listing import ValidatorInfo


@click.group()
def command() -> None:
    """Show the checks that answers can be put to."""


@command.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def list_(as_json: bool) -> None:
    """List all checks, built in and installed, and whether they can run here."""
    from rung.cli.run import print_json, run

    found = run(_found())
    if as_json:
        print_json(found)
    else:
        _print(found)


async def _found() -> list[ValidatorInfo]:
    from rung.config.load import load
    from rung.validation.listing import list_validators

    return await list_validators(load().settings.sandbox)


def _print(found: list[ValidatorInfo]) -> None:
    from rung.cli.printable import say
    from rung.cli.table import print_table

    print_table(
        ["check", "source", "runs here", "passes when"],
        [
            (
                entry.form,
                entry.source,
                "no" if entry.problem else "yes",
                _first_sentence(entry.description),
            )
            for entry in found
        ],
        spare=["source"],
        folds=["passes when", "check"],
    )
    for problem in dict.fromkeys(entry.problem for entry in found if entry.problem):
        say(problem, err=True)


def _first_sentence(description: str) -> str:
    """Without the check's own name before the colon, which has a column of its own."""
    paragraph = description.partition("\n\n")[0]
    name, separator, text = paragraph.partition(": ")
    return (
        (text if separator and name.startswith("`") else paragraph).partition(". ")[0].rstrip(".")
    )
