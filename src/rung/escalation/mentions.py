"""What each sentence of a request mentions, by list of words, without homonyms and negations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rung.escalation.deliverable import Deliverable, parts_of
from rung.escalation.phrases import Hit, folded, words_of
from rung.escalation.rulebook import SHAPES, Rulebook

LEADING_WORDS = 4
MASK = "\x00"


@dataclass(frozen=True, kw_only=True, eq=False)
class Sentence:
    """A sentence's number of words, its first word, and what it mentions: list -> the words."""

    words: int
    first: str
    mentions: Mapping[str, str]
    leading: frozenset[str]


def sentences_of(request: Deliverable, book: Rulebook) -> tuple[list[Sentence], frozenset[str]]:
    """The sentences that ask for something now, and the lists that the whole text mentions."""
    kept: list[Sentence] = []
    names: set[str] = set()
    for text in request.sentences:
        plain = folded(text)
        words = words_of(plain)
        hits = list(book.index.hits(words))
        names.update(hit.name for hit in hits)
        wanted = _wanted(_without_plain_senses(words, hits), hits)
        if wanted:
            again = hits if wanted == words else list(book.index.hits(wanted))
            kept.append(_sentence(text, plain, wanted, again, book))
    return kept, frozenset(names)


def wanted_text(text: str, book: Rulebook) -> str:
    """The request without code, stack traces, and clauses that take a wish back or put it off.

    As it is where there is nothing of these, or nothing else.
    """
    parts, is_cut = parts_of(text)
    kept: list[str] = []
    for part in parts:
        words = words_of(folded(part))
        wanted = _wanted(words, list(book.index.hits(words)))
        is_cut = is_cut or len(wanted) < len(words)
        if wanted or not words:
            kept.append(part if len(wanted) == len(words) else " ".join(wanted))
    return " ".join(kept) if is_cut and kept else text


def _sentence(
    text: str, plain: str, words: list[str], hits: Sequence[Hit], book: Rulebook
) -> Sentence:
    mentions: dict[str, str] = {}
    for hit in hits:
        mentions.setdefault(hit.name, " ".join(words[hit.start : hit.end]))
    for name, marks in book.marks.items():
        found = next((mark for mark in marks if mark in plain), None)
        if found:
            mentions.setdefault(name, found.strip())
    for name, pattern in SHAPES.items():
        shape = pattern.search(text)
        if shape:
            mentions.setdefault(name, shape.group(0))
    leading = frozenset(hit.name for hit in hits if hit.start < LEADING_WORDS)
    return Sentence(words=len(words), first=words[0], mentions=mentions, leading=leading)


def _without_plain_senses(words: Sequence[str], hits: Sequence[Hit]) -> list[str]:
    masked = list(words)
    for hit in hits:
        if hit.name in ("plain_sense", "looks_design"):
            masked[hit.start : hit.end] = [MASK] * (hit.end - hit.start)
    return masked


def _wanted(words: list[str], hits: Sequence[Hit]) -> list[str]:
    """The words before `don't touch …`, those after `… is not involved`, none for `next week`."""
    first, last = 0, len(words)
    for hit in hits:
        if hit.name == "later":
            return []
        if hit.name == "hands_off":
            last = min(last, hit.start)
        elif hit.name == "not_involved":
            first = max(first, hit.end)
    return words[first:last] if first < last else []


def contexts_of(names: frozenset[str], paths: Sequence[str], book: Rulebook) -> frozenset[str]:
    """What the whole request is about: the contexts of rules.toml."""
    in_paths = book.index.hits(words_of(folded(" ".join(paths))))
    said = names | {hit.name for hit in in_paths}
    return frozenset(name for name, lists in book.context.items() if not said.isdisjoint(lists))
