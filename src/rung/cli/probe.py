"""`rung engines probe`: ask models what they can really do."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rung.facade import Rung
    from rung.routing.models import RoutedModel
    from rung.routing.probe import Probed

_MARKS = {True: "yes", False: "no", None: "–"}


@click.command(
    short_help="Find out by tiny requests what models can do.",
    epilog="Exit status: 0 when every model that was probed answered, else 1.",
)
@click.argument("names", nargs=-1, metavar="[ENGINE[/MODEL]]...")
@click.option("--load", "--all", "loads", is_flag=True, help="Also models that must be loaded.")
@click.option("--paid", is_flag=True, help="Also models that cost money; asks first.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def probe(names: tuple[str, ...], loads: bool, paid: bool, as_json: bool) -> None:
    """Ask models what they can really do, with seven or eight tiny requests each.

    Does the engine enforce a schema? Does the model call tools, and in which form? Can its
    thinking be switched off? How many answers run side by side, and how fast? What is found is
    remembered and used. Without names, whatever is loaded is probed; ENGINE means what that engine
    has loaded, and ENGINE/MODEL is loaded where it has to be.
    """
    from rung.cli.run import print_json, run

    results = run(_probe(names, loads=loads, paid=paid))
    if as_json:
        print_json(results)
    elif results:
        _show(results)
    else:
        click.echo("no model is loaded: name one (see `rung models list`), or add --load", err=True)
    sys.exit(0 if all(result.ok is not False for result in results) else 1)


async def _probe(names: tuple[str, ...], *, loads: bool, paid: bool) -> list[Probed]:
    from rung.facade import Rung
    from rung.routing.probe import unprobed

    async with Rung() as rung:
        chosen = await rung.prober.choose(names, loads=loads)
        models, results = list(chosen.free), list(chosen.skipped)
        if chosen.paid and paid and await _agrees(chosen.paid):
            models += chosen.paid
        else:
            results += [unprobed(m.name, "it is paid; add --paid") for m in chosen.paid]
        return await _run(rung, models) + results


async def _run(rung: Rung, models: list[RoutedModel]) -> list[Probed]:
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    with console.status("") as status:

        def on_step(model: str, step: str) -> None:
            from rung.cli.printable import printable

            status.update(printable(f"{model}: {step}"))

        return [probed async for probed in rung.prober.run(models, on_step)]


async def _agrees(paid: tuple[RoutedModel, ...]) -> bool:
    from rung.cli.confirm import confirm
    from rung.cli.printable import printable

    names = printable(", ".join(model.name for model in paid))
    return await confirm(f"Up to 8 short paid requests each to {names}. Go on?")


def _show(results: list[Probed]) -> None:
    """A table of those that answered; of the others, a line each that says why not."""
    from rung.cli.printable import printable
    from rung.cli.table import number, print_table

    answered = [result for result in results if result.ok]
    if answered:
        print_table(
            ["model", "schema", "tools", "thinking", "slots>", "first ms>", "tokens/s>", "window>"],
            [
                (
                    result.model,
                    _MARKS[result.enforces_schema],
                    result.tools or "–",
                    result.thinking or "–",
                    _slots(result.parallel_slots),
                    number(result.first_token_ms),
                    number(result.tokens_per_s, 1),
                    number(result.context_tokens),
                )
                for result in answered
            ],
        )
    for result in results:
        if not result.ok:
            click.echo(printable(f"{result.model}: {result.error}"))


def _slots(slots: int | None) -> str:
    return "–" if slots is None else "1" if slots == 1 else "2+"
