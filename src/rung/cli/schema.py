"""`rung schema`: what engines will not enforce of a schema, what they are sent, what is valid."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from rung.cli.fail import fail
from rung.errors import RungError
from rung.wording import counted

if TYPE_CHECKING:
    from rung.structured.audit import Report

_INVALID = 1


@click.group()
def command() -> None:
    """Audit, compile and check JSON Schemas and pydantic models."""


@command.command(short_help="Find schemas; say what each engine will not enforce.")
@click.argument("names", metavar="[PATH|MODULE]...", nargs=-1)
@click.option("--engine", "engines", multiple=True, metavar="T", help="Only this kind of engine.")
@click.option("--format", "form", type=click.Choice(["table", "json", "markdown"]), default="table")
@click.option("--budget", type=click.IntRange(min=1), help="Tokens of an answer.  [default: 1024]")
@click.option("--exclude", "excluded", multiple=True, metavar="GLOB", help="Pass over in folders.")
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings, too.")
@click.option("--import", "runs", is_flag=True, help="RUN the modules, and ask pydantic.")
@click.option("--python", metavar="PATH", help="The Python for --import.  [default: .venv's]")
@click.option("--import-timeout", type=click.FloatRange(min=0.1), default=30.0, show_default=True)
def audit(
    names: tuple[str, ...],
    engines: tuple[str, ...],
    form: str,
    budget: int | None,
    excluded: tuple[str, ...],
    strict: bool,
    runs: bool,
    python: str | None,
    import_timeout: float,
) -> None:
    """Find every schema and say what each engine will not enforce, why, and the fix.

    Python files are read, not run: pydantic models, TypedDicts and dataclasses used as output
    models, dict literals and strings that are JSON Schemas. So are .json, .jsonl and .toml files.
    With --import the modules are imported, which RUNS THEIR CODE with your rights, in a process
    of its own. Without a name the current folder is audited.

    Exits with 1 if there is an error (with --strict, or a warning), else with 0.
    """
    from rung.structured.audit import audit as audited
    from rung.structured.portable import DEFAULT_MAX_TOKENS

    try:
        report = audited(
            names,
            targets=engines,
            budget_tokens=budget or DEFAULT_MAX_TOKENS,
            excluded=excluded,
            imports=_imports(python, import_timeout) if runs else None,
        )
    except RungError as error:
        fail(error)
    _show(report, form)
    sys.exit(_INVALID if report.has_at_least("warning" if strict else "error") else 0)


def _imports(python: str | None, timeout_s: float) -> Any:
    from pathlib import Path

    from rung.config.load import load
    from rung.errors import UsageError
    from rung.structured.audit.imported import Imports
    from rung.validation.interpreter import project_python

    if python is not None and not Path(python).is_file():
        raise UsageError(f"--python: {python} does not exist")
    found = python or str(project_python(Path.cwd(), load().settings.sandbox, "pydantic"))
    click.echo(f"importing with {found}: this runs the modules' code", err=True)
    return Imports(found, timeout_s)


def _show(report: Report, form: str) -> None:
    from rung.cli.printable import echo_answer

    if form == "json":
        from rung.cli.run import print_json

        print_json(report)
    elif form == "markdown":
        from rung.structured.audit import as_markdown

        echo_answer(as_markdown(report), nl=False)
    else:
        _print_table(report)


def _print_table(report: Report) -> None:
    from rung.cli.table import print_table
    from rung.structured.audit import SCOPES, SEVERITIES

    if report.findings:
        print_table(
            ["level", "line", "where", "rule", "scope", "engines", "why"],
            [
                (
                    found.severity,
                    f"{found.file}:{found.line}",
                    found.where,
                    found.rule,
                    found.scope,
                    report.engines_of(found),
                    found.why,
                )
                for severity in SEVERITIES
                for found in report.findings
                if found.severity == severity
            ],
            spare=["scope"],
            folds=["line", "where", "engines", "why"],
        )
        click.echo()
        print_table(["rule", "fix"], sorted({(f.rule, f.fix) for f in report.findings}))
        click.echo()
        shown = {found.scope for found in report.findings}
        print_table(["scope", "meaning"], [row for row in SCOPES.items() if row[0] in shown])
    counts = ", ".join(f"{report.count(severity)} {severity}" for severity in SEVERITIES)
    click.echo(
        f"{counted(report.schemas, 'schema')} in {counted(report.files, 'file')}: {counts}",
        err=True,
    )


@command.command("compile", short_help="Print what an engine gets in place of a schema.")
@click.argument("file")
@click.option("--target", default="generic", show_default=True, help="The kind of engine.")
@click.option("--budget", type=click.IntRange(min=1), help="Tokens that an answer must fit.")
@click.option("--json", "as_json", is_flag=True, help="Schema and what was relaxed, as one object.")
def compile_(file: str, target: str, budget: int | None, as_json: bool) -> None:
    """Print the schema that Rung sends in place of FILE's ("-" for stdin).

    It goes to stdout; what differs from the original and is checked afterwards goes to stderr.
    """
    from rung.cli.run import print_json
    from rung.cli.schema_input import read_schema
    from rung.structured import compile_schema
    from rung.structured.portable import tokens_needed

    try:
        compiled = compile_schema(read_schema(file), target, budget)
    except RungError as error:
        fail(error)
    tokens = tokens_needed(compiled)
    if as_json:
        facts = {"relaxed": compiled.relaxed, "is_strict": compiled.is_strict, "tokens": tokens}
        print_json({"schema": compiled.schema, "target": target, **facts})
        return
    print_json(compiled.schema)
    click.echo(f"longest answer: {f'{tokens:,} tokens' if tokens else 'not bounded'}", err=True)
    for relaxed in compiled.relaxed:
        click.echo(f"relaxed: {_plain(relaxed)}", err=True)


@command.command(short_help="Say whether an instance is valid, and why not.")
@click.argument("file")
@click.argument("instance")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as one object.")
def check(file: str, instance: str, as_json: bool) -> None:
    """Say whether INSTANCE is valid under the schema in FILE; "-" is stdin, for one of them.

    Formats are checked, too. Exits with 0 if it is valid and with 1 if it is not; then each
    violation is a line, `JSON Pointer: what is wrong`.
    """
    from rung.cli.run import print_json
    from rung.cli.schema_input import read_json, read_schema
    from rung.errors import UsageError
    from rung.structured import violations

    try:
        if file == instance == "-":
            raise UsageError('only one of FILE and INSTANCE can be "-"')
        problems = violations(read_json(instance), read_schema(file))
    except RungError as error:
        fail(error)
    if as_json:
        print_json({"valid": not problems, "violations": problems})
    else:
        click.echo("\n".join(map(_plain, problems)) or "valid")
    sys.exit(_INVALID if problems else 0)


def _plain(text: str) -> str:
    from rung.cli.printable import printable

    return printable(text)
