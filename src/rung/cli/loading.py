"""`rung models load`, `unload` and `ps`: what is in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rung.chat import LoadedModel, LoadOptions
    from rung.errors import EngineError
    from rung.facade import Rung
    from rung.models.lifecycle.status import ModelStatus
    from rung.routing.models import RoutedModel

_TRIAL_TOKENS = 16


@click.command(short_help="Load MODEL into its engine's memory.")
@click.argument("model")
@click.option("--ctx", type=click.IntRange(256, 1_048_576), help="Context window, in tokens.")
@click.option("--slots", type=click.IntRange(1, 64), help="Answers at a time.")
@click.option("--kv", type=click.Choice(["f16", "q8_0", "q4_0"]), help="Type of the KV cache.")
@click.option("--keep", is_flag=True, help="Hold an embedded model until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def load(
    model: str, ctx: int | None, slots: int | None, kv: str | None, keep: bool, as_json: bool
) -> None:
    """Load MODEL into its engine's memory, where it stays until it is unloaded or evicted.

    An embedded model lives inside the command that uses it, and each command loads what it needs.
    Loading one here is a trial: it is loaded, measured, asked for a few words, and unloaded.
    """
    import msgspec

    from rung.chat import LoadOptions
    from rung.cli.run import print_json, run

    options = msgspec.convert({"context_tokens": ctx, "slots": slots, "kv_type": kv}, LoadOptions)
    report = run(_load(model, options, keeps=keep, is_quiet=as_json))
    if as_json:
        print_json(report)


@click.command(short_help="Take MODEL out of its engine's memory.")
@click.argument("model")
def unload(model: str) -> None:
    """Take MODEL out of its engine's memory, whoever loaded it there."""
    from rung.cli.run import run

    click.echo(f"unloaded {model}" if run(_unload(model)) else f"{model} was not loaded")


@click.command(short_help="List the models that are in memory.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def ps(as_json: bool) -> None:
    """List the models in the memory of all engines that outlive a command."""
    from rung.cli.printable import say
    from rung.cli.run import print_json, run

    rows, failures = run(_survey())
    if as_json:
        print_json(rows)
        return
    if rows:
        _print_rows(rows)
    else:
        click.echo("no model is loaded; an embedded one is loaded by the command that uses it")
    for name, failure in failures.items():
        say(f"{name} did not say what it has loaded: {failure.message}", err=True)


COMMANDS = (load, unload, ps)


async def _load(name: str, options: LoadOptions, *, keeps: bool, is_quiet: bool) -> dict[str, Any]:
    from rung.cli.printable import say
    from rung.facade import Rung

    async with Rung() as rung:
        model = await rung.router.find(name)
        loaded = await _load_shown(rung, model, options, is_quiet=is_quiet)
        report = _report(model, loaded)
        if model.engine.kind == "embedded":
            report |= await _try_out(rung, model)
        if not is_quiet:
            say(_in_words(report))
        if model.engine.kind == "embedded":
            await _end_trial(rung, model, keeps=keeps)
        return report


async def _load_shown(
    rung: Rung, model: RoutedModel, options: LoadOptions, *, is_quiet: bool
) -> LoadedModel:
    """Load with a bar on stderr, which moves where the engine tells how far it has come."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    is_hidden = is_quiet or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=is_hidden) as bar:
        line = bar.add_task(f"loading {model.info.id}", total=None)

        def on_progress(share: float) -> None:
            bar.update(line, total=1.0, completed=share)

        return await rung.manager.load(model.engine, model.info.id, options, on_progress)


async def _try_out(rung: Rung, model: RoutedModel) -> dict[str, Any]:
    """The model's speed, and its memory once it has answered."""
    answer = await rung.ask("Say hello.", model=model.name, max_tokens=_TRIAL_TOKENS)
    rows, _ = await rung.manager.survey()
    mine = next((row for row in rows if (row.engine, row.model) == _key(model)), None)
    memory = {"memory_bytes": mine.memory_bytes} if mine is not None else {}
    return {**memory, "tokens_per_s": answer.timings.tokens_per_s}


async def _end_trial(rung: Rung, model: RoutedModel, *, keeps: bool) -> None:
    import asyncio

    if keeps:
        click.echo(f"{model.name} is held until Ctrl-C", err=True)
        await asyncio.Event().wait()
    await rung.manager.unload(model.engine, model.info.id)
    click.echo("unloaded again: each command loads the embedded model that it needs", err=True)


async def _unload(name: str) -> bool:
    from rung.errors import UsageError
    from rung.facade import Rung

    async with Rung() as rung:
        model = await rung.router.find(name)
        if model.engine.kind == "embedded":
            raise UsageError(
                f"{model.name} is in the memory only of the command that uses it, and goes with it"
            )
        return await rung.manager.unload(model.engine, model.info.id)


async def _survey() -> tuple[list[ModelStatus], dict[str, EngineError]]:
    from rung.facade import Rung

    async with Rung() as rung:
        return await rung.manager.survey()


def _key(model: RoutedModel) -> tuple[str, str]:
    return model.engine.name, model.info.id


def _report(model: RoutedModel, loaded: LoadedModel) -> dict[str, Any]:
    return {
        "model": model.name,
        "load_ms": loaded.load_ms,
        "memory_bytes": loaded.memory_bytes,
        "context_tokens": loaded.context_tokens,
        "slots": loaded.slots,
    }


def _in_words(report: dict[str, Any]) -> str:
    """`NAME: loaded in 0.7 s, 250 MB, context 4,096, 1 slot, 45 tokens/s`; only what is known."""
    from rung.cli.table import number, size

    shown: dict[str, Callable[[Any], str]] = {
        "load_ms": lambda value: f"loaded in {value / 1000:.1f} s",
        "memory_bytes": size,
        "context_tokens": lambda value: f"context {number(value)}",
        "slots": lambda value: "1 slot" if value == 1 else f"{value} slots",
        "tokens_per_s": lambda value: f"{value:.0f} tokens/s",
    }
    known = [say(report[name]) for name, say in shown.items() if report.get(name) is not None]
    if report.get("load_ms") is None:
        known.insert(0, "loaded")
    return f"{report['model']}: {', '.join(known)}"


def _print_rows(rows: list[ModelStatus]) -> None:
    from rung.cli.table import number, print_table, size

    print_table(
        ["model", "state", "memory>", "context>", "slots>", "pinned", "loaded by"],
        [
            (
                f"{row.engine}/{row.model}",
                row.state,
                size(row.memory_bytes),
                number(row.context_tokens),
                number(row.slots),
                "yes" if row.is_pinned else "–",
                _loaded_by(row),
            )
            for row in rows
        ],
    )


def _loaded_by(row: ModelStatus) -> str:
    """Who may unload it to make room: the next command, another process of Rung's, or not Rung."""
    if row.claimed_by is not None:
        return f"Rung, process {row.claimed_by}"
    return "Rung" if row.is_ours else "another program"
