"""`rung review`: the queue of work that waits for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rung.ledger.rows import Decision, ReviewItem

# What an integer column of every ledger can hold.
REVIEW_ID = click.IntRange(1, 2**31 - 1)


@click.group()
def command() -> None:
    """See and decide what waits for a person: work that no check could settle."""


@command.command("list")
@click.option("--all", "show_all", is_flag=True, help="Decided items too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def list_(show_all: bool, as_json: bool) -> None:
    """List what waits, newest first."""
    from rung.cli.run import print_json, run

    items = run(_list(show_all))
    if as_json:
        print_json(items)
        return
    if not items:
        click.echo("nothing waits for review")
        return
    from rung.cli.table import print_table

    print_table(
        ["id>", "state", "since", "task", "why"],
        [
            (
                str(item.id),
                item.state,
                f"{item.created_at.astimezone():%Y-%m-%d %H:%M}",
                item.title,
                item.reason,
            )
            for item in items
        ],
    )


@command.command()
@click.argument("review_id", type=REVIEW_ID)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(review_id: int, as_json: bool) -> None:
    """Show one item: its attempts, their verdicts with evidence, and the best answer."""
    from rung.cli.run import print_json, run

    item = run(_show(review_id))
    if as_json:
        print_json(item)
        return
    from rung.cli.review_show import print_item

    print_item(item)


def _decision(name: str, decision: Decision, help_text: str) -> None:
    @command.command(name, help=help_text)
    @click.argument("review_id", type=REVIEW_ID)
    @click.option("--note", default="", help="Why; kept on record.")
    def decide(review_id: int, note: str) -> None:
        _decide(review_id, decision, note, apply=False)

    decide.__doc__ = help_text


@command.command()
@click.argument("review_id", type=REVIEW_ID)
@click.option("--note", default="", help="Why; kept on record.")
@click.option("--apply", "apply_", is_flag=True, help="Write the answer's files.")
@click.pass_context
def approve(ctx: click.Context, review_id: int, note: str, apply_: bool) -> None:
    """Say that the answer is right. With --apply its files are written.

    Where a task waits for leave to ask a paid model, this gives it, and the task goes on.
    """
    from rung.cli.resume import resume

    if (status := resume(review_id, note, apply=apply_)) is not None:
        ctx.exit(status)
    _decide(review_id, "approved", note, apply=apply_)


_decision("reject", "rejected", "Say that the answer is wrong.")
_decision("skip", "skipped", "Say that the task is not worth doing.")


def _decide(review_id: int, decision: Decision, note: str, *, apply: bool) -> None:
    from rung.cli.printable import printable
    from rung.cli.run import run

    async def work() -> tuple[Any, list[str]]:
        from rung.facade import Rung

        async with Rung() as rung:
            return await rung.reviews.decide(review_id, decision, note, apply=apply)

    item, written = run(work())
    click.echo(printable(f"{item.state}: {item.title}"))
    if written:
        click.echo(printable(f"written: {', '.join(written)}"))


async def _list(show_all: bool) -> list[ReviewItem]:
    from rung.facade import Rung

    async with Rung() as rung:
        return await rung.reviews.list(None if show_all else "open")


async def _show(review_id: int) -> ReviewItem:
    from rung.facade import Rung

    async with Rung() as rung:
        return await rung.reviews.show(review_id)
