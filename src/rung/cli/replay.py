"""`rung replay`: what other ladders would have come to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rung.cli.fail import fail
from rung.cli.numbers import SHARE, USD
from rung.errors import RungError, UsageError
from rung.wording import counted

if TYPE_CHECKING:
    from rung.escalation.learning.index import Stakes
    from rung.escalation.replay.outcomes import World
    from rung.escalation.replay.replay import Question, Replay
    from rung.escalation.replay.scores import PolicyResult

SHOWN_LADDERS = 10


@click.command()
@click.argument("outcomes", type=click.Path(path_type=Path), required=False)
@click.option("--ledger", "from_ledger", is_flag=True, help="Replay what is on record here.")
@click.option("--columns", help="Other names of columns: passed=solved,cost_usd=price")
@click.option("--cost-of-review", type=USD, help="USD for a task that a person must do.")
@click.option("--cost-of-wrong", type=USD, help="USD for a wrong answer that was accepted.")
@click.option("--value", type=USD, help="USD that a right answer is worth.")
@click.option("--false-accept", type=SHARE, help="Share of wrong answers that checks accept.")
@click.option("--false-reject", type=SHARE, help="Share of right answers that checks reject.")
@click.option("--train", type=click.IntRange(min=1), help="Tasks to learn from; default: half.")
@click.option("--splits", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Write an SVG.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    outcomes: Path | None,
    from_ledger: bool,
    columns: str | None,
    cost_of_review: float | None,
    cost_of_wrong: float | None,
    value: float | None,
    false_accept: float | None,
    false_reject: float | None,
    train: int | None,
    splits: int,
    seed: int,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Say what other ladders would have come to, on recorded work.

    OUTCOMES is a CSV file, gzipped or not, with the columns task, model, passed and cost_usd, and
    may have task_type and accepted (what checks said, where passed is the truth). Every policy is
    played on the tasks that all models were tried on.
    """
    from rung.cli.run import print_json
    from rung.escalation.learning.index import Gate
    from rung.escalation.replay.replay import Question

    try:
        world = _world(outcomes, from_ledger=from_ledger, columns=columns)
        rates = None
        if false_accept is not None or false_reject is not None:
            rates = Gate(false_accept=false_accept or 0.0, false_reject=false_reject or 0.0)
        question = Question(
            stakes=_stakes(cost_of_review, cost_of_wrong, value),
            gate=rates,
            train=train,
            splits=splits,
            seed=seed,
        )
        found = _replay(world, question)
        if plot is not None:
            _write(plot, found)
    except RungError as error:
        fail(error)
    if as_json:
        print_json(found)
    else:
        _print(found)


def _replay(world: World, question: Question) -> Replay:
    """The replay; a terminal is told how far it has come, as it may take a minute."""
    from rich.console import Console

    from rung.escalation.replay.replay import replay

    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        return replay(world, question)
    with console.status("replaying") as status:
        return replay(world, question, lambda step: status.update(f"replaying: {step}"))


def _world(outcomes: Path | None, *, from_ledger: bool, columns: str | None) -> World:
    from rung.escalation.replay.outcomes import read_outcomes

    if from_ledger == (outcomes is not None):
        raise UsageError("give either a CSV file of outcomes or --ledger")
    if outcomes is not None:
        return read_outcomes(outcomes, _columns(columns))
    from rung.cli.run import run

    return run(_recorded())


async def _recorded() -> World:
    from rung.escalation.learning.orders import MOST_ATTEMPTS
    from rung.escalation.replay.recorded import recorded_world
    from rung.facade import Rung
    from rung.ledger.rows import SHADOW

    async with Rung() as rung:
        history = await rung.learning.orders.history()
        return recorded_world(history, await rung.ledger.audit(MOST_ATTEMPTS, SHADOW))


def _columns(given: str | None) -> dict[str, str]:
    pairs = [item.partition("=") for item in given.split(",")] if given else []
    for name, sign, theirs in pairs:
        if not (name and sign and theirs):
            raise UsageError("--columns wants pairs of names, as in passed=solved,cost_usd=price")
    return {name.strip(): theirs.strip() for name, _, theirs in pairs}


def _stakes(review: float | None, wrong: float | None, value: float | None) -> Stakes | None:
    from rung.escalation.learning.index import Stakes

    if review is None and wrong is None and value is None:
        return None
    return Stakes(value_usd=value or 0.0, wrong_usd=wrong or 0.0, review_usd=review or 0.0)


def _write(path: Path, found: Replay) -> None:
    from rung.escalation.replay.plot import svg

    try:
        path.write_text(svg(found), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None


def _print(found: Replay) -> None:
    from rung.cli.printable import printable
    from rung.cli.table import print_table

    ladders = sum(policy.name == "fixed" for policy in found.policies)
    left_out = f", {found.left_out} left out as some model lacks them" * bool(found.left_out)
    click.echo(
        f"{counted(found.tasks, 'task')}{left_out} · {counted(len(found.models), 'model')} · "
        f"learned from {found.train}, tested on the rest, {counted(found.splits, 'time')}"
    )
    click.echo(
        f"checks accept {found.false_accept:.1%} of wrong answers and reject "
        f"{found.false_reject:.1%} of right ones; 95 % intervals are in --json"
    )
    click.echo()
    shown = found.policies[: len(found.policies) - ladders + SHOWN_LADDERS]
    print_table(
        ["policy", "solved>", "±>", "wrong>", "review>", "$ per 1,000>", "total $ per task>"],
        [
            (
                printable(_title(p)),
                f"{p.solved:.1%}",
                f"{(p.intervals['solved'][1] - p.intervals['solved'][0]) / 2:.1%}",
                f"{p.wrong_accepted:.1%}",
                f"{p.review:.1%}",
                f"{1000 * p.cost_usd:,.3f}",
                f"{p.total_usd:,.4f}",
            )
            for p in shown
        ],
        folds=["policy"],
    )
    if ladders > SHOWN_LADDERS:
        click.echo(f"… the best {SHOWN_LADDERS} of {ladders} fixed ladders; --json has them all")


def _title(policy: PolicyResult) -> str:
    models = " > ".join(policy.order)
    if policy.name == "fixed" or not models:
        return models or policy.name
    return f"{policy.name}: {models}"
