"""What a worker is told, and how that is made smaller where it does not fit a context window."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from rung.escalation.answer import form_of
from rung.escalation.outline import outline
from rung.escalation.quoting import capped, plain
from rung.escalation.task import Task

MAX_EVIDENCE = 2_000
MAX_PREVIOUS = 6_000
# What is left of them where the window is small.
SMALL_EVIDENCE = 800
SMALL_PREVIOUS = 1_500


@dataclass(frozen=True, kw_only=True)
class Brief:
    """The given files as they are shown, and what is known of the answer before, if there was one.

    `outlined` are files of which only an outline is shown: they cannot be edited. `previous` is the
    model's own last answer, where it is asked again. `notes` say what was made smaller.
    """

    files: Mapping[str, str]
    outlined: frozenset[str] = frozenset()
    previous: str = ""
    evidence: str = ""
    notes: tuple[str, ...] = ()

    @property
    def whole(self) -> Mapping[str, str]:
        """The files that are shown whole, and may be edited."""
        return {path: text for path, text in self.files.items() if path not in self.outlined}


def brief_of(base: Mapping[str, str], *, previous: str = "", evidence: str = "") -> Brief:
    """All of the given files. Answers and evidence become plain text of bounded length."""
    return Brief(
        files=base,
        previous=capped(plain(previous), MAX_PREVIOUS),
        evidence=capped(plain(evidence), MAX_EVIDENCE),
    )


def shrunk(brief: Brief, task: Task, fits: Callable[[Brief], bool]) -> Brief:
    """The brief made small enough, with notes that say how; the smallest where none is.

    First the evidence and the answer before are cut to their beginning and end. Then files become
    outlines, the largest first. The task's own text stays whole, and so do the files that the
    answer replaces, and those that the task, its checks or the evidence name. Where files are to be
    edited at least one of them stays whole.
    """
    smaller = brief
    for smaller in _steps(brief, task):
        if fits(smaller):
            break
    return smaller


def _steps(brief: Brief, task: Task) -> Iterator[Brief]:
    """Ever smaller briefs."""
    yield brief
    smaller = _with_less_history(brief)
    yield smaller
    kept = _kept(brief, task)
    others = [path for path in brief.files if path not in kept and path not in brief.outlined]
    for path in sorted(others, key=lambda path: (-len(brief.files[path]), path)):
        outlined = _outlined(smaller, path)
        if form_of(task) == "edits" and not outlined.whole:
            return
        if len(outlined.files[path]) < len(smaller.files[path]):
            smaller = outlined
            yield smaller


def _with_less_history(brief: Brief) -> Brief:
    evidence = capped(brief.evidence, SMALL_EVIDENCE)
    previous = capped(brief.previous, SMALL_PREVIOUS)
    notes = [
        f"compressed: {what} to its beginning and end"
        for what, is_cut in (
            ("the evidence", evidence != brief.evidence),
            ("the answer before", previous != brief.previous),
        )
        if is_cut
    ]
    return replace(brief, evidence=evidence, previous=previous, notes=(*brief.notes, *notes))


def _outlined(brief: Brief, path: str) -> Brief:
    return replace(
        brief,
        files={**brief.files, path: outline(path, brief.files[path])},
        outlined=brief.outlined | {path},
        notes=(*brief.notes, f"compressed: {path} to its outline"),
    )


def _kept(brief: Brief, task: Task) -> set[str]:
    """Files that stay whole: those that the answer replaces, and those that are spoken of."""
    words = "\n".join((task.text, brief.evidence, *task.checks))
    return {path for path in brief.files if path in task.out or _is_named(path, words)}


def _is_named(path: str, words: str) -> bool:
    """Whether the text names the file: by its name with or without folders, or as an import."""
    name, stem = PurePosixPath(path).name, PurePosixPath(path).stem
    as_file = rf"(?<![\w.-]){re.escape(name)}(?![\w-])"
    as_import = rf"\b(?:from|import)\s+(?:[\w.]+\.)?{re.escape(stem)}\b"
    return re.search(f"{as_file}|{as_import}", words) is not None
