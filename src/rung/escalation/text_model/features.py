"""What the linear model sees of a request: what the rules found, its words, their parts, its paths.

A feature is a name with a value of 0 to 6. Names by their prefix: `m` a list that is mentioned,
`f` in the first sentence, `l` by one of a sentence's first words; `c` a context; `s` the points of
a step; `r` a rule that holds; `a` a path's area; `d` the type that the rules say; `n` sizes; and
of the text, without weights: `w` a word or two, `^` a first word, `#` a part of a word, `/` a word
of a path.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from rung.escalation.path_words import is_document, is_test
from rung.escalation.phrases import folded, words_of
from rung.escalation.rule_matches import Match, Request
from rung.escalation.task import TaskType

MAX_HEAD, MAX_TAIL = 1_500, 500
MAX_WORD = 40
MAX_PATHS = 50
_FEW_WORDS = (3, 6, 10, 15, 20, 30, 45, 70)
_PARTS = (3, 4, 5)


def shortened(text: str) -> str:
    """The beginning and the end of a long text."""
    if len(text) <= MAX_HEAD + MAX_TAIL:
        return text
    return f"{text[:MAX_HEAD]} {text[-MAX_TAIL:]}"


def found_by_rules(
    request: Request, matches: Sequence[Match], areas: Sequence[Match], kind: TaskType
) -> dict[str, float]:
    """What the rules found, as features. They decided for `kind`; `areas` are the paths'."""
    found: dict[str, float] = {f"d:{kind}": 1.0}
    for sentence in request.sentences:
        found.update((f"m:{name}", 1.0) for name in sentence.mentions)
        found.update((f"l:{name}", 1.0) for name in sentence.leading)
    for sentence in request.sentences[:1]:
        found.update((f"f:{name}", 1.0) for name in sentence.mentions)
    found.update((f"c:{name}", 1.0) for name in request.contexts)
    for match in matches:
        step = f"s:{match.rule.step}"
        found[step] = min(6.0, found.get(step, 0.0) + match.rule.points)
        found[f"r:{match.rule.reason}"] = 1.0
    found.update((f"a:{match.rule.reason}", 1.0) for match in areas)
    found.update((f"n:below {n} words", 1.0) for n in _FEW_WORDS if request.words < n)
    found["n:quotes"] = min(2, request.quotes) / 2
    found["n:sentences"] = min(6, len(request.sentences)) / 6
    found.update((name, 1.0) for name in _of_paths(request.paths[:MAX_PATHS]))
    return found


def _of_paths(paths: Sequence[str]) -> Iterator[str]:
    if not paths:
        return
    yield "n:paths"
    for name, is_kind in (("tests", is_test), ("documents", is_document)):
        kinds = [is_kind(path) for path in paths]
        if any(kinds):
            yield f"n:some {name}"
        if all(kinds):
            yield f"n:only {name}"


def in_text(text: str, paths: Sequence[str]) -> frozenset[str]:
    """The words, pairs of words and parts of words of a text and of its paths."""
    words = [word[:MAX_WORD] for word in words_of(folded(shortened(text)))]
    found = {f"w:{word}" for word in words}
    found.update(f"w:{one} {two}" for one, two in pairwise(words))
    found.update(f"^:{word}" for word in words[:2])
    for word in set(words):
        whole = f"<{word}>"
        found.update(f"#:{whole[at : at + n]}" for n in _PARTS for at in range(len(whole) - n + 1))
    for path in paths[:MAX_PATHS]:
        found.update(f"/:{word[:MAX_WORD]}" for word in words_of(folded(path[:MAX_TAIL])))
    return frozenset(found)


def weighed(
    by_rules: Mapping[str, float], texts: frozenset[str], known: Mapping[str, object]
) -> dict[str, float]:
    """All features that are known; those of the text share one weight, however many they are."""
    values = {name: value for name, value in by_rules.items() if name in known}
    seen = [name for name in texts if name in known]
    weight = 3.0 / math.sqrt(max(1, len(seen)))
    values.update((name, weight) for name in seen)
    return values
