"""Words for people: numbers with their nouns."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """`1 file`, `0 files`, `1,200 files`; for nouns whose plural has an s."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
