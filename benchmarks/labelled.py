"""The labelled requests that may be trained and looked at: never the frozen parts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bench_classify import FROZEN
from rung.escalation.task import TASK_TYPES

FOLDER = Path(__file__).parent / "requests"
TRAINED = ("development", "third")


@dataclass(frozen=True)
class Labelled:
    """A request with its label, as an index of TASK_TYPES; `author` is the part, or its author."""

    author: str
    text: str
    paths: tuple[str, ...]
    label: int


def labelled(parts: Iterable[str] = TRAINED) -> list[Labelled]:
    """The rows of some parts. Raises ValueError where a frozen part is asked for."""
    rows: list[Labelled] = []
    for part in parts:
        if part in FROZEN:
            raise ValueError(f"the part {part} measures; nothing may be trained on it")
        for line in (FOLDER / f"{part}.jsonl").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            author = row["id"][:-3] if part == "third" else part
            label = TASK_TYPES.index(row["type"])
            rows.append(Labelled(author, row["text"], tuple(row["paths"]), label))
    return rows


def digest(parts: Iterable[str] = TRAINED) -> str:
    """SHA-256 of the files, in their order."""
    raw = b"".join((FOLDER / f"{part}.jsonl").read_bytes() for part in parts)
    return hashlib.sha256(raw).hexdigest()
