"""The prompts of worker and checker, filled in. Their words are files in `prompts/`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from string import Template

from rung.chat import Message
from rung.escalation.answer import form_of
from rung.escalation.task import Task

MAX_EVIDENCE = 2_000
MAX_PREVIOUS = 6_000


@cache
def _template(name: str) -> Template:
    text = resources.files("rung.escalation").joinpath("prompts", name).read_text(encoding="utf-8")
    return Template(text)


def first_messages(
    task: Task, base: Mapping[str, str], climbed: str | None = None
) -> tuple[Message, ...]:
    """The worker's prompt: stable text first, then the files, then the request.

    `climbed` is the evidence against a weaker model's answer, where there was one.
    """
    form = _template(f"form_{form_of(task)}.md").substitute(out=", ".join(task.out)).strip()
    files = "".join(
        _template("file.md").substitute(path=path, content=content)
        for path, content in base.items()
    )
    request = _template("request.md").substitute(files=files, task=task.text).strip()
    if climbed:
        request += _template("climbed.md").substitute(evidence=_capped(climbed, MAX_EVIDENCE))
    return (
        Message(role="system", content=_template("worker.md").substitute(form=form).strip()),
        Message(role="user", content=request.strip()),
    )


def retry_messages(first: Sequence[Message], previous: str, evidence: str) -> tuple[Message, ...]:
    """The same conversation continued: the answer that failed, and what was wrong with it."""
    retry = _template("retry.md").substitute(evidence=_capped(evidence, MAX_EVIDENCE)).strip()
    return (
        *first,
        Message(role="assistant", content=_capped(previous, MAX_PREVIOUS)),
        Message(role="user", content=retry),
    )


def judge_message(criterion: str, task: str, work: str) -> Message:
    """The checker's prompt."""
    text = _template("judge.md").substitute(criterion=criterion, task=task, work=work)
    return Message(role="user", content=text.strip())


def _capped(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[… {len(text) - limit} characters left out …]\n{text[-half:]}"
