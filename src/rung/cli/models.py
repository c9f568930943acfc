"""`rung models`: what can be asked, what it needs, and what can be fetched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from rung.cli import downloads, fit, loading

if TYPE_CHECKING:
    from rung.routing.facts import Fact, ModelFacts
    from rung.routing.rows import ModelRow


@click.group()
def command() -> None:
    """List, fetch, fit, load and remove models."""


for _command in (*downloads.COMMANDS, fit.command, *loading.COMMANDS):
    command.add_command(_command)


@command.command("list", short_help="List the models of all engines.")
@click.option("--engine", help="Only the models of this engine.")
@click.option("--loaded", is_flag=True, help="Only models that are in memory.")
@click.option("--all", "show_all", is_flag=True, help="Cloud models never used or declared, too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array, of all models.")
def list_(engine: str | None, loaded: bool, show_all: bool, as_json: bool) -> None:
    """List the models of all engines, and those of the catalogue that can be pulled.

    A cloud engine's are listed once they are declared in rung.toml, or used. `fit` says whether
    this machine has the memory, `tok/s` what was measured here.
    """
    from rung.cli.run import print_json, run

    rows, failures = run(_rows(engine))
    if loaded:
        rows = [row for row in rows if row.state == "loaded"]
    if as_json:
        print_json(rows)
        return
    shown = [row for row in rows if show_all or engine or row.is_used]
    from rung.cli.printable import say

    _print_rows(shown)
    for line in _notes(shown, rows, {} if loaded else failures):
        say(line)


@command.command(short_help="Show all that is known of MODEL.")
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(model: str, as_json: bool) -> None:
    """Show all that is known of MODEL, and where each fact comes from."""
    from rung.cli.printable import say
    from rung.cli.run import print_json, run
    from rung.cli.table import print_table

    facts = run(_facts(model))
    if as_json:
        print_json(facts)
        return
    row = facts.row
    say(f"{row.model}: {row.state}, tier {row.tier or '–'}, {_price(row)}, fit: {row.fit}")
    click.echo()
    print_table(["fact", "value", "source"], [(f.name, _value(f), f.source) for f in facts.facts])


@command.command(short_help="Remove a model from the store.")
@click.argument("model_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
def rm(model_id: str, yes: bool) -> None:
    """Remove MODEL_ID's weights from the model store; other engines remove their own."""
    from rung.cli.run import run

    name = model_id.removeprefix("local:").removeprefix("embedded/")
    if not run(_remove(name, is_sure=yes)):
        raise click.Abort
    click.echo(f"removed {name}")


async def _rows(engine: str | None) -> tuple[list[ModelRow], dict[str, str]]:
    """The rows, and the engines that do not list theirs; of one engine, if one is named."""
    from rung.facade import Rung

    async with Rung() as rung:
        rows, failures = await rung.list_models(), await rung.inventory.failures()
        if engine is None:
            return rows, failures
        name = rung.router.engine(engine).name
        found = [row for row in rows if row.model.startswith(f"{name}/")]
        return found, {name: failures[name]} if name in failures else {}


async def _facts(model: str) -> ModelFacts:
    from rung.facade import Rung

    async with Rung() as rung:
        return await rung.inventory.facts(model)


async def _remove(model_id: str, *, is_sure: bool) -> bool:
    """Whether the user agreed, and it is gone."""
    from rung.cli.confirm import confirm
    from rung.cli.table import size
    from rung.facade import Rung

    async with Rung() as rung:
        found = rung.store.find(model_id)
        if found is not None and not is_sure:
            question = f"Remove {model_id} ({size(found.size_bytes)})?"
            if not await confirm(question):
                return False
        await rung.downloads.remove(model_id)
    return True


def _print_rows(rows: Sequence[ModelRow]) -> None:
    from rung.cli.table import number, print_table, size

    print_table(
        ["model", "state", "size>", "context>", "fit", "tok/s>", "tier", "$/Mtok>", "quant"],
        [
            (
                f"{row.model} (pinned)" if row.pinned else row.model,
                row.state,
                size(row.size_bytes),
                number(row.context_tokens),
                "–" if row.fit == "unknown" else row.fit,
                number(row.tokens_per_s),
                row.tier or "–",
                _price(row),
                row.quantization or "–",
            )
            for row in rows
        ],
        spare=("quant", "$/Mtok>", "tier", "tok/s>"),
    )


def _notes(
    shown: Sequence[ModelRow], rows: Sequence[ModelRow], failures: dict[str, str]
) -> list[str]:
    """What the table cannot say: how to go on, what is left out, which engines are missing."""
    hidden = Counter(row.model.partition("/")[0] for row in rows if row not in shown)
    return [
        *(f"{row.model}: {row.problem}" for row in shown if row.problem),
        *(
            f"fetch it with: rung models pull {row.model.partition('/')[2]}"
            for row in shown
            if row.state == "pullable"
        ),
        *(
            f"{engine}: {count} more, neither declared nor used (rung models list --all)"
            for engine, count in hidden.items()
        ),
        *(f"{engine}: not listed: {error}" for engine, error in failures.items()),
    ]


def _price(row: ModelRow) -> str:
    price_in, price_out = row.usd_per_mtok_in, row.usd_per_mtok_out
    if price_in is None or price_out is None:
        return "–"
    return "free" if not price_in and not price_out else f"${price_in:g}/${price_out:g}"


def _value(fact: Fact) -> str:
    """The value as people read it: bytes as sizes, numbers with their thousands apart."""
    from rung.cli.table import number, size

    value = fact.value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str) or value is None:
        return value or "–"
    if "_bytes" in fact.name:
        return size(round(value))
    return number(value, 0 if value == round(value) else 2)
