"""Which policy rules hold for a request, and by which words or path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rung.escalation.deliverable import deliverable_of
from rung.escalation.mentions import Sentence, contexts_of, sentences_of
from rung.escalation.path_words import area_of, is_document, is_test
from rung.escalation.rulebook import Rule, Rulebook, Step


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request as the rules see it."""

    sentences: Sequence[Sentence]
    contexts: frozenset[str]
    paths: Sequence[str]
    quotes: int
    words: int


@dataclass(frozen=True)
class Match:
    """A rule that holds, and the words or the path by which it does."""

    rule: Rule
    what: str

    @property
    def reason(self) -> str:
        return f"{self.rule.reason} ({self.what!r})"


def request_of(text: str, paths: Sequence[str], book: Rulebook) -> Request:
    """Read a request."""
    read = deliverable_of(text)
    sentences, names = sentences_of(read, book)
    named = (*paths, *read.paths)
    return Request(
        sentences=sentences,
        contexts=contexts_of(names, named, book),
        paths=named,
        quotes=len(read.quotes),
        words=sum(sentence.words for sentence in sentences),
    )


def matches_of(request: Request, book: Rulebook) -> list[Match]:
    """Every rule that holds, once.

    A sentence that changes nothing that runs counts for nothing else, and one about tests not as
    critical; a path counts as critical only where no sentence is of these kinds.
    """
    harmless = _by_sentence(request, request.sentences, book, "harmless")
    rest = [s for s in request.sentences if s not in harmless]
    tests = _by_sentence(request, rest, book, "tests")
    open_to_harm = [s for s in rest if s not in tests]
    matches = list(harmless.values()) + list(tests.values())
    if harmless:
        open_to_harm = [s for s in open_to_harm if "act" in s.mentions]
    critical = _by_rule(request, open_to_harm, book, "critical")
    if not harmless and not tests:
        critical += paths_of_areas(request, book)
    small = _by_rule(request, rest, book, "small")
    structure = _by_rule(request, rest, book, "structure")
    if harmless and rest and (structure or sum(m.rule.points for m in critical) >= book.enough):
        matches = [match for match in matches if match.rule.step != "harmless"]
    return [*matches, *critical, *structure, *small]


def _by_sentence(
    request: Request, sentences: Sequence[Sentence], book: Rulebook, step: Step
) -> dict[Sentence, Match]:
    found: dict[Sentence, Match] = {}
    for sentence in sentences:
        for rule in book.rules:
            if rule.step == step and sentence not in found:
                what = _holds(rule, sentence, request)
                if what is not None:
                    found[sentence] = Match(rule, what)
    return found


def _by_rule(
    request: Request, sentences: Sequence[Sentence], book: Rulebook, step: Step
) -> list[Match]:
    found: list[Match] = []
    for rule in book.rules:
        if rule.step != step:
            continue
        whats = (_holds(rule, sentence, request) for sentence in sentences)
        what = next((item for item in whats if item is not None), None)
        if what is not None:
            found.append(Match(rule, what))
    return found


def paths_of_areas(request: Request, book: Rulebook) -> list[Match]:
    """The paths in a critical area, by rule; none of a game."""
    if "game" in request.contexts:
        return []
    paths = [path for path in request.paths if not is_test(path) and not is_document(path)]
    hits = ((rule, area_of(paths, rule.path)) for rule in book.rules if rule.path)
    return [Match(rule, path) for rule, path in hits if path is not None]


def _holds(rule: Rule, sentence: Sentence, request: Request) -> str | None:
    """The words by which the rule holds in the sentence."""
    said = sentence.mentions
    if rule.prefix and sentence.first not in rule.prefix:
        return None
    name = next((name for name in rule.any if name in said), None)
    if (rule.any and name is None) or not request.contexts.isdisjoint(rule.not_in):
        return None
    if rule.leads and name not in sentence.leading and "asked" not in said:
        return None
    if rule.max_words and sentence.words > rule.max_words:
        return None
    if rule.quotes and not request.quotes:
        return None
    if any(other in said for other in rule.without):
        return None
    if rule.max_total and request.words > rule.max_total:
        return None
    if not all(other in said for other in rule.together):
        return None
    return sentence.first if name is None else said[name]
