"""The `rung` command. A subcommand's module is imported only when it is run."""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module
from pathlib import Path

import click

# name -> (module, one line for `rung --help`)
COMMANDS: dict[str, tuple[str, str]] = {
    "do": ("rung.cli.do", "Do a task: cheapest model first, checked, climbing only on failure."),
    "ask": ("rung.cli.ask", "Ask one model a question; no checks, no ladder."),
    "demo": ("rung.cli.demo", "Run three bundled tasks through the ladder of this machine."),
    "schema": ("rung.cli.schema", "Say what engines will not enforce of your schemas."),
    "models": ("rung.cli.models", "List, fetch, fit, load and remove models."),
    "engines": (
        "rung.cli.engines",
        "Show the engines that Rung knows, and probe what they can do.",
    ),
    "health": ("rung.cli.health", "Say whether models, database and system are well."),
    "doctor": ("rung.cli.doctor", "Say what this machine can do, and what to do next."),
    "matrix": ("rung.cli.matrix", "Show which models do and check which work here."),
    "checks": ("rung.cli.checks", "List the checks that answers can be put to."),
    "classify": ("rung.cli.classify", "Say how careful a task needs to be, and why."),
    "stats": ("rung.cli.stats", "Show how well tasks went: types, workers, checks, cost."),
    "control": ("rung.cli.control", "Show what was done: calls, tasks, cost."),
    "budget": ("rung.cli.budget", "Show what was spent, and what is left of the limits."),
    "learn": ("rung.cli.learn", "Show what outcomes taught, and what they suggest to change."),
    "replay": ("rung.cli.replay", "Say what other ladders would have come to, on recorded work."),
    "shadow": ("rung.cli.shadow", "Let another model do accepted work again, and compare."),
    "review": ("rung.cli.review", "See and decide what waits for a person."),
    "config": ("rung.cli.config", "Show the settings and where each one comes from."),
}
INTERRUPTED = 130


class LazyGroup(click.Group):
    """A group that knows its commands by name, and imports the one that is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return getattr(import_module(COMMANDS[cmd_name][0]), "command")  # noqa: B009

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from rung.config.schema import nearest

            hint = nearest(args[0], COMMANDS)
            raise click.UsageError(f"no command {args[0]!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        # Every command looks for settings in the current folder; a shell may stand in one that
        # was deleted.
        try:
            Path.cwd()
        except FileNotFoundError:
            raise click.UsageError("the current folder does not exist any more") from None
        return super().invoke(ctx)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog='Start with: rung demo, then rung do "…" --out FILE --check tests:tests',
)
@click.version_option(package_name="rung", prog_name="rung")
def group() -> None:
    """Rung does work with the cheapest language model that passes your checks.

    A task starts on a model of your own machine. A check that can fail (a schema, a parser, a
    compiler, your tests) decides; only a failed check climbs to the next model, inside a budget.
    """


def main() -> None:
    """The entry point of the `rung` command."""
    try:
        # Standalone, click would turn Ctrl-C into "Aborted!" and status 1.
        status = group.main(prog_name="rung", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            sys.exit(INTERRUPTED)
        click.echo("Aborted!", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except OSError as error:
        # Without a file's name it is an open stream that took no more: stdout on a full disk.
        if error.errno != errno.ENOSPC or error.filename is not None:
            raise
        _discard_output()
        click.echo(f"error: the output cannot be written: {error.strerror}", err=True)
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)


def _discard_output() -> None:
    """Send what stdout still holds nowhere: the interpreter flushes it as it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
