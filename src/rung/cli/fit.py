"""`rung models fit`: whether a model fits into this machine's memory, and what would."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal

import click

if TYPE_CHECKING:
    from rung.chat import LoadOptions
    from rung.routing.fitting import FitReport

KV_TYPES = ("f16", "q8_0", "q4_0")
_BASES = {
    "measured": "measured when it was last loaded so",
    "loaded": "as its engine tells, loaded now",
    "file": "computed from the file",
    "size": "an estimate from the size of its weights",
    "parameters": "an estimate from its number of parameters",
}
_ROOMS = {
    "budget": "as memory.budget_gib of the settings allows",
    "declared": "as memory_gib of the engine's settings says",
    "free": "what is free now, less the reserve",
    "unknown": "",
}


@click.command("fit", short_help="Say whether MODEL fits into memory.")
@click.argument("model")
@click.option(
    "--ctx", type=click.IntRange(1, 1 << 31), help="Context window of one slot, in tokens."
)
@click.option("--slots", type=click.IntRange(1, 64), help="Answers at a time.")
@click.option("--kv", type=click.Choice(KV_TYPES), help="Type of the KV cache.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(model: str, ctx: int | None, slots: int | None, kv: str | None, as_json: bool) -> None:
    """Say whether MODEL fits into memory, what it would take, and what would fit.

    MODEL is a model of any engine, an id of the catalogue, or the path of a .gguf file. Nothing is
    loaded. The status is 0 where it fits, 1 where it does not or nobody can tell.
    """
    from rung.chat import LoadOptions
    from rung.cli.run import print_json, run

    options = LoadOptions(context_tokens=ctx, slots=slots, kv_type=_kv_type(kv))
    report = run(_report(model, options))
    if as_json:
        print_json(report)
    else:
        _show(report)
        given = report.options.context_tokens or 0
        if ctx and ctx > given:
            click.echo(f"Its window ends at {given:,} tokens, so {ctx:,} cannot be had.")
    sys.exit(0 if report.fit in ("fits", "tight") else 1)


def _kv_type(name: str | None) -> Literal["f16", "q8_0", "q4_0"] | None:
    return next((kind for kind in KV_TYPES if kind == name), None)


async def _report(model: str, options: LoadOptions) -> FitReport:
    from rung.facade import Rung

    async with Rung() as rung:
        return await rung.inventory.fit(model, options)


def _show(report: FitReport) -> None:
    from rung.cli.printable import say
    from rung.cli.table import print_table

    say(f"{report.model} with {described(report.options)}")
    click.echo()
    print_table(["", "bytes>", ""], _budget_lines(report))
    click.echo()
    click.echo(_verdict(report))
    for kind, tokens in report.largest_contexts.items():
        most = f"{tokens:,} tokens a slot" if tokens else "none fits"
        is_trained = tokens == report.trained_context_tokens
        click.echo(
            f"  largest context with {kind:<4}  {most}{', all it has' if is_trained else ''}"
        )
    for way in report.alternatives:
        click.echo(f"  would fit: {described(way)}")


def described(options: LoadOptions) -> str:
    """`4,096 tokens of context, 2 slots, q8_0 cache`."""
    slots = options.slots or 1
    each = f"{options.context_tokens or 0:,} tokens of context"
    return f"{each}, {slots} slot{'s' if slots > 1 else ''}, {options.kv_type or 'f16'} cache"


def _budget_lines(report: FitReport) -> list[tuple[str, str, str]]:
    from rung.cli.table import size

    parts, expected = report.budget, report.expectation
    lines: list[tuple[str, str, str]] = []
    if parts is not None:
        lines += [
            ("weights", size(parts.weights_bytes), ""),
            ("KV cache", size(parts.kv_bytes), ""),
            ("buffers", size(parts.buffers_bytes), ""),
            ("process", size(parts.runtime_bytes), ""),
        ]
    lines.append(("needed", size(expected.memory_bytes), _BASES[expected.basis]))
    if expected.growth_bytes:
        grown = f"+ {size(expected.growth_bytes)}"
        is_guess = expected.basis in ("size", "parameters")
        why = "or more: it is a rough estimate" if is_guess else "at the most, for saved prompts"
        lines.append(("with use", grown, why))
    lines.append(("room", size(report.room_bytes), _room_note(report)))
    return lines


def _room_note(report: FitReport) -> str:
    if report.room_basis == "free" and report.held_models:
        return f"once unloaded: {', '.join(report.held_models)}"
    return _ROOMS[report.room_basis]


def _verdict(report: FitReport) -> str:
    match report.fit:
        case "fits":
            return "It fits."
        case "tight":
            return "It fits, but tightly: with use it may outgrow the room."
        case "too large" if report.alternatives:
            return "It does not fit."
        case "too large":
            return "It does not fit, whatever its window: take a smaller model or quantisation."
        case _:
            engine = report.model.partition("/")[0]
            return (
                "Nobody knows how much memory its host has; "
                f"say it with `memory_gib` under [engines.{engine}] in rung.toml."
            )
