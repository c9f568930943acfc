"""Which accepted answers are looked at again: pure."""

from __future__ import annotations

import hashlib

# A model with fewer labels than this is looked at more often: by this much, at most.
FEW_LABELS = 20
MORE = 3.0


def audit_rate(rate: float, labels: int) -> float:
    """The share of accepted answers to audit, for a model with so many labels."""
    eagerness = 1.0 + (MORE - 1.0) * max(0.0, 1.0 - labels / FEW_LABELS)
    return min(1.0, rate * eagerness)


def is_drawn(task_id: str, purpose: str, rate: float) -> bool:
    """A fair draw that the same task always loses or wins."""
    digest = hashlib.sha256(f"{purpose}\0{task_id}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64 < rate
