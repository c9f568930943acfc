"""`rung demo`: three bundled tasks through the ladder of this machine."""

from __future__ import annotations

import click

STARTER = "smollm2-135m"


@click.command()
@click.option("--yes", is_flag=True, help="Agree to paid models, inside the budget.")
@click.pass_context
def command(ctx: click.Context, yes: bool) -> None:
    """Run three bundled tasks through the ladder of this machine, and show what happens.

    The starter model (SmolLM2-135M, 93 MB) is fetched first where it is not there yet. Two of the
    tasks are within its reach; the third climbs to whatever other engine is found, or ends in the
    review queue. Nothing is written to your files.
    """
    from importlib.resources import as_file, files

    from rung.cli.demo_run import run_demo

    with as_file(files("rung") / "demo") as folder:
        ctx.exit(run_demo(folder, STARTER, agrees=yes))
