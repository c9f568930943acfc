"""Task type: what a request touches, by policy rules and by what was learned.

Effort cannot be read from a text (measured at 0.50 to 0.63 whatever the encoder), so complexity
here is a coarse hint with its reasons; the outcomes of attempts are the real sensor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rung.config.settings import ClassifySettings
from rung.errors import ConfigError
from rung.escalation.mentions import wanted_text
from rung.escalation.rule_matches import Match, matches_of, paths_of_areas, request_of
from rung.escalation.rulebook import NO_WORDS, OWN, TYPE_OF, OwnWords, Rulebook, Step, rulebook
from rung.escalation.signals import Signals
from rung.escalation.task import Classification, TaskType
from rung.escalation.text_model.blend import Opinion, opinion_of
from rung.escalation.text_model.features import found_by_rules

ORDER: tuple[Step, ...] = ("harmless", "critical", "structure", "small")
MAX_REASONS = 6
NO_REASON = "no rule says otherwise"


@dataclass(frozen=True, kw_only=True)
class ByRules:
    """What the rules alone say; `is_own`: because of the user's own words."""

    kind: TaskType
    reasons: tuple[str, ...]
    is_unsure: bool
    is_own: bool


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
    """The type that the rules and the learned part agree on; what the user calls critical is so.

    `paths` are the files given with the request, `signals` what the repository says of them.
    Where the learned part cannot be loaded the rules decide alone, and the reasons say so.
    """
    book = rulebook(own)
    rules, features = read_by_rules(text, paths, book)
    opinion = opinion_of(text, paths, features, wanted_text(text, book))
    kind, reasons, is_unsure = _weighed(rules, opinion)
    return Classification(
        type=kind,
        complexity=complexity_of(kind, text, len(paths), signals),
        reasons=reasons,
        is_unsure=is_unsure,
    )


def _weighed(rules: ByRules, opinion: Opinion | str) -> tuple[TaskType, tuple[str, ...], bool]:
    """The type, why, and whether it is unsure."""
    if rules.is_own:
        return rules.kind, rules.reasons, False
    if isinstance(opinion, str):
        return rules.kind, (*rules.reasons, f"by the rules alone: {opinion}"), rules.is_unsure
    looks = f"looks like {opinion.kind} to the learned part ({opinion.share:.2f})"
    if opinion.kind == "standard" and not opinion.is_sure:
        looks = "the learned part is unsure, which makes it standard"
    if opinion.kind == rules.kind:
        return opinion.kind, (*rules.reasons, looks), not opinion.is_sure
    return opinion.kind, (looks, f"the rules alone say {rules.kind}"), not opinion.is_sure


def read_by_rules(
    text: str, paths: Sequence[str], book: Rulebook
) -> tuple[ByRules, dict[str, float]]:
    """What the rules say, and what they found as features of the learned part."""
    request = request_of(text, paths, book)
    matches = matches_of(request, book)
    rules = by_rules(matches, book)
    return rules, found_by_rules(request, matches, paths_of_areas(request, book), rules.kind)


def by_rules(matches: Sequence[Match], book: Rulebook) -> ByRules:
    """The first type with enough evidence, in the order of the labelling rules; else `standard`."""
    found = {step: [match for match in matches if match.rule.step == step] for step in ORDER}
    is_own = any(match.rule.reason == OWN for match in matches)
    enough: list[Step] = [
        step for step in ORDER if sum(m.rule.points for m in found[step]) >= book.enough
    ]
    if is_own:
        enough = ["critical"]
    kind: TaskType = TYPE_OF[enough[0]] if enough else "standard"
    because = found[enough[0]] if enough else [m for m in matches if m.rule.step == "tests"]
    others = {TYPE_OF[step] for step in enough} - {kind}
    return ByRules(
        kind=kind,
        reasons=tuple(match.reason for match in because[:MAX_REASONS]) or (NO_REASON,),
        is_unsure=bool(others) or not because,
        is_own=is_own,
    )


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
