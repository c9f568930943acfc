"""What `rung do` shows: everything about the answer on stderr, the answer alone on stdout."""

from __future__ import annotations

from typing import Any

import pytest

from rung.cli.progress import Progress
from rung.escalation.events import (
    AttemptFinished,
    AttemptStarted,
    Checked,
    Climbed,
    Event,
    Planned,
    Warned,
)
from rung.escalation.task import Attempt, Classification, Outcome
from rung.validation.verdict import Verdict


def attempt(n: int, **fields: Any) -> Attempt:
    return Attempt(
        n=n, model="m", engine="e", tier="local_fast", temperature=0.2, **fields
    )  # fmt: skip


def started(n: int, *, is_beside: bool = False) -> AttemptStarted:
    return AttemptStarted(
        n=n, model=f"e/m{n}", tier="t", is_retry=False, temperature=0.2, is_beside=is_beside
    )


def checked(n: int, result: Any = "pass", evidence: str = "") -> Checked:
    return Checked(n=n, verdict=Verdict(validator="syntax", result=result, evidence=evidence))


def shown(capsys: pytest.CaptureFixture[str], *events: Event) -> list[str]:
    with Progress(is_quiet=False) as progress:
        for event in events:
            progress.on_event(event)
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def outcome(status: Any, **fields: Any) -> Outcome:
    return Outcome(
        task_id="t", status=status, type="standard", complexity=4.0, reason="why", **fields
    )


def test_lines_of_attempts_that_run_at_once_say_whose_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = shown(
        capsys,
        started(1),
        started(2, is_beside=True),
        checked(1, "fail", "broken"),
        checked(2),
        AttemptFinished(attempt=attempt(1)),
    )
    assert "beside attempt 1" in lines[1]
    order = [line.split()[1] for line in lines if line.startswith("attempt")]
    assert order == ["1", "2", "1", "2", "1"]


def test_a_paid_model_and_what_was_compressed_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    repaired = attempt(1, repairs=("compressed: a.py to its outline",))
    lines = shown(
        capsys,
        Climbed(from_model="a", to_model="cloud/big", reason="x"),
        Warned(model="cloud/big", tier="haiku", worst_case_usd=0.0123, reason="it is paid"),
        started(1),
        AttemptFinished(attempt=repaired),
    )
    assert "↑ on to cloud/big" in lines[0]
    assert "cloud/big: it is paid · at most $0.0123" in lines[1]
    assert "compressed: a.py to its outline" in lines[-1]


def test_markup_and_escape_sequences_of_a_model_are_only_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    planned = Planned(
        task_id="t",
        classification=Classification(type="standard", complexity=4.0, reasons=("[red]x[/]",)),
        chain=["[bold]a[/]"],
        checker=None,
        checks=["cmd:" + "x" * 99],
    )
    lines = shown(capsys, planned, started(1), checked(1, "fail", "\x1b[31m[/]boo\x1b]0;t\x07"))
    text = "\n".join(lines)
    assert "[bold]a[/]" in text
    assert "[red]x[/]" in text
    assert "[/]boo" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("result", "status", "words"),
    [
        ("failed", "skipped", "which failed a check"),
        ("failed", "needs_review", "which failed a check"),
        ("unchecked", "unverified", "nothing could check"),
        ("passed", "needs_review", ""),
        ("passed", "verified", ""),
    ],
)
def test_an_answer_that_did_not_pass_is_announced_as_such(
    capsys: pytest.CaptureFixture[str], result: Any, status: Any, words: str
) -> None:
    attempts = (attempt(1, result=result),)
    Progress(is_quiet=False).show_outcome(
        outcome(status, answer="42", files={"a.py": "42"}, attempts=attempts), []
    )
    captured = capsys.readouterr()
    assert captured.out == "42\n"
    first = captured.err.splitlines()[0]
    assert words in first
    assert ("which failed" in first or "nothing could" in first) == bool(words)
    assert ("only what is verified" in captured.err) == (status != "verified")
    assert ("--apply writes" in captured.err) == (status == "verified")
