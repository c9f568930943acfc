"""What of an answer its checker is shown: all that changed, then the rest where it fits. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from rung.escalation.quoting import fenced, unmarked
from rung.validation.verdict import Candidate

_HUNK = re.compile(r"^@@ .*$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Exhibit:
    """The work as it is shown. `quotable` are its own words, without what stands around them.

    `left_out` names files of which only the changed lines are in it.
    """

    text: str
    quotable: str
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Part:
    title: str
    words: str

    @property
    def text(self) -> str:
        return f"{self.title}:\n{fenced(self.words or '(nothing)')}"

    @property
    def quotable(self) -> str:
        return _HUNK.sub("", self.words)


def exhibit(
    candidate: Candidate, base: Mapping[str, str], fits: Callable[[str], bool]
) -> Exhibit | None:
    """The work, in the most of its context that `fits`; `None` where not even all changes do.

    `base` holds the files as they were. Of a new file all is a change. A verdict on a part of the
    changes would be a verdict on another answer.
    """
    if not candidate.files:
        text = unmarked(candidate.text)
        return Exhibit(text=text, quotable=text) if fits(text) else None
    parts = [_change(path, base.get(path), text) for path, text in candidate.files.items()]
    if not fits(_text(parts)):
        return None
    left_out: list[str] = []
    for path, text in _shortest_first(candidate.files):
        if path not in base:
            continue
        more = [*parts, _Part(title=f"{path}, all of it", words=unmarked(text))]
        if fits(_text(more)):
            parts = more
        else:
            left_out.append(path)
    shown = _text(parts)
    if left_out:
        shown += f"\n\nOf these only the changed lines are shown: {', '.join(left_out)}"
    quotable = "\n".join(part.quotable for part in parts)
    return Exhibit(text=shown, quotable=quotable, left_out=tuple(left_out))


def _text(parts: Iterable[_Part]) -> str:
    return "\n\n".join(part.text for part in parts)


def _change(path: str, before: str | None, after: str) -> _Part:
    if before is None:
        return _Part(title=f"{path}, new", words=unmarked(after))
    lines = difflib.unified_diff(_lines(before), _lines(after), lineterm="", n=3)
    return _Part(title=f"{path}, changed lines", words=unmarked("\n".join([*lines][2:])))


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").split("\n")


def _shortest_first(files: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    return sorted(files.items(), key=lambda item: (len(item[1]), item[0]))
