"""`rung review`: the queue of work that waits for a person."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rung.escalation.review import Reviews
    from rung.ledger.rows import Decision, ReviewItem

T = TypeVar("T")

# What an integer column of every ledger can hold.
REVIEW_ID = click.IntRange(1, 2**31 - 1)
STATES = ("open", "approved", "rejected", "skipped")
KINDS = ("work", "approval", "audit")
TYPES = ("quick_edit", "standard", "architecture", "critical")

id_argument = click.argument("review_id", type=REVIEW_ID)
note_option = click.option("--note", "--reason", "note", default="", help="Why; kept on record.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def command() -> None:
    """See and decide what waits for a person: work that no check could settle."""


@command.command("list")
@click.option("--state", type=click.Choice([*STATES, "all"]), default="open", show_default=True)
@click.option("--all", "state", flag_value="all", help="The same as --state all.")
@click.option("--kind", type=click.Choice(KINDS), help="Work, leave to spend, or an audit.")
@click.option("--type", "task_type", type=click.Choice(TYPES), help="Only this task type.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def list_(state: str, kind: str | None, task_type: str | None, limit: int, as_json: bool) -> None:
    """List what waits, newest first."""
    from rung.cli.run import print_json

    wanted: dict[str, Any] = {"kind": kind, "task_type": task_type, "limit": limit}

    async def found(reviews: Reviews) -> tuple[list[ReviewItem], dict[Any, int]]:
        asked: Any = None if state == "all" else state
        return await reviews.list(asked, **wanted), await reviews.counts()

    items, counts = _with(found)
    if as_json:
        print_json(items)
    else:
        _print_list(items, counts)


@command.command()
@id_argument
@json_option
def show(review_id: int, as_json: bool) -> None:
    """Show one item: its attempts side by side, with verdicts, evidence, cost and changes."""
    from rung.cli.run import print_json

    item = _with(lambda reviews: reviews.show(review_id))
    if as_json:
        print_json(item)
        return
    from rung.cli.review_show import print_item

    print_item(item)


@command.command()
@id_argument
@note_option
@click.option("--apply", "apply_", is_flag=True, help="Write the answer's files.")
@json_option
@click.pass_context
def approve(ctx: click.Context, review_id: int, note: str, apply_: bool, as_json: bool) -> None:
    """Say that the answer is right. With --apply its files are written.

    Where a task waits for leave to ask a paid model, this gives it, and the task goes on.
    """
    from rung.cli.resume import resume

    if (status := resume(review_id, note, apply=apply_, as_json=as_json)) is not None:
        ctx.exit(status)
    _decide(review_id, "approved", note, apply=apply_, as_json=as_json)


@command.command()
@id_argument
@note_option
@json_option
def reject(review_id: int, note: str, as_json: bool) -> None:
    """Say that the answer is wrong."""
    _decide(review_id, "rejected", note, as_json=as_json)


@command.command()
@id_argument
@note_option
@json_option
def skip(review_id: int, note: str, as_json: bool) -> None:
    """Say that the task is not worth doing."""
    _decide(review_id, "skipped", note, as_json=as_json)


@command.command()
@id_argument
@note_option
@click.option("--apply", "apply_", is_flag=True, help="Write the files.")
@click.option("--force", is_flag=True, help="Approve it even where a check fails.")
@json_option
@click.pass_context
def edit(
    ctx: click.Context, review_id: int, note: str, apply_: bool, force: bool, as_json: bool
) -> None:
    """Change the answer in $VISUAL or $EDITOR, check it again, and approve it.

    Where a check fails the item stays open and keeps your version: edit goes on from there, approve
    takes it as it is.
    """
    from rung.cli.review_edit import edit_item

    ctx.exit(edit_item(review_id, note, apply=apply_, force=force, as_json=as_json))


@command.command()
@id_argument
@note_option
@json_option
def reopen(review_id: int, note: str, as_json: bool) -> None:
    """Take a decision back. Files that it wrote stay as they are."""
    _show_decided(_with(lambda reviews: reviews.reopen(review_id, note)), (), as_json=as_json)


def _decide(
    review_id: int, decision: Decision, note: str, *, apply: bool = False, as_json: bool
) -> None:
    item, written = _with(lambda reviews: reviews.decide(review_id, decision, note, apply=apply))
    _show_decided(item, written, as_json=as_json)


def _show_decided(item: ReviewItem, written: Sequence[str], *, as_json: bool) -> None:
    from rung.cli.printable import say
    from rung.cli.run import print_json

    if as_json:
        print_json({"item": item, "written": written})
        return
    say(f"{item.state}: {item.title}")
    if written:
        say(f"written: {', '.join(written)}")


def _with(work: Callable[[Reviews], Awaitable[T]]) -> T:
    from rung.cli.run import run

    async def opened() -> T:
        from rung.facade import Rung

        async with Rung() as rung:
            return await work(rung.reviews)

    return run(opened())


def _print_list(items: list[ReviewItem], counts: dict[Any, int]) -> None:
    from rung.cli.table import print_table

    if items:
        print_table(
            ["id>", "state", "since", "kind", "type", "task", "why"],
            [
                (
                    str(item.id),
                    item.state,
                    f"{item.created_at.astimezone():%Y-%m-%d %H:%M}",
                    item.kind,
                    str(item.outcome.get("type", "–")),
                    item.title,
                    item.reason,
                )
                for item in items
            ],
            spare=["since", "type", "state"],
        )
    elif not counts.get("open"):
        click.echo("nothing waits for review")
    else:
        click.echo("nothing matches")
    if counts:
        total = ", ".join(f"{counts[state]} {state}" for state in STATES if state in counts)
        click.echo(f"{len(items)} shown · {total}")
