"""Is one command faster than another? Decided from interleaved pairs of runs. Pure statistics.

The interval is that of the median ratio, by the percentile bootstrap (Efron and Tibshirani, "An
Introduction to the Bootstrap", 1993, chapter 13). It is looked at several times, to stop as soon as
the answer is clear, so each look has a higher confidence than the 95 % that all have together: of
candidates that are exactly at the threshold, at most one in twenty is accepted (simulated in the
tests).
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

FEWEST_PAIRS = 10
MOST_PAIRS = 30
LOOKS = (10, 15, 20, 30)

_CONFIDENCE = 0.99
_RESAMPLES = 2000
_SEED = 20261121  # the same runs give the same verdict


@dataclass(frozen=True, kw_only=True)
class Interval:
    """The median ratio of the pairs, and between what it lies."""

    median: float
    low: float
    high: float


def median_interval(ratios: Sequence[float], confidence: float = _CONFIDENCE) -> Interval:
    """Of at least one ratio."""
    source = random.Random(_SEED)  # noqa: S311 - statistics
    medians = sorted(
        statistics.median(source.choices(ratios, k=len(ratios))) for _ in range(_RESAMPLES)
    )
    cut = round(_RESAMPLES * (1 - confidence) / 2)
    return Interval(
        median=statistics.median(ratios), low=medians[cut], high=medians[_RESAMPLES - 1 - cut]
    )


def judge(interval: Interval, threshold: float) -> Literal["below", "above", "unclear"]:
    """On which side of the threshold the whole interval lies."""
    if interval.high < threshold:
        return "below"
    return "above" if interval.low > threshold else "unclear"
