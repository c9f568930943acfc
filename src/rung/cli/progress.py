"""What `rung do` shows while it works: attempts, verdicts with their evidence, the outcome.

Progress goes to stderr and the answer to stdout, so that a pipe gets the answer alone.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from textwrap import shorten
from types import TracebackType

from rich.console import Console
from rich.markup import escape as escape_markup
from rich.padding import Padding
from rich.status import Status
from rich.text import Text

from rung.cli.printable import echo_answer, printable
from rung.escalation.events import (
    AttemptFinished,
    AttemptStarted,
    Checked,
    Climbed,
    Event,
    Generated,
    Planned,
    Warned,
)
from rung.escalation.task import Attempt, Outcome
from rung.wording import counted

MARKS = {
    "pass": "[green]✓[/]",
    "fail": "[red]✗[/]",
    "unavailable": "[yellow]–[/]",
    "error": "[red]![/]",
}
VERDICTS = {
    "verified": "[bold green]✔ verified[/]",
    "unverified": "[bold yellow]? unverified[/]",
    "needs_review": "[bold yellow]⚑ needs review[/]",
    "skipped": "[bold yellow]⤼ skipped[/]",
    "failed": "[bold red]✗ failed[/]",
}
EVIDENCE_LINES = 8
WIDEST_CHECK = 32


class Progress:
    """Prints events as they come; on a terminal a status line shows what is going on now."""

    def __init__(self, *, is_quiet: bool) -> None:
        self._console = Console(stderr=True, quiet=is_quiet, highlight=False, emoji=False)
        self._status: Status | None = None
        self._started = time.monotonic()
        self._models: dict[int, str] = {}
        self._width = 9
        self._shown_n = 0

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._still()

    @contextmanager
    def paused(self) -> Generator[None]:
        """No status line while the user is asked something."""
        self._still()
        yield

    def on_event(self, event: Event) -> None:
        match event:
            case Planned():
                self._planned(event)
            case AttemptStarted():
                self._attempt_started(event)
            case Generated(n=n, characters=characters):
                who = f"attempt {n} · " if len(self._models) > 1 else ""
                self._say(f"{who}answering · {characters:,} characters")
            case Checked():
                self._checked(event)
            case AttemptFinished(attempt=attempt):
                self._attempt_finished(attempt)
            case Climbed():
                self._print(f"  [yellow]↑ on to {escape(event.to_model)}[/]")
            case Warned():
                self._warned(event)

    def show_outcome(
        self, outcome: Outcome, written: list[str], *, offers_apply: bool = True
    ) -> None:
        """The answer on stdout, everything about it on stderr."""
        self._still()
        answer = _answer_text(outcome)
        if answer and outcome.status != "failed":
            if caution := _caution(outcome):
                self._print(f"[yellow]{caution}:[/]")
            echo_answer(answer)
        who = f" · {outcome.engine}/{outcome.model}" if outcome.model else ""
        saved = f" · saved ${outcome.saved_usd:.4f}" if outcome.saved_usd else ""
        self._print(
            f"{VERDICTS[outcome.status]}: {escape(outcome.reason)}\n"
            f"  [dim]{counted(len(outcome.attempts), 'attempt')}"
            f"{escape(who)} · {outcome.seconds:.1f} s · {usd(outcome.cost_usd)}{saved}[/]"
        )
        if written:
            self._print(f"  [green]written: {escape(', '.join(written))}[/]")
        elif outcome.files and outcome.status != "verified":
            self._print("  [dim]nothing was written: only what is verified is[/]")
        elif offers_apply and outcome.files:
            self._print("  [dim]nothing was written; --apply writes the files[/]")
        if outcome.review_id is not None:
            self._print(f"  [dim]rung review show {outcome.review_id}[/]")

    def _planned(self, event: Planned) -> None:
        kind = event.classification
        self._width = min(WIDEST_CHECK, max([9, *map(len, event.checks)]))
        self._print(
            f"[bold]{kind.type}[/] · complexity {kind.complexity:g} "
            f"[dim]· {escape('; '.join(kind.reasons))}[/]"
        )
        self._print(f"  ladder  {escape(' → '.join(event.chain)) or '[red]no model[/]'}")
        checks = [shorten(check, WIDEST_CHECK, placeholder=" …") for check in event.checks]
        self._print(f"  checks  {escape(', '.join(checks)) or '[yellow]none[/]'}")
        if event.checker:
            self._print(f"  judge   {escape(event.checker)}")

    def _attempt_started(self, event: AttemptStarted) -> None:
        how = " · again, with the evidence" * event.is_retry
        how += " · compressed to fit" * event.is_compressed
        how += f" · beside attempt {event.n - 1}" * event.is_beside
        self._print(
            f"[bold]attempt {event.n}[/]  {escape(event.model)} "
            f"[dim]{escape(event.tier)} · temperature {event.temperature:g}{how}[/]"
        )
        self._models[event.n] = event.model
        self._shown_n = event.n
        if not event.is_beside:
            self._started = time.monotonic()
        self._say("waiting for the model")

    def _about(self, n: int) -> None:
        """Say which attempt the next lines are about, where others go on beside it."""
        if n != self._shown_n:
            self._print(f"[bold]attempt {n}[/]  {escape(self._models.get(n, ''))}")
        self._shown_n = n

    def _warned(self, event: Warned) -> None:
        worst = event.worst_case_usd
        most = "nobody knows how much" if worst is None else f"at most ${worst:.4f}"
        if event.usual_usd is not None:
            most += f" · 19 of 20 such tasks cost {_up_to(event.usual_usd)}"
        self._print(f"  [yellow]$ {escape(event.model)}: {escape(event.reason)} · {most}[/]")

    def _checked(self, event: Checked) -> None:
        verdict = event.verdict
        name = shorten(verdict.validator, WIDEST_CHECK, placeholder=" …")
        self._about(event.n)
        self._print(
            f"  {MARKS[verdict.result]} {escape(f'{name:<{self._width}}')} "
            f"[dim]{verdict.seconds:6.2f} s[/]"
            + ("  [yellow]unavailable[/]" if verdict.result == "unavailable" else "")
        )
        if verdict.result != "pass" and verdict.evidence:
            self._evidence(verdict.evidence)

    def _attempt_finished(self, attempt: Attempt) -> None:
        self._about(attempt.n)
        self._models.pop(attempt.n, None)
        if attempt.error:
            self._print("  [red]✗[/] no answer")
            self._evidence(attempt.error)
        tokens = (
            f" · {attempt.tokens_in or 0:,} tokens in · {attempt.tokens_out or 0:,} out"
            if attempt.tokens_in is not None
            else ""
        )
        cost = f" · {usd(attempt.cost_usd)}" if not attempt.error else ""
        self._print(f"  [dim]{attempt.seconds:.1f} s{tokens}{cost}[/]")
        if attempt.repairs:
            self._print(f"  [yellow]~ {escape(', '.join(attempt.repairs))}[/]")

    def _evidence(self, evidence: str) -> None:
        lines = printable(evidence).strip().splitlines()
        shown = lines[:EVIDENCE_LINES]
        if len(lines) > EVIDENCE_LINES:
            shown.append(f"… {len(lines) - EVIDENCE_LINES} more lines")
        self._still()
        text = Text("\n".join(shown), style="dim")
        self._console.print(Padding(text, (0, 0, 0, 6), expand=False))

    def _print(self, markup: str) -> None:
        self._still()
        # Lines that a program reads stay whole; for a person they break between words.
        self._console.print(markup, soft_wrap=not self._console.is_terminal)

    def _say(self, text: str) -> None:
        if not self._console.is_interactive or self._console.quiet:
            return
        line = _Doing(text, self._started)
        if self._status is None:
            self._status = self._console.status(line)
            self._status.start()
        else:
            self._status.update(line)

    def _still(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


class _Doing:
    """What is going on, and for how long by now: each refresh of the line looks again."""

    def __init__(self, text: str, started: float) -> None:
        self._text = text
        self._started = started

    def __rich__(self) -> Text:
        seconds = time.monotonic() - self._started
        return Text.from_markup(f"[dim]{self._text} · {seconds:.0f} s[/]")


def escape(text: str) -> str:
    """Text of models and tasks inside rich markup: neither markup nor escape sequences."""
    return escape_markup(printable(text))


def usd(cost: float | None) -> str:
    """`$0.0120`, `$0`, or that it is unknown."""
    if cost is None:
        return "cost unknown"
    return "$0" if cost == 0 else f"${cost:.4f}"


def _up_to(cost: float) -> str:
    return f"up to ${cost:.4f}" if cost else "nothing"


def _caution(outcome: Outcome) -> str:
    """What to know of an answer before it is read, where it did not pass its checks."""
    results = {attempt.result for attempt in outcome.attempts}
    if outcome.status == "verified" or "passed" in results:
        return ""
    if "unchecked" in results:
        return "an answer that nothing could check"
    return "the best answer there is, which failed a check"


def _answer_text(outcome: Outcome) -> str:
    """What belongs on stdout: the one file, the files with their names, or the text."""
    if len(outcome.files) == 1:
        return next(iter(outcome.files.values())).rstrip("\n")
    if outcome.files:
        return "\n".join(f"--- {path}\n{text}" for path, text in outcome.files.items())
    return outcome.answer
