"""`rung classify`: what type a request has, why, and which models would be tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rung.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rung.escalation.matrix_report import LadderReport
    from rung.escalation.signals import Signals
    from rung.escalation.task import Classification


@click.command()
@click.argument("text")
@click.option("--file", "files", multiple=True, help="A file of the request; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(text: str, files: Sequence[str], as_json: bool) -> None:
    """Say a request's type and complexity, why, and which models would be tried; asks none."""
    from rung.cli.run import print_json, run

    found, signals, ladder = run(_classified(text, files))
    if as_json:
        from msgspec import to_builtins

        chain = [rung.model for rung in ladder.rungs]
        print_json({**to_builtins(found), "signals": signals, "chain": chain})
        return
    _show(found, signals, ladder)


async def _classified(
    text: str, files: Sequence[str]
) -> tuple[Classification, Signals, LadderReport]:
    from pathlib import Path

    from rung.cli.do_task import rooted
    from rung.errors import UsageError
    from rung.escalation.signals import signals_of
    from rung.facade import Rung
    from rung.validation.workspace import project_root

    if not text.strip():
        raise UsageError("the request has no text: say what is to be done")
    root = project_root(Path.cwd())
    paths = [rooted(path, Path.cwd(), root) for path in files]
    async with Rung() as rung:
        found = await rung.classify(text, paths, root)
        ladder = (await rung.ladders(found.type))[0]
    return found, signals_of(root, paths), ladder


def _show(found: Classification, signals: Signals, ladder: LadderReport) -> None:
    from rung.cli.printable import say

    unsure = "  unsure: say --type if you know better" if found.is_unsure else ""
    say(f"{found.type}  complexity {found.complexity:g}{unsure}")
    for reason in found.reasons:
        say(f"  {reason}")
    if signals.files:
        seen = "" if signals.is_complete else ", of the part that was looked at"
        say(
            f"  {counted(len(signals.files), 'file')} with {counted(signals.lines, 'line')}, "
            f"imported by {counted(signals.fan_in, 'module')} and "
            f"{counted(signals.tests, 'test')}{seen}"
        )
    from rung.escalation.text_model.blend import described

    says, todo = described()
    say(f"decided by: {says}" + (f" ({todo})" if todo else ""))
    for path in signals.missing:
        say(f"  {path} does not exist")
    chain = " -> ".join(rung.model for rung in ladder.rungs)
    say(f"would be tried by: {chain or 'no model; see rung matrix show'}")
