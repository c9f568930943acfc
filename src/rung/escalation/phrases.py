"""Which of some lists of phrases a text mentions, in time linear in its length.

Texts and phrases are cut into the same words, so that case, accents, apostrophes, underscores and
hyphens make no difference; a Chinese or Japanese character is a word of its own. In a phrase,
`word*` takes any ending, `*word*` any compound, and ` .. ` up to five words in between.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

GAP = ".."
MAX_GAP_WORDS = 5
MIN_STEM = 2
_CJK = "\u3040-\u30ff\u3400-\u9fff"
_INDIC = "\u0900-\u0dff"
_WORD = re.compile(rf"[{_CJK}]|[{_INDIC}]+|[^\W_{_CJK}{_INDIC}]+")
_PATTERN = re.compile(rf"\.\.|\*?(?:[{_CJK}]|[{_INDIC}]+|[^\W_{_CJK}{_INDIC}]+)\*?")
_ACCENTS = re.compile("[\u0300-\u036f]")


def folded(text: str) -> str:
    """The text without case and Latin accents."""
    return _ACCENTS.sub("", unicodedata.normalize("NFKD", text.casefold()))


def words_of(text: str) -> list[str]:
    """The words of a text that `folded` made."""
    return _WORD.findall(text)


@dataclass(frozen=True)
class Phrase:
    """One phrase of a list: its words, without the stars, and how each is compared."""

    name: str
    words: tuple[str, ...]
    open_ends: tuple[bool, ...]

    def length_at(self, words: Sequence[str], start: int) -> int | None:
        """How many words it covers from `start` on, where its first word has matched."""
        at = start + 1
        may_skip = 0
        for word, is_open in zip(self.words[1:], self.open_ends[1:], strict=True):
            if word == GAP:
                may_skip = MAX_GAP_WORDS
                continue
            last = min(len(words), at + may_skip + 1)
            found = next(
                (i for i in range(at, last) if _is_same(words[i], word, is_open)),
                None,
            )
            if found is None:
                return None
            at, may_skip = found + 1, 0
        return at - start


@dataclass(frozen=True)
class Hit:
    """A phrase of the list `name` at words `start` to `end`."""

    name: str
    start: int
    end: int


class PhraseIndex:
    """Lists of phrases by name, searched all at once."""

    def __init__(self, lists: Mapping[str, Iterable[str]]) -> None:
        self._pairs: dict[tuple[str, str], list[Phrase]] = {}  # where two whole words begin it
        self._whole: dict[str, list[Phrase]] = {}
        self._stems: dict[str, list[Phrase]] = {}
        self._inner: dict[str, list[Phrase]] = {}
        for name, phrases in lists.items():
            for phrase in phrases:
                self._add(name, phrase)
        self._stem_lengths = sorted({len(stem) for stem in self._stems})

    def hits(self, words: Sequence[str]) -> Iterator[Hit]:
        """Every mention, in the order of the words."""
        for start, word in enumerate(words):
            following = words[start + 1] if start + 1 < len(words) else ""
            for phrase in self._starting(word, following):
                length = phrase.length_at(words, start)
                if length is not None:
                    yield Hit(phrase.name, start, start + length)

    def _starting(self, word: str, following: str) -> Iterator[Phrase]:
        yield from self._pairs.get((word, following), ())
        yield from self._whole.get(word, ())
        for length in self._stem_lengths:
            if length > len(word):
                break
            yield from self._stems.get(word[:length], ())
        for inner, phrases in self._inner.items():
            if inner in word:
                yield from phrases

    def _add(self, name: str, text: str) -> None:
        parts: list[str] = _PATTERN.findall(folded(text))
        if not parts or parts[0] == GAP or parts[-1] == GAP:
            raise ValueError(f"{name}: {text!r} is no phrase: give words, with .. only between two")
        words = tuple(part if part == GAP else part.strip("*") for part in parts)
        phrase = Phrase(name, words, tuple(part.endswith("*") for part in parts))
        if not any("*" in part or part == GAP for part in parts[:2]) and len(parts) > 1:
            self._pairs.setdefault((words[0], words[1]), []).append(phrase)
            return
        first = parts[0]
        table = self._inner if first.startswith("*") else self._whole
        if first.endswith("*") and not first.startswith("*"):
            if len(words[0]) < MIN_STEM:
                raise ValueError(f"{name}: {text!r}: give at least {MIN_STEM} letters before *")
            table = self._stems
        table.setdefault(words[0], []).append(phrase)


def _is_same(word: str, wanted: str, is_open: bool) -> bool:
    return word.startswith(wanted) if is_open else word == wanted
