"""The pieces of source code in a candidate: its files, or the fenced blocks of its text."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rung.validation import languages
from rung.validation.languages import Language
from rung.validation.verdict import Candidate

# CommonMark 4.5: a fence of three or more, closed by at least as many of the same.
_FENCE = re.compile(
    r"^ {0,3}(`{3,}|~{3,})[ \t]*([^\s`{]*)[^\n`]*\n(.*?)(?:^ {0,3}\1[`~]*[ \t]*$|\Z)", re.M | re.S
)


@dataclass(frozen=True, kw_only=True)
class Source:
    """`name` is the file's path, or `block 2` for the second fenced block of an answer."""

    name: str
    text: str
    language: Language


def sources_of(candidate: Candidate, language: Language | None) -> list[Source]:
    """What there is to check; with `language`, only what is, or must be taken for, that language.

    Files decide by their extension. Without files, fenced blocks decide by their tag; with a
    `language` given, an untagged block, and a text with no block at all, is taken for it.
    """
    if candidate.files:
        found = (
            (path, text, languages.of_path(path) or language)
            for path, text in candidate.files.items()
        )
    else:
        found = _blocks(candidate.text, language)
    return [
        Source(name=name, text=text, language=kind)
        for name, text, kind in found
        if kind is not None and language in (None, kind)
    ]


def _blocks(text: str, untagged: Language | None) -> list[tuple[str, str, Language | None]]:
    fences = [(match[2], match[3]) for match in _FENCE.finditer(text)]
    if not fences:
        return [("answer", text, untagged)] if text.strip() else []
    return [
        (f"block {number}", body, languages.named(tag) if tag else untagged)
        for number, (tag, body) in enumerate(fences, start=1)
    ]
