"""Task type by policy rules: what a request touches, not how hard it sounds.

Effort cannot be read from a text (measured at 0.50 to 0.63 whatever the encoder), so complexity
here is a coarse hint with its reasons; the outcomes of attempts are the real sensor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rung.config.settings import ClassifySettings
from rung.errors import ConfigError
from rung.escalation.deliverable import deliverable_of
from rung.escalation.mentions import Sentence, contexts_of, sentences_of
from rung.escalation.path_words import area_of, is_document, is_test
from rung.escalation.rulebook import NO_WORDS, TYPE_OF, OwnWords, Rule, Rulebook, Step, rulebook
from rung.escalation.signals import Signals
from rung.escalation.task import Classification, TaskType

ORDER: tuple[Step, ...] = ("harmless", "critical", "structure", "small")
MAX_REASONS = 6
NO_REASON = "no rule says otherwise"


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


def own_words(settings: ClassifySettings) -> OwnWords:
    """What the user calls critical. Raises ConfigError for a word without letters."""
    own = OwnWords(settings.critical_words, settings.critical_paths)
    try:
        rulebook(own)
    except ValueError as error:
        raise ConfigError(f"classify.critical_words: {error}") from None
    return own


def classify(
    text: str,
    paths: Sequence[str] = (),
    own: OwnWords = NO_WORDS,
    signals: Signals | None = None,
) -> Classification:
    """The first type with enough evidence, in the order of the labelling rules; else `standard`.

    `paths` are the files given with the request, `signals` what the repository says of them.
    """
    book = rulebook(own)
    matches = matches_of(request_of(text, paths, book), book)
    found = {step: [match for match in matches if match.rule.step == step] for step in ORDER}
    enough: list[Step] = [
        step for step in ORDER if sum(m.rule.points for m in found[step]) >= book.enough
    ]
    kind: TaskType = TYPE_OF[enough[0]] if enough else "standard"
    because = found[enough[0]] if enough else [m for m in matches if m.rule.step == "tests"]
    others = {TYPE_OF[step] for step in enough} - {kind}
    return Classification(
        type=kind,
        complexity=complexity_of(kind, text, len(paths), signals),
        reasons=tuple(match.reason for match in because[:MAX_REASONS]) or (NO_REASON,),
        is_unsure=bool(others) or not because,
    )


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
        critical += _by_path(request, book)
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


def _by_path(request: Request, book: Rulebook) -> list[Match]:
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


def complexity_of(
    kind: TaskType,
    text: str,
    files: int,
    signals: Signals | None = None,
    weights: Mapping[str, float] | None = None,
) -> float:
    """0 to 10: the type's base, plus the weight of each signal, within the type's band.

    `weights` replace those of rules.toml with the same names.
    """
    book = rulebook()
    band, weight = book.bands[kind], {**book.weights, **(weights or {})}
    raw = band.base + weight["long_text"] * min(1.0, len(text) / 2000)
    raw += min(1.0, max(0, files - 1) * weight["files"])
    if signals is not None and signals.files:
        raw += min(1.0, max(0, signals.packages - 1) * weight["packages"])
        raw += min(1.0, signals.fan_in * weight["fan_in"])
        raw += min(1.0, signals.lines / 1000 * weight["large_files"])
        raw += weight["untested"] if signals.is_complete and not signals.tests else 0.0
    return round(min(band.high, max(band.low, raw)), 1)
