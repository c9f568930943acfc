"""Who judges a worker's answer: a pure choice among the models that are there."""

from __future__ import annotations

from collections.abc import Sequence

from rung.escalation.families import family_of
from rung.escalation.matrix import Row
from rung.routing.models import RoutedModel


def pick_checker(
    row: Row, chain: Sequence[RoutedModel], worker: int, others: Sequence[RoutedModel] = ()
) -> RoutedModel | None:
    """The model that judges the worker at index `worker` of the chain; `None` for no checker.

    The row's rule names it: `same` is the chain's first model, `next` the one above the worker (at
    the top the one below), else the first model with that tier or name. Among models of that one's
    level and kind of price one of another family than the worker's is preferred: kin share their
    blind spots. `others` are free models outside the chain, which may judge as well.

    Nobody judges its own work where a model at least as strong could: a free one, else a paid one
    of the chain. Critical work is left unjudged rather than judged by its own worker.
    """
    base = _by_rule(row.checker, chain, worker, others)
    if base is None:
        return None
    working = chain[worker]
    able = [m for m in dict.fromkeys((*chain, *others)) if m != working and m.level >= base.level]
    if base == working:
        candidates = able or ([] if row.always_review else [base])
    else:
        peers = [m for m in able if m.level == base.level and m.is_free == base.is_free]
        candidates = [base, *(m for m in peers if m != base)]

    def rank(model: RoutedModel) -> tuple[bool, bool, int]:
        is_kin = family_of(model.info.id) == family_of(working.info.id)
        return (base.is_free and not model.is_free, is_kin, model.level)

    return min(candidates, key=rank, default=None)


def free_judges(
    models: Sequence[RoutedModel], chain: Sequence[RoutedModel]
) -> tuple[RoutedModel, ...]:
    """Those of the models that may judge besides the chain's own.

    They are free, and no farther from this machine than the chain is: work that is done here is not
    sent away to be judged.
    """
    near = {"local", *(model.locality for model in chain)}
    return tuple(
        m for m in models if m.is_free and m.tier and m.locality in near and m not in chain
    )


def _by_rule(
    rule: str, chain: Sequence[RoutedModel], worker: int, others: Sequence[RoutedModel]
) -> RoutedModel | None:
    if not chain or rule in ("", "none"):
        return None
    if rule == "same":
        return chain[0]
    if rule == "next":
        return chain[worker + 1] if worker + 1 < len(chain) else chain[max(0, worker - 1)]
    return next((m for m in (*chain, *others) if rule in (m.tier, m.name)), None)
