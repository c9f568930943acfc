"""One review item on a terminal."""

from __future__ import annotations

from pathlib import Path

import msgspec
from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from rung.cli.printable import printable
from rung.cli.progress import MARKS, escape, usd
from rung.escalation.task import Outcome
from rung.ledger.rows import ReviewItem


def print_item(item: ReviewItem) -> None:
    """Title, reason, attempts with evidence, and the best answer as a diff where it has files."""
    console = Console(highlight=False, emoji=False)
    outcome = msgspec.convert(item.outcome, Outcome)
    console.print(f"[bold]{item.id} · {escape(item.title)}[/]  [yellow]{item.state}[/]")
    console.print(f"{escape(item.reason)}\n", soft_wrap=True)
    for attempt in outcome.attempts:
        console.print(
            f"[bold]attempt {attempt.n}[/]  {escape(attempt.engine)}/{escape(attempt.model)} "
            f"[dim]{escape(attempt.tier)} · {attempt.seconds:.1f} s · {usd(attempt.cost_usd)}[/]"
        )
        if attempt.error:
            console.print(
                Padding(Text(printable(attempt.error), style="dim"), (0, 0, 0, 4), expand=False)
            )
        for verdict in attempt.verdicts:
            console.print(f"  {MARKS[verdict.result]} {escape(verdict.validator)}")
            if verdict.result != "pass" and verdict.evidence:
                console.print(
                    Padding(
                        Text(printable(verdict.evidence), style="dim"), (0, 0, 0, 6), expand=False
                    )
                )
    root = Path(str(item.outcome.get("root", ".")))
    for path, content in outcome.files.items():
        console.print(Rule(Text(printable(path)), align="left", style="dim"))
        console.print(_diff(root / path, path, content))
    if not outcome.files and outcome.answer:
        console.print(Rule("the best answer, not verified", align="left", style="dim"))
        console.print(Text(printable(outcome.answer)))
    if item.state == "open":
        console.print(f"\n[dim]rung review approve|reject|skip {item.id}[/]")
    elif item.note:
        console.print(f"\nnote: {escape(item.note)}")


def _diff(full: Path, path: str, content: str) -> Text:
    import difflib

    try:
        before = full.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        before = []
    lines = list(
        difflib.unified_diff(before, content.splitlines(), f"a/{path}", f"b/{path}", lineterm="")
    )
    text = Text()
    for line in lines or ["(no difference to the file as it is now)"]:
        style = "green" if line.startswith("+") else "red" if line.startswith("-") else ""
        text.append(printable(line) + "\n", style=style)
    return text
