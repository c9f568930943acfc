"""`rung models`: what can be asked, and what can be fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rung.models.store import InstalledModel
    from rung.routing.models import ModelRow


@click.group()
def command() -> None:
    """List, pull and remove models."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def list_(as_json: bool) -> None:
    """List the models of all engines, and those of the catalogue that can be pulled."""
    from rung.cli.run import print_json, run

    rows = run(_rows())
    if as_json:
        print_json(rows)
        return
    from rung.cli.table import number, print_table, size

    print_table(
        ["model", "tier", "state", "size>", "context>", "quant", "$/Mtok>"],
        [
            (
                row.model,
                row.tier or "–",
                row.state,
                size(row.size_bytes),
                number(row.context_tokens),
                row.quantization or "–",
                _price(row),
            )
            for row in rows
        ],
    )
    for row in rows:
        if row.state == "pullable":
            click.echo(f"fetch it with: rung models pull {row.model.partition('/')[2]}")


@command.command()
@click.argument("model_id")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def pull(model_id: str, quiet: bool) -> None:
    """Fetch MODEL_ID of the catalogue, verify it, and put it into the model store.

    MODEL_ID may also be the path of a .gguf file on this machine; its name becomes the model's.
    A model that is there and whole is not fetched again. See `rung models list`.
    """
    from rung.cli.run import run

    installed = run(pull_model(model_id, is_quiet=quiet))
    click.echo(f"{installed.id}  {installed.path}")


@command.command()
@click.argument("model_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
def rm(model_id: str, yes: bool) -> None:
    """Remove MODEL_ID's weights from the model store."""
    from rung.cli.fail import fail
    from rung.cli.table import size
    from rung.config.load import load
    from rung.errors import RungError
    from rung.models.store import ModelStore

    try:
        store = ModelStore(load().settings.models_dir)
        found = store.find(model_id)
        if found and not yes:
            click.confirm(f"Remove {model_id} ({size(found.size_bytes)})?", abort=True)
        store.remove(model_id)
    except RungError as error:
        fail(error)
    click.echo(f"removed {model_id}")


async def pull_model(model_id: str, *, is_quiet: bool) -> InstalledModel:
    """Pull with a progress bar on stderr. Needs no engine and no ledger."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from rung.config.load import load
    from rung.models.progress import PullProgress
    from rung.models.pull import pull as fetch
    from rung.models.store import ModelStore

    store = ModelStore(load().settings.models_dir)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=is_quiet) as bar:
        bars: dict[str, int] = {}

        def on_progress(now: PullProgress) -> None:
            if now.phase == "done":
                return
            if now.phase not in bars:
                bars[now.phase] = bar.add_task(f"{model_id} · {now.phase}", total=now.total_bytes)
            bar.update(bars[now.phase], completed=now.done_bytes, total=now.total_bytes)  # type: ignore[arg-type]

        return await fetch(model_id, store, on_progress)


async def _rows() -> list[ModelRow]:
    from rung.facade import Rung

    async with Rung() as rung:
        return await rung.list_models()


def _price(row: ModelRow) -> str:
    price_in, price_out = row.usd_per_mtok_in, row.usd_per_mtok_out
    if price_in is None or price_out is None:
        return "unknown"
    return "free" if not price_in and not price_out else f"${price_in:g}/${price_out:g}"
