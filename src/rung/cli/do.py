"""`rung do`: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rung.cli.numbers import USD


@click.command(epilog="Exit status: 0 verified, 3 needs review, 4 skipped, 5 unverified, 1 failed.")
@click.argument("text", required=False)
@click.option("--task", "task_file", type=click.Path(path_type=Path), help="Read it from a file.")
@click.option("--file", "files", multiple=True, help="A file to read or change. Repeatable.")
@click.option("--out", multiple=True, help="A file the answer must produce. Repeatable.")
@click.option("--check", "checks", multiple=True, help="What decides. Repeatable; see below.")
@click.option("--schema", type=click.Path(path_type=Path), help="JSON Schema of the answer.")
@click.option(
    "--type",
    "type_",
    type=click.Choice(["quick_edit", "standard", "architecture", "critical"]),
    help="The task type; by default rules decide it from the text.",
)
@click.option("--chain", help="Models or tiers to try, comma-separated, in order.")
@click.option("--budget", type=USD, help="Most to spend on it, in USD.")
@click.option(
    "--at-end",
    type=click.Choice(["review", "skip"]),
    help="If every rung fails: wait for a person, or let it go.",
)
@click.option("--seed", type=int, help="Repeat answers, where the engine can.")
@click.option("--local-only", is_flag=True, help="Never leave this machine, whatever else is set.")
@click.option("--yes", is_flag=True, help="Agree to paid models, inside the budget.")
@click.option("--apply", "apply_", is_flag=True, help="Write the files, if verified.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole outcome as JSON.")
@click.pass_context
def command(
    ctx: click.Context,
    text: str | None,
    task_file: Path | None,
    yes: bool,
    apply_: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Do TEXT with the cheapest model whose answer passes the checks.

    \b
    Checks:
      syntax[:LANG]            it parses
      compile[:LANG]           it compiles
      tests:PATH               pytest passes on this file or folder
      cmd:COMMAND              a shell command exits with 0
      schema:FILE              the JSON answer is valid
      semantic:CRITERIA        a checker model agrees
      bench:COMMAND<=SECONDS   the command is fast enough

    Without --check the task's type decides. Checks see the project with the answer's files laid
    over it, in a scratch copy and a sandbox; your files change only with --apply, and only by a
    verified answer. Text read from a pipe is added to TEXT; with --task it is not read.

    \b
    Examples:
      rung do "Write is_even(n)" --out even.py --check tests:tests/test_even.py
      rung do "Fix the typo" --file README.md --apply
      rung do "Extract name and age: …" --schema person.json --json
    """
    from rung.cli.do_task import read_task, run_task
    from rung.cli.fail import fail
    from rung.errors import RungError, UsageError

    try:
        if (text is None) == (task_file is None):
            raise UsageError("give the task as TEXT or with --task FILE (see `rung do --help`)")
        task = read_task(text, task_file, given)
    except RungError as error:
        fail(error)
    ctx.exit(run_task(task, yes=yes, apply=apply_, as_json=as_json))
