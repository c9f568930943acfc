"""Rates and times left, and progress that never goes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.models.progress import Pace, PullProgress, Reporter


def test_a_steady_stream_has_its_rate_and_its_time_left() -> None:
    pace = Pace()
    for second in range(20):
        pace.feed(second, second * 1000)
    assert pace.bytes_per_s == pytest.approx(1000)
    assert pace.eta_s(5000) == pytest.approx(5)


def test_nothing_is_told_before_it_was_seen() -> None:
    pace = Pace()
    pace.feed(0, 4_000_000_000)  # what an earlier run left is no speed
    assert (pace.bytes_per_s, pace.eta_s(10)) == (None, None)


def test_a_stall_lowers_the_rate_and_one_burst_does_not_set_it() -> None:
    pace = Pace()
    for tenth in range(100):
        pace.feed(tenth / 10, tenth * 100)
    steady = pace.bytes_per_s
    pace.feed(10.0, 100 * 100 + 50_000)
    assert steady is not None and pace.bytes_per_s is not None
    assert steady < pace.bytes_per_s < 50 * steady
    for tenth in range(101, 300):
        pace.feed(tenth / 10, 100 * 100 + 50_000)
    assert pace.bytes_per_s < steady


@given(st.lists(st.tuples(st.floats(0.01, 1), st.integers(0, 10**9)), min_size=2))
def test_the_rate_is_within_what_was_seen_however_often_it_is_fed(
    steps: list[tuple[float, int]],
) -> None:
    pace, at_s, done_bytes = Pace(), 0.0, 0
    pace.feed(at_s, done_bytes)
    seen: list[float] = []
    for passed_s, came in steps:
        before_s, at_s, done_bytes = at_s, at_s + passed_s, done_bytes + came
        pace.feed(at_s, done_bytes)
        seen.append(came / (at_s - before_s))
    assert pace.bytes_per_s is not None
    assert min(seen) * 0.999 <= pace.bytes_per_s <= max(seen) * 1.001


@given(st.lists(st.integers(0, 200)))
def test_progress_never_falls_never_repeats_and_never_passes_the_total(counts: list[int]) -> None:
    seen: list[PullProgress] = []
    reporter = Reporter(seen.append)
    for count in counts:
        reporter.report("downloading", count, 100)
    told = [progress.done_bytes for progress in seen]
    assert told == sorted(set(told))
    assert max(told, default=0) == min(100, max(counts, default=0))
