"""`rung models`: what can be asked, and what can be fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rung.models.store import InstalledModel


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
        ["model", "tier", "state", "size>", "context>", "quantization", "price in/out per Mtok>"],
        [
            (
                str(row["model"]),
                str(row["tier"] or "–"),
                str(row["state"]),
                size(row["size_bytes"]),
                number(row["context_tokens"]),
                str(row["quantization"] or "–"),
                _price(row),
            )
            for row in rows
        ],
    )


@command.command()
@click.argument("model_id")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def pull(model_id: str, quiet: bool) -> None:
    """Fetch MODEL_ID of the catalogue, verify it, and put it into the model store.

    A model that is there and whole is not fetched again.
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


async def _rows() -> list[dict[str, object]]:
    from rung.facade import Rung
    from rung.models.catalogue import catalogue

    async with Rung() as rung:
        found = [
            {
                "model": model.name,
                "tier": model.tier or None,
                "state": _state(model.info.is_loaded, model.locality),
                "size_bytes": model.info.size_bytes,
                "context_tokens": model.info.context_tokens,
                "quantization": model.info.quantization,
                "locality": model.locality,
                "usd_per_mtok_in": model.price.usd_per_mtok_in if model.price else None,
                "usd_per_mtok_out": model.price.usd_per_mtok_out if model.price else None,
            }
            for model in await rung.router.models()
        ]
        known = {row["model"] for row in found}
        return found + [
            {
                "model": f"embedded/{entry.id}",
                "tier": entry.tier,
                "state": f"can be pulled: rung models pull {entry.id}",
                "size_bytes": entry.size_bytes,
                "context_tokens": entry.context_tokens,
                "quantization": entry.quantization,
                "locality": "local",
                "usd_per_mtok_in": 0.0,
                "usd_per_mtok_out": 0.0,
            }
            for entry in catalogue().values()
            if f"embedded/{entry.id}" not in known
        ]


def _state(is_loaded: bool | None, locality: str) -> str:
    if locality == "cloud":
        return "available"
    return "loaded" if is_loaded else "installed"


def _price(row: dict[str, object]) -> str:
    price_in, price_out = row["usd_per_mtok_in"], row["usd_per_mtok_out"]
    if price_in is None or price_out is None:
        return "unknown"
    return "free" if not price_in and not price_out else f"${price_in:g}/${price_out:g}"
