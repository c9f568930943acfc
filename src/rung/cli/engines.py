"""`rung engines`: what can run models here."""

from __future__ import annotations

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def command(as_json: bool) -> None:
    """Show every engine that is configured or was found on its default port.

    Engines on this machine (LM Studio, Ollama, vLLM, llama-server) are used without any
    configuration; others are declared in rung.toml under [engines.NAME].
    """
    from rung.cli.run import print_json, run

    rows = run(_rows())
    if as_json:
        print_json(rows)
        return
    from rung.cli.table import print_table

    print_table(
        ["engine", "kind", "locality", "models>", "ms>", "state"],
        [
            (
                str(row["engine"]),
                str(row["kind"]),
                str(row["locality"]),
                str(row["models"]),
                f"{row['latency_ms']:.0f}",
                str(row["error"] or "ready"),
            )
            for row in rows
        ],
    )


async def _rows() -> list[dict[str, object]]:
    from rung.facade import Rung

    async with Rung() as rung:
        return [
            {
                "engine": item.engine.name,
                "kind": item.engine.kind,
                "locality": item.engine.locality,
                "models": len(item.models),
                "latency_ms": item.latency_ms,
                "error": item.error,
            }
            for item in await rung.router.listings()
        ]
