"""`rung engines`: what can run models here, and what it can really do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rung.cli.probe import probe

if TYPE_CHECKING:
    from rung.routing.overview import EngineRow


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """Show every engine that is configured or was found on its default port.

    Engines on this machine (LM Studio, Ollama, vLLM, llama-server) are used without any
    configuration; others are declared in rung.toml under [engines.NAME].
    """
    if context.invoked_subcommand is None:
        _show(as_json)
    elif as_json:
        raise click.UsageError("put --json after the command", context)


@command.command("list", short_help="Show every engine (as without a command).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def list_(as_json: bool) -> None:
    """Show every engine: whether it is there, its version, what it has and can do."""
    _show(as_json)


command.add_command(probe)


def _show(as_json: bool) -> None:
    from rung.cli.run import print_json, run

    rows = run(_rows())
    if as_json:
        print_json(rows)
        return
    from rung.cli.printable import say
    from rung.cli.table import number, print_table

    has_tunnel = any(row.tunnel for row in rows)
    print_table(
        [
            *("engine", "kind", "version", "locality", "models>", "loaded>", "can"),
            *(("tunnel",) if has_tunnel else ()),
            *("ms>", "state"),
        ],
        [
            (
                row.engine,
                row.kind,
                row.version or "–",
                row.locality,
                str(row.models),
                str(row.loaded),
                " ".join(row.can),
                *((row.tunnel or "–",) if has_tunnel else ()),
                number(row.latency_ms),
                _state(row.error),
            )
            for row in rows
        ],
        spare=("ms>", "version", "kind", "can"),
        folds=("can",),
    )
    for row in rows:
        if row.error:
            say(f"{row.engine}: {row.error}")


def _state(error: str | None) -> str:
    """`ready`, or the first word or two of what is wrong; the whole stands below the table."""
    return error.partition(":")[0] if error else "ready"


async def _rows() -> list[EngineRow]:
    from rung.facade import Rung

    async with Rung() as rung:
        return await rung.list_engines()
