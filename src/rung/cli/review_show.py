"""One review item on a terminal: its attempts side by side, and what would change."""

from __future__ import annotations

import difflib
from pathlib import Path

import msgspec
from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from rung.cli.printable import printable, revealed
from rung.cli.progress import MARKS, escape, usd
from rung.errors import UsageError
from rung.escalation.apply import file_bytes, sha256
from rung.escalation.reviewed import (
    Answer,
    Beside,
    answer_of,
    base_sha256,
    beside_of,
    given_answer,
    outcome_of,
)
from rung.escalation.task import Attempt, Outcome
from rung.ledger.rows import ReviewItem
from rung.validation.verdict import Verdict
from rung.wording import counted

# Narrower than this, and attempts stand below each other.
ATTEMPT_WIDTH = 56


def print_item(item: ReviewItem) -> None:
    """What happened, each attempt with evidence and changes, and what can be done now."""
    console = Console(highlight=False, emoji=False)
    outcome, beside = outcome_of(item), beside_of(item)
    kind = "" if item.kind == "work" else f" · {item.kind}"
    _say(console, f"[bold]{item.id} · {escape(item.title)}[/]  [yellow]{item.state}{kind}[/]")
    _say(console, escape(item.reason))
    _say(
        console,
        f"[dim]{outcome.type} · complexity {outcome.complexity:g} · "
        f"{counted(len(outcome.attempts), 'attempt')} · {outcome.seconds:.1f} s · "
        f"{usd(outcome.cost_usd)} · {escape(beside.root)} · task {escape(item.task_id)}[/]\n",
    )
    _print_attempts(console, outcome, beside)
    if not _is_among_attempts(outcome, beside):
        _print_answer(console, "the best answer there is", given_answer(item), beside.root)
    if item.edited is not None:
        _print_answer(console, "as it was edited", answer_of(item), beside.root)
    for path in _changed_since(item):
        _say(console, f"[yellow]{escape(path)} changed since the task began: it is not written[/]")
    _print_what_next(console, item)


def verdict_lines(verdict: Verdict) -> Text:
    """A verdict with its evidence, unless it passed."""
    text = Text.assemble("  ", Text.from_markup(MARKS[verdict.result]))
    text.append(f" {printable(verdict.validator)}\n")
    if verdict.result != "pass" and verdict.evidence:
        text.append(_indented(verdict.evidence, 6), "dim")
    return text


def changes(root: Path, answer: Answer) -> Text:
    """The answer as a coloured diff against the files as they are now; else its object or text."""
    text = Text()
    for path, content in answer.files.items():
        text.append_text(_diff(root / path, path, content))
    if answer.files:
        return text
    if answer.object is not None:
        document = msgspec.json.format(msgspec.json.encode(answer.object), indent=2).decode()
        return text.append(revealed(document) + "\n")
    return text.append(revealed(answer.answer).rstrip() + "\n" if answer.answer else "")


def _print_attempts(console: Console, outcome: Outcome, beside: Beside) -> None:
    """As many beside each other as there is room for; one below the other in a pipe."""
    answers = {answer.n: answer for answer in beside.answers}
    root = Path(beside.root)
    texts = [
        _attempt(attempt, answers.get(attempt.n), root, is_best=attempt.n == outcome.answered)
        for attempt in outcome.attempts
    ]
    side_by_side = max(1, console.width // ATTEMPT_WIDTH) if console.is_terminal else 1
    for at in range(0, len(texts), side_by_side):
        row = texts[at : at + side_by_side]
        if side_by_side == 1:
            console.print(row[0], soft_wrap=True)
            continue
        table = Table(
            box=None, show_header=False, expand=True, pad_edge=False, padding=(0, 2, 0, 0)
        )
        for _ in range(min(side_by_side, len(texts))):
            table.add_column(ratio=1, overflow="fold")
        table.add_row(*row)
        console.print(table)


def _attempt(attempt: Attempt, answer: Answer | None, root: Path, *, is_best: bool) -> Text:
    text = Text()
    text.append(f"attempt {attempt.n}", "bold")
    text.append(f"  {printable(attempt.engine)}/{printable(attempt.model)}")
    text.append("  the best answer\n" if is_best else "\n", "green")
    text.append(
        f"{printable(attempt.tier)} · temperature {attempt.temperature:g} · "
        f"{attempt.seconds:.1f} s · {usd(attempt.cost_usd)}\n",
        "dim",
    )
    if attempt.error:
        text.append(_indented(attempt.error, 2), "dim")
    for verdict in attempt.verdicts:
        text.append_text(verdict_lines(verdict))
    return text.append_text(changes(root, answer)) if answer is not None else text


def _is_among_attempts(outcome: Outcome, beside: Beside) -> bool:
    return any(answer.n == outcome.answered for answer in beside.answers)


def _print_answer(console: Console, title: str, answer: Answer, root: str) -> None:
    text = changes(Path(root), answer)
    if text.plain:
        console.print(Rule(title, align="left", style="dim"))
        console.print(text, soft_wrap=True)


def _changed_since(item: ReviewItem) -> list[str]:
    if item.state != "open":
        return []
    root, before = Path(beside_of(item).root), base_sha256(item)
    return [
        path
        for path, content in answer_of(item).files.items()
        if _now(root / path) not in (before.get(path), sha256(content.encode()))
    ]


def _now(path: Path) -> str | None:
    try:
        return sha256(_plain_bytes(path))
    except UsageError:  # a folder by now, or unreadable: not what it was
        return ""


def _plain_bytes(path: Path) -> bytes | None:
    """A file's content. Raises UsageError for a pipe or a device, which may never end."""
    if path.exists() and not path.is_file():
        raise UsageError("no plain file")
    return file_bytes(path)


def _print_what_next(console: Console, item: ReviewItem) -> None:
    if item.state == "open":
        ways = "approve|reject|edit|skip" if item.kind == "work" else "approve|reject|skip"
        _say(console, f"[dim]rung review {ways} {item.id}[/]")
        return
    if item.note:
        _say(console, f"note: {escape(item.note)}")
    _say(console, f"[dim]rung review reopen {item.id}[/]")


def _diff(full: Path, path: str, content: str) -> Text:
    text = Text()
    before = ""
    try:
        before = (_plain_bytes(full) or b"").decode("utf-8")
    except UsageError as error:
        text.append(f"{revealed(path)} as it is now: {printable(str(error))}\n", "yellow")
    except UnicodeDecodeError:
        text.append(f"{revealed(path)} as it is now is not UTF-8 text\n", "yellow")
    if _is_crlf(content) and (not before or _is_crlf(before)):
        before, content = before.replace("\r\n", "\n"), content.replace("\r\n", "\n")
    lines = difflib.unified_diff(_lines(before), _lines(content), f"a/{path}", f"b/{path}")
    for line in lines:
        style = "green" if line.startswith("+") else "red" if line.startswith("-") else ""
        text.append(revealed(line.removesuffix("\n")) + "\n", style=style)
        if not line.endswith("\n"):
            text.append("\\ no newline at the end\n", "dim")
    return text or text.append(f"{revealed(path)}: no difference to the file as it is now\n")


def _is_crlf(text: str) -> bool:
    return text.count("\r\n") == text.count("\n") > 0


def _lines(text: str) -> list[str]:
    """Lines with their ends. Only a line feed ends one, whatever else Unicode may call a line."""
    *whole, rest = text.split("\n")
    return [*(f"{line}\n" for line in whole), *([rest] if rest else ())]


def _indented(text: str, by: int) -> str:
    return "".join(f"{' ' * by}{line}\n" for line in printable(text).strip().splitlines())


def _say(console: Console, markup: str) -> None:
    console.print(markup, soft_wrap=True)
