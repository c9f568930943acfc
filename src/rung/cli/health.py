"""`rung health`: whether models, database and system are well."""

from __future__ import annotations

import sys
from typing import Any, Literal, cast

import click

Part = Literal["lm", "db", "system"]
PARTS: tuple[Part, ...] = ("lm", "db", "system")


@click.command(epilog="Exit status: 0 when all that was asked for is well, else 1.")
@click.argument("part", required=False, type=click.Choice(PARTS))
@click.option("--probe", is_flag=True, help="Also ask each engine for one token; may load a model.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(part: Part | None, probe: bool, as_json: bool) -> None:
    """Say whether models (lm), database (db) and system are well; all three by default.

    Four levels for each engine: it answers, it lists its model, has it loaded, and, with --probe,
    a token came out. Nothing is loaded or downloaded unless --probe is given.
    """
    from rung.cli.run import print_json, run

    report = run(_report((part,) if part else PARTS, probe))
    if as_json:
        print_json(report[part] if part else report)
    else:
        _show(report)
    sys.exit(0 if all(item["ok"] for item in report.values()) else 1)


async def _report(parts: tuple[Part, ...], probe: bool) -> dict[str, dict[str, Any]]:
    from rung.facade import Rung

    async with Rung() as rung:
        return {part: await rung.health(part, probe=probe) for part in parts}


def _show(report: dict[str, dict[str, Any]]) -> None:
    from rung.cli.printable import printable

    for part, item in report.items():
        mark = click.style("✓", fg="green") if item["ok"] else click.style("✗", fg="red")
        click.echo(f"{mark} {click.style(part, bold=True):<8} {item['mode']}")
        for name, detail in item["details"].items():
            if isinstance(detail, dict):
                levels = cast("dict[str, dict[str, Any]]", detail)
                click.echo(f"    {name:<12} {_levels(levels)}")
                for trouble in _troubles(levels):
                    click.echo(f"    {'':<12} {printable(trouble)}")
            elif detail not in (None, ""):
                text = f"{detail:.1f}" if isinstance(detail, float) else printable(str(detail))
                is_loss = name == "lost_rows" and detail
                click.echo(f"    {name:<12} {click.style(text, fg='red' if is_loss else None)}")


def _levels(levels: dict[str, dict[str, Any]]) -> str:
    parts: list[str] = []
    for name, level in levels.items():
        if level["ok"] is None:
            continue
        if name == "loaded" and not level["ok"]:
            # No fault: it is loaded when it is first asked.
            parts.append("– not loaded")
            continue
        mark = "✓" if level["ok"] else "✗"
        took = f" {level['latency_ms']:.0f} ms" if level["latency_ms"] is not None else ""
        parts.append(f"{mark} {name}{took}")
    return "  ".join(parts) or "–"


def _troubles(levels: dict[str, dict[str, Any]]) -> list[str]:
    """What is wrong, each once: an engine that cannot be reached lists nothing for that reason."""
    errors = [level["error"] for name, level in levels.items() if name != "loaded"]
    return list(dict.fromkeys(error for error in errors if error))
