"""What a request asks for, without what it only mentions.

Taken out: code, stack traces, template fields that say nothing, quoted words, and clauses that
take a wish back ("don't touch …") or put it off ("next week …"). All patterns here are linear:
no repetition can match the same text in two ways.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MAX_HEAD, MAX_TAIL = 6_000, 2_000
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\ufeff]")
_FENCE = re.compile(r"^\s*(?:```|~~~)")
_TRACE = re.compile(
    r'^\s*(?:File "|at [\w$.<>]+\(|at [\w$.<> ]+ \(|Traceback \(most|Caused by: |\.\.\. \d+ more'
    r"|goroutine \d|#\d+ 0x|#\d+ +\S+\(|from \S+:\d+:in |\d+: 0x|stack backtrace:"
    r"|thread '\S+' panicked)"
)
_ERROR_LINE = re.compile(r"^\s*[\w.$]*(?:Error|Exception|Warning)\b: ?")
_HEADING = re.compile(r"^\s*(?:#{1,6}\s|\*\*[^*\n]{1,60}\*\*:?\s*$)")
_FIELD = re.compile(r"^\W{0,6}([\w /()?-]{1,40}?)(?:\*\*)?\s?[:?](?:\*\*)?\s{0,3}(.*)$")
_EMPTY = re.compile(
    r"^\W*(?:no|none|n/?a|not applicable|nein|keine?|non|aucune?|ning\w+|无|नहीं)?\W*$", re.I
)
_LABEL = re.compile(
    r"^(?:severity|priority|type|labels?|browser|os|version|schweregrad|prio)\b", re.I
)
_UNCHECKED = re.compile(r"^\s*[-*]\s\[[ xX]\]")
_QUOTED = re.compile(
    r"\"[^\"\n]{0,300}\"|“[^”\n]{0,300}”|„[^“”\n]{0,300}[“”]|«[^»\n]{0,300}»|「[^」\n]{0,300}」"
)
_PATH = re.compile(r"(?<![\w.:/-])(?:~|\.{1,2})?/?[\w.-]{1,80}(?:/[\w.-]{0,80}){1,12}")
_SENTENCE = re.compile(
    r"(?<=[.!?;])\s+|[。！？；।]|\n+"
    r"|,?\s(?:btw|by the way|while you(?:'re| are) at it|and also|but|aber|mais|pero)\b"
)


@dataclass(frozen=True, kw_only=True)
class Deliverable:
    """The request's sentences, the words it quotes, and the paths that it names in its text."""

    sentences: tuple[str, ...]
    quotes: tuple[str, ...]
    paths: tuple[str, ...]


def deliverable_of(text: str) -> Deliverable:
    """Cut the request into the sentences that may ask for something.

    Of a very long text, the beginning and the end are read.
    """
    prose = "\n".join(_prose_lines(_lines(text)))
    quotes = tuple(_QUOTED.findall(prose))
    bare = _QUOTED.sub(' "" ', prose)
    paths = tuple(p for p in _PATH.findall(bare) if "/" in p)
    bare = _PATH.sub(" ", bare)
    return Deliverable(
        sentences=tuple(part.strip() for part in _SENTENCE.split(bare) if part and part.strip()),
        quotes=quotes,
        paths=paths,
    )


def parts_of(text: str) -> tuple[list[str], bool]:
    """The sentences of all that is no code and no stack trace; whether there was any of these."""
    lines = _lines(text)
    prose = list(_without_code(lines))
    parts = _SENTENCE.split("\n".join(prose))
    return [part.strip() for part in parts if part and part.strip()], len(prose) < len(lines)


def _lines(text: str) -> list[str]:
    plain = _sample(text).replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL.sub(" ", plain).split("\n")


def _sample(text: str) -> str:
    if len(text) <= MAX_HEAD + MAX_TAIL:
        return text
    return f"{text[:MAX_HEAD]}\n{text[-MAX_TAIL:]}"


def _without_code(lines: Iterable[str]) -> Iterator[str]:
    """The lines without code, traces and boxes of checklists."""
    is_code, in_trace = False, False
    for line in lines:
        if _FENCE.match(line):
            is_code = not is_code
            continue
        if is_code or _UNCHECKED.match(line):
            continue
        if _TRACE.match(line):
            in_trace = True
            continue
        if in_trace and line.startswith(("    ", "\t")):
            continue
        if in_trace and _ERROR_LINE.match(line):
            in_trace = False
            continue
        in_trace = in_trace and not line.strip()
        yield line


def _prose_lines(lines: Iterable[str]) -> list[str]:
    """The lines without code and template fields that say nothing."""
    kept: list[str] = []
    heading = ""
    for line in _without_code(lines):
        if _HEADING.match(line):
            heading = line.strip("#* \t:")
            continue
        if not line.strip():
            continue
        joined, heading = (f"{heading}: {line.strip()}" if heading else line), ""
        if not _says_nothing(joined):
            kept.append(joined)
    return kept


def _says_nothing(line: str) -> bool:
    field = _FIELD.match(line)
    if not field:
        return False
    return bool(_EMPTY.match(field.group(2)) or _LABEL.match(field.group(1).strip()))
