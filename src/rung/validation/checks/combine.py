"""One verdict of several: a check may need a tool for each language."""

from __future__ import annotations

from collections.abc import Sequence

from rung.validation.verdict import Result, Verdict

_WORST_FIRST: tuple[Result, ...] = ("fail", "error", "unavailable", "pass")


def worst(kind: str, verdicts: Sequence[Verdict], *, none: str) -> Verdict:
    """The worst of them with its evidence; `unavailable` because of `none` if there is none."""
    for result in _WORST_FIRST:
        of_kind = [verdict.evidence for verdict in verdicts if verdict.result == result]
        if of_kind:
            return Verdict(validator=kind, result=result, evidence="\n".join(of_kind))
    return Verdict(validator=kind, result="unavailable", evidence=none)
