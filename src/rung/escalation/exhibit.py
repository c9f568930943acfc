"""What of an answer its checker is shown: all that changed, then the rest where it fits. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from rung.escalation.quoting import fenced, plain
from rung.validation.verdict import Candidate


@dataclass(frozen=True, kw_only=True)
class Exhibit:
    """The work as text. `left_out` names files of which only the changed lines are in it."""

    text: str
    left_out: tuple[str, ...] = ()


def exhibit(
    candidate: Candidate, base: Mapping[str, str], fits: Callable[[str], bool]
) -> Exhibit | None:
    """The work, in the most of its context that `fits`; `None` where not even all changes do.

    `base` holds the files as they were. Of a new file all is a change. A verdict on a part of the
    changes would be a verdict on another answer.
    """
    if not candidate.files:
        text = plain(candidate.text)
        return Exhibit(text=text) if fits(text) else None
    changes = [_change(path, base.get(path), text) for path, text in candidate.files.items()]
    shown = "\n\n".join(changes)
    if not fits(shown):
        return None
    left_out: list[str] = []
    for path, text in _shortest_first(candidate.files):
        if path not in base:
            continue
        more = f"{shown}\n\n{path}, all of it:\n{fenced(plain(text))}"
        if fits(more):
            shown = more
        else:
            left_out.append(path)
    if left_out:
        shown += f"\n\nOf these only the changed lines are shown: {', '.join(left_out)}"
    return Exhibit(text=shown, left_out=tuple(left_out))


def _change(path: str, before: str | None, after: str) -> str:
    if before is None:
        return f"{path}, new:\n{fenced(plain(after))}"
    lines = difflib.unified_diff(_lines(before), _lines(after), lineterm="", n=3)
    changed = "\n".join([*lines][2:])
    return f"{path}, changed lines:\n{fenced(plain(changed) or '(nothing)')}"


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").split("\n")


def _shortest_first(files: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    return sorted(files.items(), key=lambda item: (len(item[1]), item[0]))
