"""`rung ask`: one question, one model."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("text", required=False)
@click.option("--model", help="engine/model; see `rung models list`. It answers or fails.")
@click.option(
    "--schema", type=click.Path(path_type=Path), help="JSON Schema: the answer is a valid object."
)
@click.option(
    "--may-refuse", is_flag=True, help="With --schema: the model may say why it has no answer."
)
@click.option(
    "--stream",
    is_flag=True,
    help="With --schema: show the object as it grows; to a pipe, or with --json, as JSON lines.",
)
@click.option("--system", help="A system message.")
@click.option("--max-tokens", type=click.IntRange(min=1), help="Longest answer, in tokens.")
@click.option("--temperature", type=click.FloatRange(0, 2))
@click.option("--timeout", type=click.FloatRange(min=0.1), help="Longest wait, in seconds.")
@click.option("--local-only", is_flag=True, help="Never leave this machine, whatever else is set.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole completion as JSON.")
def command(
    text: str | None,
    model: str | None,
    schema: Path | None,
    may_refuse: bool,
    stream: bool,
    system: str | None,
    max_tokens: int | None,
    temperature: float | None,
    timeout: float | None,
    local_only: bool,
    as_json: bool,
) -> None:
    """Ask a model TEXT and print the answer as it comes.

    No check decides here and nothing climbs: use `rung do` for that. Text read from a pipe is
    added to TEXT.
    """
    from rung.chat import Message
    from rung.cli.ask_answer import show_answer
    from rung.cli.fail import fail
    from rung.cli.piped import piped_text
    from rung.cli.run import run
    from rung.errors import RungError
    from rung.escalation.task_file import read_schema

    try:
        loaded = read_schema(schema) if schema else None
        prompt = (text or "") + piped_text()
    except RungError as error:
        fail(error)
    messages = [Message(role="user", content=prompt)]
    if system:
        messages.insert(0, Message(role="system", content=system))
    options = {
        "model": model,
        "schema": loaded,
        "may_refuse": may_refuse,
        "max_tokens": max_tokens,
        "temperature": temperature,
        "timeout_s": timeout,
        "local_only": local_only,
    }
    run(show_answer(messages, options, as_json=as_json, is_streamed=stream))
