"""The prompts of worker and checker, filled in. Their words are files in `prompts/`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources
from string import Template

from rung.chat import Message
from rung.escalation.answer import form_of
from rung.escalation.brief import Brief
from rung.escalation.quoting import fenced
from rung.escalation.task import Task


@cache
def _template(name: str) -> Template:
    text = resources.files("rung.escalation").joinpath("prompts", name).read_text(encoding="utf-8")
    return Template(text)


def worker_messages(task: Task, brief: Brief) -> tuple[Message, ...]:
    """The worker's prompt: stable text first, then the files, then the request.

    After an answer of the same model the conversation goes on; after another model's there is only
    the evidence against it, for what one model wrote teaches the next one its mistakes.
    """
    form = _template(f"form_{form_of(task)}.md").substitute(out=", ".join(task.out)).strip()
    files = "".join(
        _template("outline.md" if path in brief.outlined else "file.md").substitute(
            path=path, content=fenced(content)
        )
        for path, content in brief.files.items()
    )
    request = _template("request.md").substitute(files=files, task=task.text).strip()
    evidence = fenced(brief.evidence)
    if brief.evidence and not brief.previous:
        request += _template("climbed.md").substitute(evidence=evidence).rstrip()
    first = (
        Message(role="system", content=_template("worker.md").substitute(form=form).strip()),
        Message(role="user", content=request),
    )
    if not brief.previous:
        return first
    retry = _template("retry.md").substitute(evidence=evidence).strip()
    return (
        *first,
        Message(role="assistant", content=brief.previous),
        Message(role="user", content=retry),
    )


def judge_message(criteria: Sequence[str], task: str, work: str, nonce: str) -> Message:
    """The checker's prompt. The work cannot know the `nonce` that it stands between."""
    numbered = "\n".join(f"{number}. {text}" for number, text in enumerate(criteria, start=1))
    text = _template("judge.md").substitute(criteria=numbered, task=task, work=work, nonce=nonce)
    return Message(role="user", content=text.strip())


def judge_again_message(quotes: Sequence[str], nonce: str) -> Message:
    """What a checker is told that quoted what is not there."""
    text = _template("judge_again.md").substitute(quotes="; ".join(quotes), nonce=nonce)
    return Message(role="user", content=text.strip())
