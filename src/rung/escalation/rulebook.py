"""The classifier's rules and words, as data: rules.toml and words.toml, and a user's own beside."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import Any, Literal

import msgspec

from rung.escalation.phrases import PhraseIndex
from rung.escalation.task import TaskType

Step = Literal["harmless", "tests", "critical", "structure", "small"]
OWN = "named critical in your settings"
# What no list of words can say; rules name these as if they were lists.
SHAPES = {
    "number": re.compile(r"\d"),
    "constant_name": re.compile(r"\b[A-Z][A-Z0-9_]{3,60}\b|`[^`]{1,60}`"),
    "code_name": re.compile(
        r"`[^`]{1,60}`|\b[a-z]{1,40}_[a-z_]{1,40}\b|\b[a-z]{2,30}[A-Z]\w{1,40}|\w{1,60}\(\)"
    ),
    "asked": re.compile(r"[?？]"),
    "quote": re.compile(r'""'),
    "enumeration": re.compile(r"(?:[^,、，]{2,80}[,、，]){2}[^,、，]{2,80}"),
}
TYPE_OF: Mapping[Step, TaskType] = {
    "harmless": "quick_edit",
    "critical": "critical",
    "structure": "architecture",
    "small": "quick_edit",
}


class Rule(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename={"together": "with"},
):
    """One policy rule; rules.toml says what its fields mean."""

    step: Step
    reason: str
    points: int
    any: tuple[str, ...] = ()
    together: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    not_in: tuple[str, ...] = ()
    prefix: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    max_words: int = 0
    max_total: int = 0
    quotes: bool = False
    leads: bool = False


@dataclass(frozen=True, kw_only=True)
class Band:
    """A type's complexity: where it begins, and the limits that the signals cannot leave."""

    base: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Rulebook:
    """All that the classifier knows. `marks` are character sequences by list, lower case."""

    enough: int
    rules: tuple[Rule, ...]
    context: Mapping[str, tuple[str, ...]]
    bands: Mapping[TaskType, Band]
    weights: Mapping[str, float]
    index: PhraseIndex
    marks: Mapping[str, tuple[str, ...]]
    names: frozenset[str]


@dataclass(frozen=True)
class OwnWords:
    """What a user calls critical beside the packaged lists: words of a request, parts of a path."""

    critical_words: tuple[str, ...] = ()
    critical_paths: tuple[str, ...] = ()


NO_WORDS = OwnWords()


@lru_cache(maxsize=8)
def rulebook(own: OwnWords = NO_WORDS) -> Rulebook:
    """The packaged rules with a user's own words. Raises ValueError for a word of no letters."""
    table, words = _packaged("rules.toml"), _packaged("words.toml")
    lists = {name: _phrases(languages) for name, languages in words.items()}
    lists["own"] = list(own.critical_words)
    rules = msgspec.convert(table["rule"], list[Rule])
    rules.append(
        Rule(
            step="critical",
            reason=OWN,
            points=table["enough"],
            any=("own",),
            path=tuple(path.casefold() for path in own.critical_paths),
        )
    )
    return Rulebook(
        enough=table["enough"],
        rules=tuple(rules),
        context={name: tuple(names) for name, names in table["context"].items()},
        bands={kind: Band(**row) for kind, row in table["complexity"].items()},
        weights=table["weights"],
        index=PhraseIndex(lists),
        marks={name: tuple(row["marks"]) for name, row in words.items() if "marks" in row},
        names=frozenset((*lists, *SHAPES)),
    )


def _phrases(languages: Mapping[str, Any]) -> Sequence[str]:
    texts = [text for name, text in languages.items() if name != "marks"]
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]


@cache
def _packaged(name: str) -> Mapping[str, Any]:
    file = resources.files("rung.escalation").joinpath(name)
    return tomllib.loads(file.read_text(encoding="utf-8"))
