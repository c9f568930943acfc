"""`rung learn`: what outcomes have taught, and what follows from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar, cast

import click

from rung.wording import counted

if TYPE_CHECKING:
    from rung.escalation.learning.learning import Learned, Learning
    from rung.escalation.task import TaskType
    from rung.ledger.rows import LabelSource, SuggestionRow

T = TypeVar("T")

TYPES = click.Choice(["quick_edit", "standard", "architecture", "critical"])
SUGGESTION_ID = click.IntRange(1, 2**31 - 1)


@click.group()
def command() -> None:
    """Show what outcomes taught, and what they suggest to change.

    learning.mode says how far it goes: off, advise (suggest only) or on (order rungs by it).
    """


@command.command()
@click.option("--type", "task_type", type=TYPES, help="Only this task type.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(task_type: str | None, as_json: bool) -> None:
    """Say of each rung why it comes where it does, and of each check how often it is wrong."""
    from rung.cli.run import print_json

    learned = _with(lambda it: it.show(cast("TaskType | None", task_type)))
    if as_json:
        print_json(learned)
    else:
        _print(learned)


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def suggest(as_json: bool) -> None:
    """Suggest changes of the matrix, with reasons; nothing is changed until you apply one."""
    from rung.cli.run import print_json

    found = _with(lambda it: it.suggest())
    if as_json:
        print_json(found)
        return
    if not found:
        click.echo("nothing to suggest: too few outcomes, or the matrix fits them")
    for row in found:
        _print_suggestion(row)


@command.command()
@click.argument("suggestion_id", type=SUGGESTION_ID)
def apply(suggestion_id: int) -> None:
    """Lay a suggestion over your settings. rung.toml stays as it is; `revert` takes it back."""
    _print_suggestion(_with(lambda it: it.apply(suggestion_id)))


@command.command()
@click.argument("suggestion_id", type=SUGGESTION_ID)
def revert(suggestion_id: int) -> None:
    """Take an applied suggestion back."""
    _print_suggestion(_with(lambda it: it.revert(suggestion_id)))


@command.command()
@click.confirmation_option(prompt="Put aside everything that was learned?")
def reset() -> None:
    """Revert what is applied and begin anew. The attempts stay on record."""
    reverted = _with(lambda it: it.reset())
    click.echo(f"learning begins anew; reverted {counted(reverted, 'suggestion')}")


@command.command()
@click.argument("task_id")
@click.argument("verdict", type=click.Choice(["right", "wrong"]))
@click.option(
    "--source",
    type=click.Choice(["person", "ci", "revert"]),
    default="person",
    show_default=True,
    help="How it became known.",
)
@click.option("--note", default="", help="Why; kept on record.")
def label(task_id: str, verdict: str, source: str, note: str) -> None:
    """Say whether the answer of a task turned out right or wrong."""
    from rung.cli.printable import printable

    known = cast("LabelSource", source)
    row = _with(lambda it: it.label(task_id, is_right=verdict == "right", source=known, note=note))
    click.echo(printable(f"{row.verdict}: attempt {row.attempt} of task {row.task_id}"))


def _with(work: Callable[[Learning], Awaitable[T]]) -> T:
    from rung.cli.run import run

    async def opened() -> T:
        from rung.facade import Rung

        async with Rung() as rung:
            return await work(rung.learning)

    return run(opened())


def _print_suggestion(row: SuggestionRow) -> None:
    from rung.cli.printable import printable

    click.echo(printable(f"{row.id}  {row.state}  {row.subject}"))
    click.echo(printable(f"    {row.before.get('value')} → {row.after.get('value')}"))
    click.echo(printable(f"    {row.reason}"))


def _print(learned: Learned) -> None:
    from rung.cli.printable import printable
    from rung.cli.table import number, print_table

    click.echo(
        f"mode {learned.mode} · {counted(learned.attempts, 'attempt')} that checks decided · "
        f"{counted(learned.labels, 'label')}"
    )
    for view in learned.types:
        click.echo()
        click.secho(view.task_type, bold=True)
        if not view.rungs:
            click.echo("  no model of its chain is available")
            continue
        trusted = counted(view.labels, "label") if view.labels else view.source
        checks = "+".join(view.checks) or "no checks"
        click.echo(
            printable(f"  {checks} let {view.false_accept:.0%} of wrong answers pass ({trusted})")
        )
        if view.reserve_usd is not None:
            click.echo(f"  95 % of tasks cost at most ${view.reserve_usd:.4f}")
        for rung in view.rungs:
            click.echo(printable(f"  {rung.place or '–'}  {rung.model}: {rung.why}"))
    if not learned.checks:
        return
    click.echo()
    print_table(
        [
            "check",
            "models",
            "task type",
            "attempts>",
            "labels>",
            "wrong accepted>",
            "right refused>",
        ],
        [
            (
                row.check,
                row.model_class,
                row.task_type,
                number(row.attempts),
                number(row.labels),
                share(row.false_accept),
                share(row.false_reject),
            )
            for row in learned.checks
        ],
    )


def share(value: object) -> str:
    """`12 % (4 to 30)`; `unknown` where no label says."""
    from rung.escalation.learning.rates import Share

    if not isinstance(value, Share):
        return "unknown"
    return f"{value.estimate:.0%} ({value.low:.0%} to {value.high:.0%})"
